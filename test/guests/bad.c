// Bad is a job that is wrong in the way that `what` says. Each must be told of before it runs, or at its first records.
#include "work.h"

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(24);
	work_number(&l, r->timestamp);
	return work_end(l);
}

static int64_t asked;

// fickle makes a key of how often it was asked.
static wasmill_bytes fickle(const wasmill_record *r) {
	(void)r;
	work_line l = work_begin(24);
	work_number(&l, asked++);
	return work_end(l);
}

static wasmill_bytes whole(const wasmill_record *r) { return r->value; }

static void nothing(wasmill_context *c, const wasmill_record *r) { (void)c, (void)r; }

static void late(wasmill_context *c, wasmill_clock clock, int64_t time) { (void)c, (void)clock, (void)time; }

WASMILL_JOB("bad") {
	const char *what = wasmill_param(job, "what", "key, uid, window, bounds, codec, state or timers");
	wasmill_stream lines = work_source(job, "input", "make", make);
	wasmill_keyed keyed = wasmill_key_by(lines, "whose", wasmill_same(what, "key") ? fickle : whole, WASMILL_UTF8);
	wasmill_processor p = {.process = nothing, .codec = WASMILL_UTF8};
	wasmill_stream out = wasmill_uid(wasmill_count(keyed), "counts");
	if (wasmill_same(what, "uid")) out = wasmill_count(keyed);
	if (wasmill_same(what, "window")) out = wasmill_uid(wasmill_count(wasmill_window(keyed, wasmill_tumbling(-5))), "windows");
	if (wasmill_same(what, "bounds")) out = wasmill_uid(wasmill_interval_join(keyed, keyed, (wasmill_interval){.lower_ms = 5, .upper_ms = -5}), "join");
	if (wasmill_same(what, "codec")) out = wasmill_uid(wasmill_sum(keyed), "sum");
	if (wasmill_same(what, "timers")) {
		p.timer = late;
		out = wasmill_process_stream(lines, "timers", p);
	}
	if (wasmill_same(what, "state")) {
		p.states[0] = (wasmill_state){.name = "last", .kind = WASMILL_VALUE_STATE, .codec = WASMILL_UTF8};
		out = wasmill_uid(wasmill_process_stream(lines, "states", p), "states");
	}
	wasmill_sink_to(out, wasmill_blackhole());
}
