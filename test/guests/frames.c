// Frames has a window function over lines, in windows of any kind with any trigger and evictor.
//
//	in           key,time,value       time: milliseconds >= 0; value: a whole number >= 0
//	out results  start,key,lines,sum,results,all,why
//	                                  a result: the begin of the window (0 without one), what it has, the number of this result of
//	                                  the window (0 where that is not kept), how many lines results of the key have had so far,
//	                                  and 0 on time, 1 early, 2 late
//	out late     key,time,value       the lines that came when their window was over
//
// With trigger=full, the guest's, a window fires and is purged when its values make `full` or more, and when it ends, or half way in
// sessions, too: each line is in one result then. With evictor=odd, the guest's, odd values leave it.
#include "work.h"

enum { ALL, RESULTS };
enum { SUM };

static int64_t full;
static bool numbered; // results of a window are

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }
static int64_t pause_of(const wasmill_record *r) { return 1 + work_int(r->value, 2) % 50; }

static wasmill_decision record(wasmill_context *c, const wasmill_record *r) {
	int64_t sum = wasmill_get_i64(c, SUM, 0) + work_int(r->value, 2);
	if (c->end > c->start) wasmill_set_timer(c, WASMILL_EVENT_TIME, c->end - 1);
	wasmill_put_i64(c, SUM, sum < full ? sum : 0);
	return sum < full ? WASMILL_CONTINUE : WASMILL_FIRE_AND_PURGE;
}

static wasmill_decision timer(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)c, (void)clock, (void)time;
	return WASMILL_FIRE_AND_PURGE;
}

static void merged(wasmill_context *c) {
	wasmill_bytes sums[64];
	int64_t sum = 0;
	for (uint32_t i = 0, n = wasmill_merged(c, SUM, sums, 64); i < n; i++) sum += wasmill_as_i64(sums[i]);
	wasmill_put_i64(c, SUM, sum);
	wasmill_set_timer(c, WASMILL_EVENT_TIME, c->end - 1);
}

static const wasmill_trigger_function own = {.record = record, .timer = timer, .merged = merged, .states = {[SUM] = {.name = "sum", .codec = WASMILL_I64}}};

static void odd(const wasmill_group *window, const wasmill_record *records, uint32_t n, bool *stay) {
	(void)window;
	for (uint32_t i = 0; i < n; i++) stay[i] = work_int(records[i].value, 2) % 2 == 0;
}

static void put(wasmill_context *c, int64_t lines, int64_t sum) {
	int64_t all = wasmill_get_i64(c, ALL, 0) + lines, results = 0;
	wasmill_put_i64(c, ALL, all);
	if (numbered) {
		results = wasmill_get_i64(c, RESULTS, 0) + 1;
		wasmill_put_i64(c, RESULTS, results);
	}
	work_line l = work_begin(160 + c->key.size);
	int64_t numbers[] = {lines, sum, results, all, (int64_t)c->timing};
	work_number(&l, c->start);
	work_char(&l, ',');
	work_text(&l, c->key);
	for (uint32_t i = 0; i < 5; i++) {
		work_char(&l, ',');
		work_number(&l, numbers[i]);
	}
	wasmill_bytes line = work_end(l);
	wasmill_emit(c->out, line.data, line.size);
}

static void whole(wasmill_context *c, const wasmill_co_group *window) {
	int64_t lines = 0, sum = 0;
	wasmill_records r = wasmill_records_of(window, 0);
	for (; wasmill_next_record(&r); lines++) sum += work_int(r.record.value, 2);
	put(c, lines, sum);
}

static wasmill_bytes kept(int64_t lines, int64_t sum) {
	int64_t *n = wasmill_scratch(16);
	n[0] = lines, n[1] = sum;
	return (wasmill_bytes){(const uint8_t *)n, 16};
}

static wasmill_bytes nothing(void) { return kept(0, 0); }
static int64_t part(wasmill_bytes kept, uint32_t i) { return wasmill_as_i64((wasmill_bytes){kept.data + 8 * i, 8}); }
static wasmill_bytes both(wasmill_bytes a, wasmill_bytes b) { return kept(part(a, 0) + part(b, 0), part(a, 1) + part(b, 1)); }
static void folded(wasmill_context *c, wasmill_bytes result) {
	put(c, part(result, 0), part(result, 1));
}

static wasmill_bytes include(wasmill_bytes a, wasmill_bytes line) { return both(a, kept(1, work_int(line, 2))); }
static wasmill_bytes same(wasmill_bytes a) { return a; }

static wasmill_keyed cut(wasmill_job *job, wasmill_keyed in) {
	const char *kind = wasmill_param_or(job, "kind", "tumbling", "tumbling, sliding, session, pause (sessions whose gap a line says), global or full (the same at the end of the input)");
	int64_t size = wasmill_param_i64_or(job, "window", 1000, "length of a window, or gap of a session, in milliseconds");
	const char *trigger = wasmill_param_or(job, "trigger", "none", "none, full (the guest's), or what the host knows");
	wasmill_time_window w = wasmill_tumbling(size);
	if (wasmill_same(kind, "sliding")) w = wasmill_sliding(size, size / 4);
	if (wasmill_same(kind, "session")) w = wasmill_session(size);
	if (wasmill_same(kind, "global")) w = (wasmill_time_window){.global = true};
	if (wasmill_same(kind, "full")) w = wasmill_full_window();
	wasmill_keyed out = wasmill_same(kind, "pause") ? wasmill_session_by(in, "pause", pause_of) : wasmill_window(in, w);
	out.window.lateness_ms = wasmill_param_i64_or(job, "lateness", 0, "how long a window takes late lines, in milliseconds");
	if (wasmill_same(trigger, "full")) {
		out = wasmill_trigger_by(out, "full", own);
	} else if (!wasmill_same(trigger, "none")) {
		int64_t n = wasmill_param_i64_or(job, "every", 3, "of triggers that count, or have steps in milliseconds");
		bool counts = wasmill_same(trigger, WASMILL_AT_COUNT);
		out.window.trigger = (wasmill_trigger){.kind = trigger, .count = counts ? n : 0, .every_ms = counts ? 0 : n,
			.purging = wasmill_same(wasmill_param_or(job, "purging", "no", "yes or no"), "yes")};
	}
	const char *evictor = wasmill_param_or(job, "evictor", "none", "none, odd (the guest's) or count");
	if (wasmill_same(evictor, "odd")) out = wasmill_evict_by(out, "odd", false, odd);
	if (wasmill_same(evictor, "count")) out.window.evictor = (wasmill_evictor){.kind = WASMILL_EVICT_COUNT, .count = 2};
	return out;
}

WASMILL_JOB("frames") {
	full = wasmill_param_i64_or(job, "full", 1000, "when the trigger full fires");
	wasmill_stream lines = wasmill_source(job, wasmill_files(wasmill_param(job, "input", "files to read")));
	wasmill_stream timed = wasmill_assign_timestamps(lines, "time", time_of, wasmill_param_i64_or(job, "disorder", 100, "how far a line may be behind, in milliseconds"));
	wasmill_keyed in = cut(job, wasmill_key_by(timed, "key", key_of, WASMILL_UTF8));
	wasmill_processor p = {.window = whole, .folded = folded, .codec = WASMILL_UTF8, .states = {[ALL] = {.name = "all", .codec = WASMILL_I64}}};
	numbered = in.window.gap == NULL && in.window.gap_ms == 0;
	if (numbered) p.states[RESULTS] = (wasmill_state){.name = "results", .codec = WASMILL_I64, .of_window = true};
	bool fold = wasmill_same(wasmill_param_or(job, "fold", "no", "whether lines are folded when they come: yes or no"), "yes");
	wasmill_aggregator sums = {nothing, include, both, same, WASMILL_BYTES, WASMILL_BYTES};
	wasmill_stream results = wasmill_uid(fold ? wasmill_aggregate_window_with(in, "frames", sums, p) : wasmill_process_window(in, "frames", p), "frames");
	const char *output = wasmill_param(job, "output", "directory to write");
	wasmill_sink_to(results, wasmill_file_sink(WASMILL__JOINED(output, "/results")));
	work_sink(wasmill_late(results), "late");
}
