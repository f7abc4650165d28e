// Process is the guest that abi/conformance runs its scenarios of process functions against, in C: state, timers, side
// outputs, two inputs, migration. Every SDK has one, with the same functions under the same names.
#include "wasmill.h"

static wasmill_bytes own_key(const wasmill_record *r) { return r->value; }

static wasmill_pair key_and_length(const wasmill_record *r) { return (wasmill_pair){r->value, wasmill_i64(r->value.size)}; }

// append copies b to p and returns the place behind it.
static uint8_t *append(uint8_t *p, wasmill_bytes b) {
	for (uint32_t i = 0; i < b.size; i++) p[i] = b.data[i];
	return p + b.size;
}

// join returns three texts as one.
static wasmill_bytes join(wasmill_bytes a, wasmill_bytes b, wasmill_bytes c) {
	uint8_t *joined = wasmill_scratch(a.size + b.size + c.size);
	uint8_t *end = append(append(append(joined, a), b), c);
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

static void emit(wasmill_context *c, wasmill_bytes b) { wasmill_emit(c->out, b.data, b.size); }

// Book keeps a sum and emits it after every number. 0 clears it, -13 fails after a change. Negative numbers go to side
// output 1 too, and numbers above 99, as text, to side output 2.
enum { SUM };

static void book(wasmill_context *c, const wasmill_record *r) {
	int64_t v = wasmill_as_i64(r->value), sum = wasmill_get_i64(c, SUM, 0) + v;
	if (v == 0) {
		wasmill_clear(c, SUM);
		return;
	}
	wasmill_put_i64(c, SUM, sum);
	wasmill_emit(c->out, &sum, sizeof sum);
	if (v < 0) wasmill_emit_side(c->out, 1, &v, sizeof v);
	wasmill_bytes text = digits(v);
	if (v > 99) wasmill_emit_side(c->out, 2, text.data, text.size);
	if (v == -13) wasmill_fail("an unlucky number");
}

// Remember keeps texts in a list, counts each in a map, and has the last as a value. Texts that are commands: "list" and
// "map" emit what is there, "?x" the count of x, "-x" forgets the count of x, "last" emits the last and how long it is,
// "clear" forgets all, "bad" fails after a change.
enum { ALL, COUNTS, LAST };

static bool is(wasmill_bytes b, const char *text) {
	uint32_t i = 0;
	while (i < b.size && text[i] != 0 && b.data[i] == (uint8_t)text[i]) i++;
	return i == b.size && text[i] == 0;
}

static wasmill_bytes behind_first(wasmill_bytes b) { return (wasmill_bytes){b.data + 1, b.size - 1}; }

static int64_t count_of(wasmill_context *c, wasmill_bytes text) {
	wasmill_bytes n = wasmill_map_get(c, COUNTS, text);
	return n.data == NULL ? 0 : wasmill_as_i64(n);
}

static void show_list(wasmill_context *c) {
	wasmill_scan s = wasmill_scan_state(c, ALL);
	while (wasmill_next(&s)) emit(c, s.value);
}

static void show_map(wasmill_context *c) {
	wasmill_scan s = wasmill_scan_state(c, COUNTS);
	while (wasmill_next(&s)) emit(c, join(s.key, wasmill_string("="), digits(wasmill_as_i64(s.value))));
}

static void remember(wasmill_context *c, const wasmill_record *r) {
	wasmill_bytes text = r->value;
	if (is(text, "list")) {
		show_list(c);
	} else if (is(text, "map")) {
		show_map(c);
	} else if (is(text, "last")) {
		wasmill_bytes last = wasmill_get(c, LAST);
		emit(c, last.data == NULL ? wasmill_string("none") : join(last, wasmill_string(" "), digits(last.size)));
	} else if (is(text, "clear")) {
		wasmill_clear(c, ALL);
		wasmill_clear(c, COUNTS);
		wasmill_clear(c, LAST);
	} else if (text.size > 0 && text.data[0] == '?') {
		emit(c, digits(count_of(c, behind_first(text))));
	} else if (text.size > 0 && text.data[0] == '-') {
		wasmill_map_delete(c, COUNTS, behind_first(text));
	} else {
		wasmill_list_add(c, ALL, text);
		wasmill_put(c, LAST, text);
		if (text.size > 0) wasmill_map_put(c, COUNTS, text, wasmill_i64(count_of(c, text) + 1));
		if (is(text, "bad")) wasmill_fail("a bad text");
	}
}

// Alarm sets an event-time timer for a number, deletes it for a negative one, and for 0 sets a processing-time timer 10 ms
// ahead. A timer emits its time, of processing time as a negative number. One at a full thousand sets another 500 before
// itself and deletes the one right behind it.
static void alarm(wasmill_context *c, const wasmill_record *r) {
	int64_t v = wasmill_as_i64(r->value);
	if (v > 0) wasmill_set_timer(c, WASMILL_EVENT_TIME, v);
	if (v < 0) wasmill_delete_timer(c, WASMILL_EVENT_TIME, -v);
	if (v == 0) wasmill_set_timer(c, WASMILL_PROCESSING_TIME, c->now + 10);
}

static void ring(wasmill_context *c, wasmill_clock clock, int64_t time) {
	int64_t shown = clock == WASMILL_EVENT_TIME ? time : -time;
	wasmill_emit(c->out, &shown, sizeof shown);
	if (clock != WASMILL_EVENT_TIME || time % 1000 != 0) return;
	wasmill_set_timer(c, WASMILL_EVENT_TIME, time - 500);
	wasmill_delete_timer(c, WASMILL_EVENT_TIME, time + 1);
}

// Pair keeps the latest number of the other input and emits texts with it; texts that find none wait for a timer 100 ms
// behind them and then go to side output 1.
enum { NUMBER, WAITING };

static void pair_text(wasmill_context *c, const wasmill_record *r) {
	wasmill_bytes number = wasmill_get(c, NUMBER);
	if (number.data != NULL) {
		emit(c, join(r->value, wasmill_string("="), digits(wasmill_as_i64(number))));
		return;
	}
	wasmill_list_add(c, WAITING, r->value);
	wasmill_set_timer(c, WASMILL_EVENT_TIME, r->timestamp + 100);
}

static void pair_number(wasmill_context *c, const wasmill_record *r) {
	wasmill_put(c, NUMBER, r->value);
	wasmill_scan s = wasmill_scan_state(c, WAITING);
	while (wasmill_next(&s)) emit(c, join(s.value, wasmill_string("="), digits(wasmill_as_i64(r->value))));
	wasmill_clear(c, WAITING);
}

static void pair_timer(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)clock, (void)time;
	wasmill_scan s = wasmill_scan_state(c, WAITING);
	while (wasmill_next(&s)) wasmill_emit_side(c->out, 1, s.value.data, s.value.size);
	wasmill_clear(c, WAITING);
}

// Moved has states of which there were older versions: a total that was text, where "gone" is dropped, and names that got
// a mark with every version.
enum { TOTAL, NAMES };

static wasmill_bytes number_of_text(uint32_t from, wasmill_bytes key, wasmill_bytes text) {
	int64_t n = 0;
	(void)from, (void)key;
	if (is(text, "gone")) return (wasmill_bytes){NULL, 0};
	for (uint32_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9') wasmill_fail("a total that is no number");
		n = 10 * n + (text.data[i] - '0');
	}
	return wasmill_i64(n);
}

static wasmill_bytes marked(uint32_t from, wasmill_bytes key, wasmill_bytes name) {
	(void)key;
	return join(name, wasmill_string(from < 2 ? "!" : ""), wasmill_string("!"));
}

static void move(wasmill_context *c, const wasmill_record *r) { wasmill_put(c, TOTAL, r->value); }

static wasmill_bytes add(wasmill_bytes a, wasmill_bytes b) { return wasmill_i64(wasmill_as_i64(a) + wasmill_as_i64(b)); }

static wasmill_bytes same(const wasmill_record *r) { return r->value; }

// Near emits texts with the numbers that they meet, but 0; "bad" fails.
static void near(const wasmill_record *left, const wasmill_record *right, wasmill_out *out) {
	int64_t n = wasmill_as_i64(right->value);
	if (is(left->value, "bad")) wasmill_fail("a bad text");
	wasmill_bytes text = join(left->value, wasmill_string("="), digits(n));
	if (n != 0) wasmill_emit(out, text.data, text.size);
}

static uint32_t by_size(const wasmill_record *r, uint32_t receivers) { return r->value.size % receivers; }

static void drop(wasmill_stream s) { wasmill_sink_to(s, wasmill_blackhole()); }

WASMILL_JOB("conformance-process") {
	wasmill_stream texts = wasmill_source(job, wasmill_files("texts"));
	wasmill_keyed by_text = wasmill_key_by(texts, "by-text", own_key, WASMILL_UTF8);
	wasmill_keyed lengths = wasmill_key_value_by(texts, "by-text-length", key_and_length, WASMILL_UTF8, WASMILL_I64);

	wasmill_stream sums = wasmill_uid(wasmill_process(lengths, "book", (wasmill_processor){
		.process = book, .codec = WASMILL_I64, .sides = {WASMILL_I64, WASMILL_UTF8},
		.states = {[SUM] = {.name = "sum", .codec = WASMILL_I64, .ttl_ms = 60000}},
	}), "book");
	drop(sums);
	drop(wasmill_side(sums, 1));
	drop(wasmill_map(wasmill_side(sums, 2), "same", same, WASMILL_UTF8));

	drop(wasmill_uid(wasmill_process(by_text, "remember", (wasmill_processor){
		.process = remember, .codec = WASMILL_UTF8,
		.states = {
			[ALL] = {.name = "all", .kind = WASMILL_LIST_STATE, .codec = WASMILL_UTF8},
			[COUNTS] = {.name = "counts", .kind = WASMILL_MAP_STATE, .codec = WASMILL_I64, .key_codec = WASMILL_UTF8},
			[LAST] = {.name = "last", .codec = WASMILL_UTF8},
		},
	}), "remember"));

	drop(wasmill_uid(wasmill_process(lengths, "alarm", (wasmill_processor){.process = alarm, .timer = ring, .codec = WASMILL_I64}), "alarm"));

	wasmill_stream pairs = wasmill_uid(wasmill_co_process(by_text, lengths, "pair", (wasmill_processor){
		.process = pair_text, .process_other = pair_number, .timer = pair_timer, .codec = WASMILL_UTF8, .sides = {WASMILL_UTF8},
		.states = {
			[NUMBER] = {.name = "number", .codec = WASMILL_I64},
			[WAITING] = {.name = "waiting", .kind = WASMILL_LIST_STATE, .codec = WASMILL_UTF8},
		},
	}), "pair");
	drop(wasmill_on_trap(pairs, WASMILL_DEAD_LETTER));
	drop(wasmill_side(pairs, 1));
	drop(wasmill_dead_letters(pairs));

	drop(wasmill_uid(wasmill_process(lengths, "moved", (wasmill_processor){
		.process = move, .codec = WASMILL_I64,
		.states = {
			[TOTAL] = {.name = "total", .codec = WASMILL_I64, .version = 2, .migrate = number_of_text},
			[NAMES] = {.name = "names", .kind = WASMILL_MAP_STATE, .codec = WASMILL_UTF8, .key_codec = WASMILL_UTF8, .version = 3, .migrate = marked},
		},
	}), "moved"));

	wasmill_keyed seconds = wasmill_window(lengths, wasmill_tumbling(1000));
	wasmill_stream windows = wasmill_uid(wasmill_reduce(seconds, "sum-by-window", add), "sum-by-window");
	drop(wasmill_on_trap(windows, WASMILL_SKIP));
	drop(wasmill_late(windows));
	wasmill_stream counts = wasmill_uid(wasmill_count(seconds), "counts");
	drop(counts);
	drop(wasmill_late(counts));

	wasmill_stream met = wasmill_interval_join_to(by_text, lengths, (wasmill_interval){.lower_ms = -100, .upper_ms = 200, .lower_exclusive = true}, "near", near, WASMILL_UTF8);
	drop(wasmill_uid(met, "near"));
	drop(wasmill_late(met));
	drop(wasmill_late_right(met));
	drop(wasmill_partition_custom(texts, "by-size", by_size));

	wasmill_stream rows = wasmill_source(job, wasmill_row_files("rows", "json", "row(name: utf8?, n: i64)"));
	wasmill_stream some = wasmill_where(rows, "some", WASMILL_AND(WASMILL_IS("n", ">=", "1"),
		WASMILL_OR("{\"op\":\"in\",\"field\":\"name\",\"values\":[\"a\",\"b\"]}", "{\"op\":\"null\",\"field\":\"name\"}")));
	wasmill_keyed by_n = wasmill_key_by_fields(some, "by-n", WASMILL_I64, "\"n\"");
	drop(wasmill_uid(wasmill_aggregates(by_n, "row(n: i64, count: i64, most: i64?, countDistinct: i64)", WASMILL_AGG("count", "count", "") ","
		WASMILL_AGG_IF("most", "max", "n", WASMILL_IS("n", "<", "5")) "," WASMILL_AGG("countDistinct", "countDistinct", "name")), "statistics"));
	drop(wasmill_uid(wasmill_aggregates(by_n, "row(n: i64, rank: i64, top: row(name: utf8?, n: i64))", WASMILL_TOP_THEN("top", 3, "n", "n")), "top"));
}
