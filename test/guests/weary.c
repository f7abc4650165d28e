// Weary has a window function over lines that takes its time: a window of many keys fires for long.
//
//	in           key,time             time: milliseconds >= 0; without files, line n is n % keys and n
//	out          key,start,lines      a result: what the window that begins at start has of the key
//
// Parameters: keys (1000), window (1000 ms), gap: windows are sessions with that silence between them, effort: turns of a loop for each
// result, about a nanosecond each.
#include "work.h"

static int64_t keys, effort;
static volatile uint64_t tired;

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(64);
	work_char(&l, 'k');
	work_number(&l, r->timestamp % keys);
	work_char(&l, ',');
	work_number(&l, r->timestamp);
	return work_end(l);
}

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static void result(wasmill_context *c, const wasmill_co_group *window) {
	uint64_t x = (uint64_t)effort;
	for (int64_t i = 0; i < effort; i++) x = work_mix(x);
	tired = x;
	int64_t lines = 0;
	for (wasmill_records r = wasmill_records_of(window, 0); wasmill_next_record(&r);) lines++;
	work_line l = work_begin(64 + c->key.size);
	work_text(&l, c->key);
	work_char(&l, ',');
	work_number(&l, c->start);
	work_char(&l, ',');
	work_number(&l, lines);
	wasmill_bytes line = work_end(l);
	wasmill_emit(c->out, line.data, line.size);
}

WASMILL_JOB("weary") {
	keys = wasmill_param_i64_or(job, "keys", 1000, "how many keys there are");
	effort = wasmill_param_i64_or(job, "effort", 0, "turns of a loop for each result");
	int64_t size = wasmill_param_i64_or(job, "window", 1000, "length of a window in milliseconds");
	int64_t gap = wasmill_param_i64_or(job, "gap", 0, "silence between two sessions in milliseconds, 0: windows have a length");
	wasmill_stream lines = wasmill_assign_timestamps(work_source(job, "input", "lines", make), "time", time_of, 0);
	wasmill_keyed in = wasmill_window(wasmill_key_by(lines, "key", key_of, WASMILL_UTF8), gap > 0 ? wasmill_session(gap) : wasmill_tumbling(size));
	wasmill_stream results = wasmill_uid(wasmill_process_window(in, "weary", (wasmill_processor){.window = result, .codec = WASMILL_UTF8}), "weary");
	wasmill_sink_to(results, wasmill_file_sink(wasmill_param(job, "output", "directory to write")));
}
