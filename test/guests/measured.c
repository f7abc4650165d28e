// Measured is what `make bench` measures of operators: one of them, over the numbers 0, 1, 2 ... of a generator, which are also the
// event times. A number belongs to one of `keys` keys, all as likely.
//
//	out tumbling, sliding, session   start<TAB>key<TAB>n   how many numbers of the key the window has
//	    interval                     left<TAB>right        two numbers of a key, the left even, the right odd, nearer than `size`
//	    process                      key<TAB>n             how many of the key have come, for each that comes
//
// Only the rows of the keys 0, 1000, 2000 ... are written, so that the others cost what they cost.
#include "work.h"

static int64_t keys;

static int64_t key_of(int64_t number) { return (int64_t)(work_mix((uint64_t)number) % (uint64_t)keys); }
static bool sampled(int64_t key) { return key % 1000 == 0; }

static wasmill_bytes key(const wasmill_record *r) { return wasmill_i64(key_of(r->timestamp)); }
static wasmill_bytes number(const wasmill_record *r) { return wasmill_i64(r->timestamp); }
static bool even(const wasmill_record *r) { return r->timestamp % 2 == 0; }
static bool odd(const wasmill_record *r) { return r->timestamp % 2 != 0; }
static bool sampled_window(const wasmill_record *r) { return sampled(wasmill_row_i64(r->value, 4, 2)); }
static bool sampled_pair(const wasmill_record *r) { return sampled(key_of(wasmill_row_i64(r->value, 2, 0))); }

enum { COUNT };

static void count(wasmill_context *c, const wasmill_record *r) {
	(void)r;
	int64_t n = wasmill_get_i64(c, COUNT, 0) + 1, k = wasmill_as_i64(c->key);
	wasmill_put_i64(c, COUNT, n);
	if (!sampled(k)) return;
	work_line l = work_begin(42);
	work_number(&l, k);
	work_char(&l, '\t');
	work_number(&l, n);
	wasmill_bytes line = work_end(l);
	wasmill_emit(c->out, line.data, line.size);
}

static void write(wasmill_stream rows, const char *columns, const char *output) {
	wasmill_sink_to(rows, wasmill_with(wasmill_file_sink(output), "columns", columns));
}

WASMILL_JOB("measured") {
	const char *kind = wasmill_param_or(job, "operator", "tumbling", "what is measured: tumbling, sliding, session, interval or process");
	keys = wasmill_param_i64_or(job, "keys", 10000, "how many keys");
	int64_t size = wasmill_param_i64_or(job, "size", 1000000, "length of a window, gap of a session, distance in a join");
	int64_t slide = wasmill_param_i64_or(job, "slide", 25000, "numbers between the beginnings of sliding windows");
	const char *output = wasmill_param(job, "output", "directory to write");
	wasmill_connector made = wasmill_with(wasmill_generator(), "count", wasmill_param_or(job, "count", "1000000", "how many numbers"));
	made.timestamps = true; // so there are watermarks, and windows fire while there is input
	wasmill_stream numbers = wasmill_source(job, wasmill_with(made, "size", "1"));
	if (wasmill_same(kind, "interval")) {
		numbers = wasmill_map(numbers, "number", number, WASMILL_I64);
		wasmill_keyed left = wasmill_key_by(wasmill_filter(numbers, "even", even), "left-key", key, WASMILL_I64);
		wasmill_keyed right = wasmill_key_by(wasmill_filter(numbers, "odd", odd), "right-key", key, WASMILL_I64);
		wasmill_interval near = {.lower_ms = -size, .upper_ms = size, .lower_exclusive = true, .upper_exclusive = true};
		wasmill_stream pairs = wasmill_uid(wasmill_interval_join(left, right, near), "measured");
		write(wasmill_filter(pairs, "sampled", sampled_pair), "left,right", output);
		return;
	}
	wasmill_keyed keyed = wasmill_key_by(numbers, "key", key, WASMILL_I64);
	if (wasmill_same(kind, "process")) {
		wasmill_processor counter = {.process = count, .codec = WASMILL_UTF8, .states = {[COUNT] = {.name = "count", .codec = WASMILL_I64}}};
		wasmill_sink_to(wasmill_uid(wasmill_process(keyed, "count", counter), "measured"), wasmill_file_sink(output));
		return;
	}
	wasmill_time_window window = wasmill_tumbling(size);
	if (wasmill_same(kind, "sliding")) window = wasmill_sliding(size, slide);
	else if (wasmill_same(kind, "session")) window = wasmill_session(size);
	else if (!wasmill_same(kind, "tumbling")) wasmill_refuse_param(job, "operator", kind, "tumbling, sliding, session, interval or process");
	wasmill_stream counts = wasmill_uid(wasmill_count(wasmill_window(keyed, window)), "measured");
	write(wasmill_filter(counts, "sampled", sampled_window), "start,key,value", output);
}
