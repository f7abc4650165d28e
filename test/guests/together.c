// Together joins two inputs in windows of event time.
//
//	in left         key,time,id
//	in right        key,time,value
//	out together    as `shape` says
//	out early       the left lines that came too late for all of their windows
//	out other       the right ones
//
//	cogroup    start,key,n,sum,n,sum    for each key in a window that begins at start: how many left lines there are, and the sum of
//	                                    their ids; how many right ones, and the sum of their values
//	function   key,time,id,value        for each two lines of one key in a window; of an outer join also one line without the
//	native     the same                 other: "-" in its place, but the key of the left line is gone with it
//
// With meet=all there are no windows: all lines of a key meet when both inputs have ended, and start is 0. Windows are `window` ms long; with `slide`, one begins every so many ms; with `gap` they are sessions. A line that is not late is in
// all of its windows, so a checker knows each result.
#include "work.h"

static wasmill_bytes no_line(const wasmill_record *r) { return r->value; }
static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }
static const wasmill_bytes none = {(const uint8_t *)"-", 1};

static wasmill_bytes joined_line(wasmill_bytes left, wasmill_bytes right) {
	wasmill_bytes value = right.data == NULL ? none : work_field(right, 2);
	if (left.data == NULL) left = none;
	work_line l = work_begin(left.size + value.size + 1);
	work_text(&l, left);
	work_char(&l, ',');
	work_text(&l, value);
	return work_end(l);
}

static void meet(const wasmill_record *left, const wasmill_record *right, wasmill_out *out) {
	static const wasmill_bytes missing = {NULL, 0};
	wasmill_bytes line = joined_line(left == NULL ? missing : left->value, right == NULL ? missing : right->value);
	wasmill_emit(out, line.data, line.size);
}

static wasmill_bytes of_pair(const wasmill_record *r) {
	wasmill_bytes left = {NULL, 0}, right = {NULL, 0};
	if (!wasmill_row_null(r->value, 2, 0)) left = wasmill_row_bytes(r->value, 2, 0);
	if (!wasmill_row_null(r->value, 2, 1)) right = wasmill_row_bytes(r->value, 2, 1);
	return joined_line(left, right);
}

static void both(const wasmill_co_group *g, wasmill_out *out) {
	work_line l = work_begin(g->key.size + 128);
	work_number(&l, g->start);
	work_char(&l, ',');
	work_text(&l, g->key);
	for (uint32_t input = 0; input < 2; input++) {
		int64_t n = 0, sum = 0;
		wasmill_records r = wasmill_records_of(g, input);
		for (; wasmill_next_record(&r); n++) sum += work_int(r.record.value, 2);
		work_char(&l, ',');
		work_number(&l, n);
		work_char(&l, ',');
		work_number(&l, sum);
	}
	wasmill_bytes line = work_end(l);
	wasmill_emit(out, line.data, line.size);
}

static wasmill_outer outer_of(wasmill_job *job) {
	const char *outer = wasmill_param_or(job, "outer", "", "whose lines come out without one of the other input: left, right, full or none");
	if (*outer == 0) return WASMILL_INNER;
	if (wasmill_same(outer, "left")) return WASMILL_LEFT_OUTER;
	if (wasmill_same(outer, "right")) return WASMILL_RIGHT_OUTER;
	if (!wasmill_same(outer, "full")) wasmill_refuse_param(job, "outer", outer, "left, right, full or nothing");
	return WASMILL_FULL_OUTER;
}

WASMILL_JOB("together") {
	int64_t disorder = wasmill_param_i64_or(job, "disorder", 100, "how far a line may be behind, in milliseconds");
	int64_t gap = wasmill_param_i64_or(job, "gap", 0, "silence in milliseconds between sessions; 0: windows of a size");
	wasmill_time_window window = {.size_ms = wasmill_param_i64_or(job, "window", 300, "length of a window in milliseconds"),
		.slide_ms = wasmill_param_i64_or(job, "slide", 0, "milliseconds between the beginnings of windows; 0: window")};
	if (gap > 0) window = wasmill_session(gap);
	window.lateness_ms = wasmill_param_i64_or(job, "lateness", 0, "how long a window takes late lines, in milliseconds");
	if (wasmill_same(wasmill_param_or(job, "meet", "window", "which lines meet: those of a window, or all"), "all")) window = wasmill_all_time();
	wasmill_outer outer = outer_of(job);
	const char *shape = wasmill_param_or(job, "shape", "cogroup", "what comes out: cogroup, function or native");
	wasmill_keyed left = wasmill_key_by(wasmill_assign_timestamps(work_source(job, "left", "make-left", no_line), "left-time", time_of, disorder), "left-key", key_of, WASMILL_UTF8);
	wasmill_keyed right = wasmill_key_by(wasmill_assign_timestamps(work_source(job, "right", "make-right", no_line), "right-time", time_of, disorder), "right-key", key_of, WASMILL_UTF8);
	wasmill_stream joined, lines;
	if (wasmill_same(shape, "native")) {
		joined = wasmill_window_join(left, right, window, outer);
		lines = wasmill_map(joined, "lines", of_pair, WASMILL_UTF8);
	} else if (wasmill_same(shape, "function")) {
		lines = joined = wasmill_window_join_to(left, right, window, outer, "together", meet, WASMILL_UTF8);
	} else {
		if (!wasmill_same(shape, "cogroup")) wasmill_refuse_param(job, "shape", shape, "cogroup, function or native");
		lines = joined = wasmill_co_group_to(left, right, window, "together", both, WASMILL_UTF8);
		joined.op->outer = outer; // the host refuses it
	}
	wasmill_uid(joined, "together");
	work_sink(lines, "together");
	work_sink(wasmill_late(joined), "early");
	work_sink(wasmill_late_right(joined), "other");
}
