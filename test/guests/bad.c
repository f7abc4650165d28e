// Bad is a job that is wrong in the way that `what` says. Each must be told of before it runs, or at its first records. Two are not
// wrong: global counts, and offset has windows that begin before the multiples of their size.
#include "work.h"

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(24);
	work_number(&l, r->timestamp);
	return work_end(l);
}

static int64_t hours(const wasmill_record *r) { return 3600000 * (int64_t)r->value.size; }

static int64_t asked;

// fickle makes a key of how often it was asked.
static wasmill_bytes fickle(const wasmill_record *r) {
	(void)r;
	work_line l = work_begin(24);
	work_number(&l, asked++);
	return work_end(l);
}

static wasmill_bytes whole(const wasmill_record *r) { return r->value; }

// cut makes a key of three bytes, which is said to be a number.
static wasmill_bytes cut(const wasmill_record *r) {
	(void)r;
	return (wasmill_bytes){(const uint8_t *)"abc", 3};
}

static void nothing(wasmill_context *c, const wasmill_record *r) { (void)c, (void)r; }

static void alarm(wasmill_context *c, const wasmill_record *r) { wasmill_set_timer(c, WASMILL_EVENT_TIME, r->timestamp); }

static void late(wasmill_context *c, wasmill_clock clock, int64_t time) { (void)c, (void)clock, (void)time; }

// cuts is a window that is wrong, or one of those that are not.
static wasmill_time_window cuts(const char *what) {
	wasmill_time_window w = wasmill_tumbling(1000);
	if (wasmill_same(what, "window")) w = wasmill_tumbling(-5);
	if (wasmill_same(what, "gap")) w = wasmill_session(0);
	if (wasmill_same(what, "records")) w = wasmill_count_window(0);
	if (wasmill_same(what, "slide")) w = wasmill_sliding(1000, 60000);
	if (wasmill_same(what, "still")) w = wasmill_sliding(1000, 0);
	if (wasmill_same(what, "lateness")) w.lateness_ms = -1;
	if (wasmill_same(what, "far")) w.offset_ms = -1000;
	if (wasmill_same(what, "trigger")) w = wasmill_global_window((wasmill_trigger){0});
	if (wasmill_same(what, "endless")) w = wasmill_full_window();
	if (wasmill_same(what, "global")) w = wasmill_global_window((wasmill_trigger){.kind = WASMILL_AT_COUNT, .count = 2, .purging = true});
	if (wasmill_same(what, "offset")) w = (wasmill_time_window){.size_ms = 86400000, .offset_ms = -28800000};
	return w;
}

// joined is a join that is wrong.
static wasmill_stream joined(const char *what, wasmill_keyed a) {
	if (wasmill_same(what, "unwindowed")) return wasmill_window_join(a, a, (wasmill_time_window){0}, WASMILL_INNER);
	if (wasmill_same(what, "alltime")) return wasmill_window_join(a, a, (wasmill_time_window){.all = true, .lateness_ms = 1000}, WASMILL_INNER);
	if (wasmill_same(what, "unbounded")) return wasmill_interval_join(a, a, (wasmill_interval){0});
	return wasmill_interval_join(a, a, (wasmill_interval){.lower_ms = 5, .upper_ms = -5});
}

static bool among(const char *what, const char *const *names) {
	for (; *names != NULL; names++) {
		if (wasmill_same(what, *names)) return true;
	}
	return false;
}

static wasmill_stream processed(const char *what, wasmill_stream lines) {
	wasmill_processor p = {.process = nothing, .codec = WASMILL_UTF8};
	if (wasmill_same(what, "timers")) p.timer = late;
	if (wasmill_same(what, "state")) p.states[0] = (wasmill_state){.name = "last", .kind = WASMILL_VALUE_STATE, .codec = WASMILL_UTF8};
	return wasmill_process_stream(lines, what, p);
}

// made is what is wrong.
static wasmill_stream made(const char *what, wasmill_stream lines) {
	static const char *const windows[] = {"window", "gap", "records", "slide", "still", "lateness", "far", "trigger", "endless", "global", "offset", NULL};
	static const char *const joins[] = {"bounds", "unbounded", "unwindowed", "alltime", NULL};
	if (wasmill_same(what, "timers") || wasmill_same(what, "state")) return processed(what, lines);
	if (wasmill_same(what, "key")) return wasmill_count(wasmill_key_by(lines, "fickle", fickle, WASMILL_UTF8));
	if (wasmill_same(what, "length")) return wasmill_count(wasmill_key_by(lines, "cut", cut, WASMILL_I64));
	if (wasmill_same(what, "json")) return wasmill_count(wasmill_key_by(lines, "json", whole, WASMILL_JSON));
	wasmill_keyed keyed = wasmill_key_by(lines, "whose", whole, WASMILL_UTF8);
	if (among(what, windows)) return wasmill_name(wasmill_count(wasmill_window(keyed, cuts(what))), "counts");
	if (among(what, joins)) return joined(what, keyed);
	if (wasmill_same(what, "keys")) return wasmill_window_join(keyed, wasmill_key_by(lines, "cut", cut, WASMILL_I64), wasmill_tumbling(1000), WASMILL_INNER);
	if (wasmill_same(what, "codec")) return wasmill_sum(keyed);
	if (wasmill_same(what, "rows")) return wasmill_aggregates(keyed, "row(key: i64, n: i64)", WASMILL_AGG("n", "count", ""));
	if (wasmill_same(what, "timer")) return wasmill_process(keyed, "alarm", (wasmill_processor){.process = alarm, .codec = WASMILL_UTF8});
	return wasmill_count(keyed);
}

WASMILL_JOB("bad") {
	const char *what = wasmill_param(job, "what", "in which way");
	const char *output = wasmill_param_or(job, "output", "", "directory to write, of those that are not wrong");
	wasmill_stream lines = wasmill_assign_timestamps(work_source(job, "input", "make", make), "times", hours, 0);
	if (wasmill_same(what, "endless")) {
		wasmill_sink_to(lines, wasmill_blackhole());
		lines = wasmill_source(job, wasmill_generator());
	}
	wasmill_stream out = made(what, lines);
	if (!wasmill_same(what, "uid")) out = wasmill_uid(out, "u");
	if (wasmill_same(what, "union")) out = wasmill_union((wasmill_stream[]){out, lines}, 2);
	wasmill_sink_to(out, *output == 0 ? wasmill_blackhole() : wasmill_file_sink(output));
}
