// Updates has results that change, written each time that they do, or once.
//
//	in    key,time,value     time: milliseconds >= 0; value: a whole number
//	out   [op,]key,value     with `window`: [op,]start,key,value
//
// With by=count the host counts lines, by=sum has a guest's results of them, by=least a reduce without any. In windows by=lines has a
// function add up the lines that one has, by=folded one say what they are folded into, and by=both a co-group add up what two streams,
// the same lines both, have there. With updates=all each change is written with its op: a checker must find +I once for each key (and
// window), before all +U of it, and that the last one says what the only one says without.
#include "work.h"

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_pair split(const wasmill_record *r) { return (wasmill_pair){work_field(r->value, 0), wasmill_i64(work_int(r->value, 2))}; }

static wasmill_bytes nothing(void) { return wasmill_i64(0); }
static wasmill_bytes include(wasmill_bytes sum, wasmill_bytes v) { return wasmill_i64(wasmill_as_i64(sum) + wasmill_as_i64(v)); }
static wasmill_bytes result_of(wasmill_bytes sum) { return sum; }
static wasmill_bytes least(wasmill_bytes a, wasmill_bytes b) { return wasmill_as_i64(a) < wasmill_as_i64(b) ? a : b; }

static wasmill_bytes row_of(int64_t start, wasmill_bytes key, int64_t value) {
	wasmill_row row = wasmill_row_begin(3);
	wasmill_row_set_i64(&row, 0, start);
	wasmill_row_set_bytes(&row, 1, key);
	wasmill_row_set_i64(&row, 2, value);
	return wasmill_row_end(&row);
}

static int64_t sum_of(const wasmill_co_group *g, uint32_t input) {
	int64_t sum = 0;
	wasmill_records r = wasmill_records_of(g, input);
	while (wasmill_next_record(&r)) sum += wasmill_as_i64(r.record.value);
	return sum;
}

static void put(wasmill_context *c, int64_t value) {
	wasmill_bytes row = row_of(c->start, c->key, value);
	wasmill_emit(c->out, row.data, row.size);
}
static void added(wasmill_context *c, const wasmill_co_group *window) { put(c, sum_of(window, 0)); }
static void folded(wasmill_context *c, wasmill_bytes result) { put(c, wasmill_as_i64(result)); }

static void both(const wasmill_co_group *g, wasmill_out *out) {
	wasmill_bytes row = row_of(g->start, g->key, sum_of(g, 0) + sum_of(g, 1));
	wasmill_emit(out, row.data, row.size);
}

static wasmill_time_window window_of(wasmill_job *job, int64_t size) {
	const char *kind = wasmill_param_or(job, "kind", "tumbling", "tumbling, sliding or session: windows of that length, or with such a gap");
	wasmill_time_window w = wasmill_same(kind, "sliding") ? wasmill_sliding(size, size / 2) : wasmill_same(kind, "session") ? wasmill_session(size) : wasmill_tumbling(size);
	w.lateness_ms = wasmill_param_i64_or(job, "lateness", 0, "how long a window takes late lines, in milliseconds");
	const char *trigger = wasmill_param_or(job, "trigger", "none", "none, or what the host knows");
	int64_t n = wasmill_param_i64_or(job, "every", 10, "of triggers that count, or have steps in milliseconds");
	bool counts = wasmill_same(trigger, WASMILL_AT_COUNT);
	if (!wasmill_same(trigger, "none")) w.trigger = (wasmill_trigger){.kind = trigger, .count = counts ? n : 0, .every_ms = counts ? 0 : n};
	return w;
}

#define ROW "row(start: ms, key: utf8, value: i64)"

static wasmill_stream results_of(const char *by, wasmill_keyed keyed, wasmill_keyed other, wasmill_time_window cut) {
	wasmill_aggregator sum = {nothing, include, include, result_of, WASMILL_I64, WASMILL_I64};
	if (wasmill_same(by, "count")) return wasmill_count(keyed);
	if (wasmill_same(by, "sum")) return wasmill_aggregate(keyed, "sum", sum);
	if (wasmill_same(by, "least")) return wasmill_reduce(keyed, "least", least);
	if (wasmill_same(by, "lines")) return wasmill_process_window(keyed, "lines", (wasmill_processor){.window = added, .codec = ROW});
	if (wasmill_same(by, "folded")) return wasmill_aggregate_window_with(keyed, "folded", sum, (wasmill_processor){.folded = folded, .codec = ROW});
	if (!wasmill_same(by, "both")) wasmill_refuse_param(keyed.job, "by", by, "count, sum, least, lines, folded or both");
	return wasmill_co_group_to(keyed, other, cut, "both", both, ROW);
}

WASMILL_JOB("updates") {
	int64_t window = wasmill_param_i64_or(job, "window", 0, "length of a window in milliseconds; 0: results of all time");
	wasmill_time_window cut = window_of(job, window);
	const char *by = wasmill_param_or(job, "by", "count", "what a result is: count, sum, least, lines, folded or both");
	wasmill_stream lines = wasmill_source(job, wasmill_files(wasmill_param(job, "input", "files to read")));
	wasmill_stream timed = wasmill_assign_timestamps(lines, "time", time_of, 0);
	wasmill_keyed keyed = wasmill_key_value_by(timed, "key", split, WASMILL_UTF8, WASMILL_I64), other = keyed;
	if (wasmill_same(by, "both")) {
		other = wasmill_key_value_by(timed, "other-key", split, WASMILL_UTF8, WASMILL_I64);
	} else if (window > 0) {
		keyed = wasmill_window(keyed, cut);
	}
	wasmill_stream results = results_of(by, keyed, other, cut);
	wasmill_connector sink = wasmill_with(wasmill_file_sink(wasmill_param(job, "output", "directory to write")), "format", "json");
	wasmill_sink_to(wasmill_uid(results, "results"), wasmill_with(sink, "updates", wasmill_param_or(job, "updates", "final", "which rows are written: final or all")));
}
