// Windows adds up values in tumbling windows of event time; lines come out of order, and some too late.
//
//	in           key,time,value       time: milliseconds >= 0; value: a whole number
//	out results  start,key,value      the sum (or with by=count the number) of the lines of a key in the window that
//	                                  begins at start and is `window` ms long; with `slide`, one begins every so many ms;
//	                                  with `gap`, in the session that begins at start
//	out late     key,time,value       the lines that came when their window was over, as they were read
//
// A checker must find: each line in a window's result or in late, never in both and never twice; each (start, key) in one
// result. With one reader of one file, a line is late exactly if the end of its window is at most the watermark at that
// time: the largest time of the lines that the host had taken in batches before it, less `disorder`, less 1. Which lines
// shared a batch is the host's choice, so a line that is surely late must be at least `disorder` + `window` behind one
// that is far ahead of it in the file; one that is at most `disorder` behind all others is never late.
//
// Built with VERSION 2, sums are kept as text, in schema version 2 of what was a number in version 0.
#include "work.h"

#ifndef VERSION
#define VERSION 1
#endif

static int64_t keys, disorder, late_every;

// A line that is made is up to `disorder` behind its number; every `lateevery`-th one is far behind.
static wasmill_bytes make(const wasmill_record *r) {
	uint64_t x = work_mix((uint64_t)r->timestamp);
	int64_t time = r->timestamp - (int64_t)(x % (uint64_t)(disorder + 1));
	if (late_every > 0 && r->timestamp % late_every == late_every - 1) time = r->timestamp / 2;
	work_line l = work_begin(72);
	work_number(&l, (int64_t)((x >> 32) % (uint64_t)keys));
	work_char(&l, ',');
	work_number(&l, time < 0 ? 0 : time);
	work_char(&l, ',');
	work_number(&l, (int64_t)(x >> 50 & 1023));
	return work_end(l);
}

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }

static int64_t marked(const wasmill_record *r, int64_t *watermark) {
	int64_t time = time_of(r);
	*watermark = time - disorder - 1;
	return time;
}

static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

#if VERSION == 1
static wasmill_bytes kept(int64_t sum) { return wasmill_i64(sum); }
static int64_t sum_of(wasmill_bytes kept) { return wasmill_as_i64(kept); }
#else
static wasmill_bytes kept(int64_t sum) {
	work_line l = work_begin(24);
	work_number(&l, sum);
	return work_end(l);
}

static int64_t sum_of(wasmill_bytes kept) { return work_int(kept, 0); }

static wasmill_bytes text_of(uint32_t from, wasmill_bytes key, wasmill_bytes number) {
	(void)key;
	if (from != 0 || number.size != 8) wasmill_fail("a sum that is no number of version 0");
	return kept(wasmill_as_i64(number));
}
#endif

static wasmill_bytes nothing(void) { return kept(0); }
static wasmill_bytes include(wasmill_bytes sum, wasmill_bytes line) { return kept(sum_of(sum) + work_int(line, 2)); }
static wasmill_bytes both(wasmill_bytes a, wasmill_bytes b) { return kept(sum_of(a) + sum_of(b)); }
static wasmill_bytes result_of(wasmill_bytes sum) { return wasmill_i64(sum_of(sum)); }

WASMILL_JOB("windows") {
	keys = wasmill_param_i64_or(job, "keys", 100, "keys of the lines that are made");
	disorder = wasmill_param_i64_or(job, "disorder", 100, "how far a line may be behind, in milliseconds");
	late_every = wasmill_param_i64_or(job, "lateevery", 1000, "every so many of the lines that are made is far behind; 0: none");
	int64_t size = wasmill_param_i64_or(job, "window", 1000, "length of a window in milliseconds");
	int64_t slide = wasmill_param_i64_or(job, "slide", 0, "milliseconds between the beginnings of windows; 0: window");
	const char *clock = wasmill_param_or(job, "clock", "event", "time that windows cut: event or processing");
	const char *by = wasmill_param_or(job, "by", "sum", "what a window's result is: sum, by the guest, or count, by the host");
	if (keys < 1 || disorder < 0) wasmill_refuse(job, "keys: fewer than 1, or disorder: negative");
	bool count = wasmill_same(by, "count");
	if (!count && !wasmill_same(by, "sum")) wasmill_refuse_param(job, "by", by, "sum or count");
	wasmill_stream lines = work_source(job, "input", "make", make);
	wasmill_stream timed = wasmill_same(wasmill_param_or(job, "marks", "host", "who says what the watermarks are: host or guest"), "guest")
		? wasmill_assign_watermarks(lines, "time", marked) : wasmill_assign_timestamps(lines, "time", time_of, disorder);
	int64_t idle = wasmill_param_i64_or(job, "idle", 0, "milliseconds after which a split that has nothing is idle; 0: never");
	if (idle != 0) timed = wasmill_idleness(timed, idle);
	int64_t gap = wasmill_param_i64_or(job, "gap", 0, "silence in milliseconds between sessions; 0: windows of a size");
	wasmill_time_window window = gap > 0 ? wasmill_session(gap) : slide > 0 ? wasmill_sliding(size, slide) : wasmill_tumbling(size);
	window.lateness_ms = wasmill_param_i64_or(job, "lateness", 0, "how long a window takes late lines, in milliseconds");
	window.processing_time = wasmill_same(clock, "processing");
	wasmill_keyed cut = wasmill_window(wasmill_key_by(timed, "key", key_of, WASMILL_UTF8), window);
	wasmill_aggregator sum = {nothing, include, both, result_of, VERSION == 1 ? WASMILL_I64 : WASMILL_UTF8, WASMILL_I64};
	wasmill_stream results = wasmill_uid(count ? wasmill_count(cut) : wasmill_aggregate(cut, "sum", sum), "windows");
#if VERSION == 2
	if (!count) wasmill_accumulators(results, (wasmill_state){.version = 2, .migrate = text_of});
#endif
	const char *output = wasmill_param(job, "output", "directory to write");
	wasmill_sink_to(results, wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/results")), "columns", "start,key,value"));
	work_sink(wasmill_late(results), "late");
}
