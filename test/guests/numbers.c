// Numbers makes i64 values of generated records and puts the stream through every kind of operator: two branches, a
// union, a native sum and a guest's aggregate by key and window.
#include "wasmill.h"

static wasmill_bytes number(const wasmill_record *r) { return wasmill_i64(r->timestamp); }
static bool even(const wasmill_record *r) { return wasmill_as_i64(r->value) % 2 == 0; }
static bool odd(const wasmill_record *r) { return !even(r); }
static int64_t tenfold(const wasmill_record *r) { return 10 * wasmill_as_i64(r->value); }
static wasmill_bytes last_digit(const wasmill_record *r) { return wasmill_i64(wasmill_as_i64(r->value) % 10); }

static void twice(const wasmill_record *r, wasmill_out *out) {
	wasmill_emit(out, r->value.data, r->value.size);
	wasmill_emit(out, r->value.data, r->value.size);
}

// The accumulator is the sum and the count of the values, the result their mean.
static wasmill_bytes pair(int64_t sum, int64_t count) {
	int64_t *p = wasmill_scratch(16);
	p[0] = sum;
	p[1] = count;
	return (wasmill_bytes){(const uint8_t *)p, 16};
}
static int64_t half(wasmill_bytes pair, uint32_t i) { return wasmill_as_i64((wasmill_bytes){pair.data + 8 * i, 8}); }
static wasmill_bytes none(void) { return pair(0, 0); }
static wasmill_bytes include(wasmill_bytes acc, wasmill_bytes v) { return pair(half(acc, 0) + wasmill_as_i64(v), half(acc, 1) + 1); }
static wasmill_bytes both(wasmill_bytes a, wasmill_bytes b) { return pair(half(a, 0) + half(b, 0), half(a, 1) + half(b, 1)); }
static wasmill_bytes mean(wasmill_bytes acc) { return wasmill_f64((double)half(acc, 0) / (double)half(acc, 1)); }

WASMILL_JOB("numbers") {
	const char *output = wasmill_param(job, "output", "directory to write");
	wasmill_connector source = wasmill_with(wasmill_generator(), "count", wasmill_param_or(job, "count", "1000", "records in all"));
	wasmill_stream all = wasmill_map(wasmill_source(job, source), "number", number, WASMILL_I64);
	wasmill_stream branches[] = {
		wasmill_flat_map(wasmill_filter(all, "even", even), "twice", twice, WASMILL_I64),
		wasmill_filter(all, "odd", odd),
	};
	wasmill_stream timed = wasmill_assign_timestamps(wasmill_union(branches, 2), "tenfold", tenfold, 100);
	wasmill_keyed by_digit = wasmill_key_by(timed, "digit", last_digit, WASMILL_I64);
	wasmill_aggregator means = {none, include, both, mean, "test.pair", WASMILL_F64};
	wasmill_stream sums = wasmill_uid(wasmill_sum(by_digit), "sums");
	wasmill_stream averages = wasmill_uid(wasmill_aggregate(wasmill_window(by_digit, wasmill_tumbling(1000)), "mean", means), "means");
	wasmill_connector a = wasmill_file_sink(WASMILL__JOINED(output, "/sums")), b = wasmill_file_sink(WASMILL__JOINED(output, "/means"));
	wasmill_sink_to(sums, a);
	wasmill_sink_to(averages, wasmill_with(b, "columns", "start,key,value"));
}
