// Updates has results that change, written each time that they do, or once.
//
//	in    key,time,value     time: milliseconds >= 0; value: a whole number
//	out   [op,]key,value     with `window`: [op,]start,key,value
//
// With by=count the host counts lines, by=sum has a guest's results of them, by=least a reduce without any. With updates=all each
// change is written with its op: a checker must find +I once for each key (and window), before all +U of it, and that the last
// one says what the only one says without.
#include "work.h"

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_pair split(const wasmill_record *r) { return (wasmill_pair){work_field(r->value, 0), wasmill_i64(work_int(r->value, 2))}; }

static wasmill_bytes nothing(void) { return wasmill_i64(0); }
static wasmill_bytes include(wasmill_bytes sum, wasmill_bytes v) { return wasmill_i64(wasmill_as_i64(sum) + wasmill_as_i64(v)); }
static wasmill_bytes result_of(wasmill_bytes sum) { return sum; }
static wasmill_bytes least(wasmill_bytes a, wasmill_bytes b) { return wasmill_as_i64(a) < wasmill_as_i64(b) ? a : b; }

WASMILL_JOB("updates") {
	int64_t window = wasmill_param_i64_or(job, "window", 0, "length of a window in milliseconds; 0: results of all time");
	int64_t lateness = wasmill_param_i64_or(job, "lateness", 0, "how long a window takes late lines, in milliseconds");
	const char *by = wasmill_param_or(job, "by", "count", "what a result is: count, sum or least");
	wasmill_stream lines = wasmill_source(job, wasmill_files(wasmill_param(job, "input", "files to read")));
	wasmill_keyed keyed = wasmill_key_value_by(wasmill_assign_timestamps(lines, "time", time_of, 0), "key", split, WASMILL_UTF8, WASMILL_I64);
	if (window > 0) {
		wasmill_time_window cut = wasmill_tumbling(window);
		cut.lateness_ms = lateness;
		keyed = wasmill_window(keyed, cut);
	}
	wasmill_aggregator sum = {nothing, include, include, result_of, WASMILL_I64, WASMILL_I64};
	wasmill_stream results = wasmill_same(by, "count") ? wasmill_count(keyed)
		: wasmill_same(by, "sum") ? wasmill_aggregate(keyed, "sum", sum) : wasmill_reduce(keyed, "least", least);
	wasmill_connector sink = wasmill_with(wasmill_file_sink(wasmill_param(job, "output", "directory to write")), "format", "json");
	wasmill_sink_to(wasmill_uid(results, "results"), wasmill_with(sink, "updates", wasmill_param_or(job, "updates", "final", "which rows are written: final or all")));
}
