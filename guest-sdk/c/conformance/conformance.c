// Conformance is the guest that abi/conformance runs its scenarios against, in C. Every SDK has one, with the same
// functions under the same names.
#include "wasmill.h"

static wasmill_bytes prefix, suffix;
static int64_t times;

// append copies b to p and returns the place behind it.
static uint8_t *append(uint8_t *p, wasmill_bytes b) {
	for (uint32_t i = 0; i < b.size; i++) p[i] = b.data[i];
	return p + b.size;
}

// join returns up to four texts as one.
static wasmill_bytes join(wasmill_bytes a, wasmill_bytes b, wasmill_bytes c, wasmill_bytes d) {
	uint8_t *joined = wasmill_scratch(a.size + b.size + c.size + d.size);
	uint8_t *end = append(append(append(append(joined, a), b), c), d);
	return (wasmill_bytes){joined, (uint32_t)(end - joined)};
}

// digits writes a number for people.
static wasmill_bytes digits(int64_t v) {
	uint8_t *end = (uint8_t *)wasmill_scratch(20) + 20, *p = end;
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do *--p = (uint8_t)('0' + left % 10);
	while ((left /= 10) != 0);
	if (v < 0) *--p = '-';
	return (wasmill_bytes){p, (uint32_t)(end - p)};
}

static bool is_bad(wasmill_bytes b) { return b.size == 3 && b.data[0] == 'b' && b.data[1] == 'a' && b.data[2] == 'd'; }

// upper is ASCII only: other bytes stay as they are, UTF-8 or not.
static wasmill_bytes upper(const wasmill_record *r) {
	uint8_t *p = wasmill_scratch(r->value.size);
	for (uint32_t i = 0; i < r->value.size; i++) {
		uint8_t c = r->value.data[i];
		p[i] = c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
	}
	return (wasmill_bytes){p, r->value.size};
}

static wasmill_bytes greet(const wasmill_record *r) { return join(prefix, r->value, suffix, wasmill_string("")); }

static bool is_odd(wasmill_bytes b) { return b.size == 3 && b.data[0] == 'o' && b.data[1] == 'd' && b.data[2] == 'd'; }

static wasmill_bytes picky(const wasmill_record *r) {
	wasmill_counter_add("texts", 1);
	if (is_bad(r->value)) wasmill_fail("a bad text");
	if (is_odd(r->value)) {
		wasmill_log(WASMILL_WARN, "an odd text");
		wasmill_gauge_set("odd", 7);
	}
	return r->value;
}

static bool not_empty(const wasmill_record *r) { return r->value.size > 0; }

static void repeat(const wasmill_record *r, wasmill_out *out) {
	for (int64_t i = 0; i < times; i++) wasmill_emit(out, r->value.data, r->value.size);
}

// split emits what stands between spaces.
static void split(const wasmill_record *r, wasmill_out *out) {
	const uint8_t *text = r->value.data;
	uint32_t start = 0, n = r->value.size;
	for (uint32_t i = 0; i <= n; i++) {
		if (i < n && text[i] != ' ') continue;
		if (i > start) wasmill_emit(out, text + start, i - start);
		start = i + 1;
	}
}

static int64_t time_of(const wasmill_record *r) { return r->value.size; }

static wasmill_bytes length(const wasmill_record *r) { return wasmill_i64(r->value.size); }

static void count_to(const wasmill_record *r, wasmill_out *out) {
	int64_t n = wasmill_as_i64(r->value);
	for (int64_t i = 1; i <= n; i++) wasmill_emit(out, &i, sizeof i);
}

static wasmill_bytes half(const wasmill_record *r) { return wasmill_f64((double)wasmill_as_i64(r->value) / 2); }

static wasmill_bytes half_key(const wasmill_record *r) { return wasmill_f64_key(wasmill_as_f64(r->value)); }

static wasmill_pair word_and_length(const wasmill_record *r) { return (wasmill_pair){r->value, length(r)}; }

static wasmill_bytes add(wasmill_bytes a, wasmill_bytes b) { return wasmill_i64(wasmill_as_i64(a) + wasmill_as_i64(b)); }

static wasmill_bytes add_floats(wasmill_bytes a, wasmill_bytes b) {
	return wasmill_f64(wasmill_as_f64(a) + wasmill_as_f64(b));
}

// concat keeps the order, so that a test sees it.
static wasmill_bytes concat(wasmill_bytes a, wasmill_bytes b) {
	if (is_bad(b)) wasmill_fail("a bad value");
	return join(a, wasmill_string(","), b, wasmill_string(""));
}

static wasmill_bytes equation(wasmill_bytes key, wasmill_bytes value) {
	return join(key, wasmill_string("="), value, wasmill_string(""));
}

static wasmill_bytes interval(int64_t start, int64_t end) {
	return join(digits(start), wasmill_string(".."), digits(end), wasmill_string(" "));
}

static wasmill_bytes show(const wasmill_record *r) {
	return equation(wasmill_row_bytes(r->value, 2, 0), digits(wasmill_row_i64(r->value, 2, 1)));
}

static wasmill_bytes show_window(const wasmill_record *r) {
	wasmill_bytes window = interval(wasmill_row_i64(r->value, 4, 0), wasmill_row_i64(r->value, 4, 1));
	wasmill_bytes sum = equation(wasmill_row_bytes(r->value, 4, 2), digits(wasmill_row_i64(r->value, 4, 3)));
	return join(window, sum, wasmill_string(""), wasmill_string(""));
}

static wasmill_bytes show_all(const wasmill_group *g, wasmill_bytes all) { return equation(g->key, all); }

static wasmill_bytes show_all_windowed(const wasmill_group *g, wasmill_bytes all) {
	return join(interval(g->start, g->end), equation(g->key, all), wasmill_string(""), wasmill_string(""));
}

// The accumulator of mean is a row: a sum and how many values it has.
#define TOTAL "row(key: i64, value: i64)"

static wasmill_bytes total(int64_t sum, int64_t n) {
	wasmill_row row = wasmill_row_begin(2);
	wasmill_row_set_i64(&row, 0, sum);
	wasmill_row_set_i64(&row, 1, n);
	return wasmill_row_end(&row);
}

static int64_t sum_of(wasmill_bytes t) { return wasmill_row_i64(t, 2, 0); }
static int64_t count_of(wasmill_bytes t) { return wasmill_row_i64(t, 2, 1); }

static wasmill_bytes mean_create(void) { return total(0, 0); }

static wasmill_bytes mean_add(wasmill_bytes t, wasmill_bytes v) {
	return total(sum_of(t) + wasmill_as_i64(v), count_of(t) + 1);
}

static wasmill_bytes mean_merge(wasmill_bytes a, wasmill_bytes b) {
	return total(sum_of(a) + sum_of(b), count_of(a) + count_of(b));
}

static wasmill_bytes mean_result(wasmill_bytes t) { return wasmill_f64((double)sum_of(t) / (double)count_of(t)); }

static const wasmill_aggregator mean = {
	mean_create, mean_add, mean_merge, mean_result, .accumulator_codec = TOTAL, .result_codec = WASMILL_F64,
};

static void drop(wasmill_stream s) { wasmill_sink_to(s, wasmill_blackhole()); }

WASMILL_JOB("conformance") {
	prefix = wasmill_string(wasmill_param(job, "prefix", "what greet puts before a text"));
	suffix = wasmill_string(wasmill_param_or(job, "suffix", "!", "what greet puts behind a text"));
	times = wasmill_param_i64_or(job, "times", 2, "how often repeat emits a text");
	if (times < 0) wasmill_refuse(job, "times is negative");

	wasmill_stream texts = wasmill_source(job, wasmill_offset_timestamps(wasmill_files("texts")));
	drop(wasmill_map(texts, "upper", upper, WASMILL_UTF8));
	drop(wasmill_map(texts, "greet", greet, WASMILL_UTF8));
	drop(wasmill_map(texts, "picky", picky, WASMILL_UTF8));
	drop(wasmill_filter(texts, "not-empty", not_empty));
	drop(wasmill_flat_map(texts, "repeat", repeat, WASMILL_UTF8));
	drop(wasmill_assign_timestamps(texts, "timed", time_of, 5));
	wasmill_stream words = wasmill_flat_map(texts, "words", split, WASMILL_UTF8);
	wasmill_stream lengths = wasmill_map(texts, "length", length, WASMILL_I64);
	drop(wasmill_flat_map(lengths, "count-to", count_to, WASMILL_I64));
	wasmill_stream halves = wasmill_map(lengths, "half", half, WASMILL_F64);

	wasmill_keyed by_half = wasmill_key_by(halves, "by-half", half_key, WASMILL_F64);
	wasmill_keyed by_length = wasmill_key_by(texts, "by-length", length, WASMILL_I64);
	wasmill_keyed by_text = wasmill_key_by(words, "by-text", wasmill_value, WASMILL_UTF8);
	wasmill_keyed by_word = wasmill_key_value_by(words, "word-and-length", word_and_length, WASMILL_UTF8, WASMILL_I64);
	wasmill_time_window second = wasmill_tumbling(1000);

	drop(wasmill_uid(wasmill_count(by_length), "count"));
	drop(wasmill_uid(wasmill_count(wasmill_window(by_length, second)), "count-by-window"));
	drop(wasmill_uid(wasmill_sum(by_half), "sum-of-halves"));
	drop(wasmill_uid(wasmill_reduce(by_half, "sum-by-half", add_floats), "sum-by-half"));
	drop(wasmill_uid(wasmill_reduce(by_length, "concat-by-length", concat), "concat-by-length"));
	wasmill_stream sums = wasmill_uid(wasmill_reduce(by_word, "sum", add), "sum");
	drop(wasmill_map(sums, "show", show, WASMILL_UTF8));
	wasmill_stream windowed = wasmill_uid(wasmill_reduce(wasmill_window(by_word, second), "sum-by-window", add), "sum-by-window");
	drop(wasmill_map(windowed, "show-window", show_window, WASMILL_UTF8));
	drop(wasmill_uid(wasmill_reduce_to(by_text, "concat", concat, show_all, WASMILL_UTF8), "concat"));
	drop(wasmill_uid(wasmill_reduce_to(wasmill_window(by_text, second), "concat-by-window", concat, show_all_windowed, WASMILL_UTF8), "concat-by-window"));
	drop(wasmill_uid(wasmill_aggregate(by_word, "mean", mean), "mean"));
	drop(wasmill_uid(wasmill_aggregate(wasmill_window(by_word, second), "mean-by-window", mean), "mean-by-window"));
}
