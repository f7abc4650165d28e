// Drift reads two sources, of which one is slow, and writes what comes of both. The number of a record is its event time.
//
//	in slow, fast  s,number and f,number
//	out            the same
#include "work.h"

static wasmill_bytes line(const wasmill_record *r, char of) {
	work_line l = work_begin(32);
	work_char(&l, of);
	work_char(&l, ',');
	work_number(&l, r->timestamp);
	return work_end(l);
}

static wasmill_bytes of_slow(const wasmill_record *r) { return line(r, 's'); }

static wasmill_bytes of_fast(const wasmill_record *r) { return line(r, 'f'); }

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }

static wasmill_stream numbers(wasmill_job *job, const char *rate, const char *name, wasmill_map_fn f) {
	const char *path = wasmill_param_or(job, name, "", "file or glob of lines to read; none: lines are made");
	const char *count = wasmill_param_or(job, "count", "20000", "lines that are made of each source");
	wasmill_stream s = wasmill_source(job, *path != 0 ? wasmill_files(path) : wasmill_with(wasmill_with(wasmill_generator(), "count", count), "rate", rate));
	if (*path == 0) s = wasmill_map(s, name, f, WASMILL_UTF8);
	int64_t drift = wasmill_param_i64_or(job, "drift", 500, "milliseconds that a source may be ahead; 0: as many as it likes");
	int64_t idle = wasmill_param_i64_or(job, "idle", 0, "milliseconds without a line after which a split holds nobody up; 0: it always does");
	s = wasmill_assign_timestamps(s, WASMILL__JOINED("times of ", name), time_of, 0);
	if (idle > 0) s = wasmill_idleness(s, idle);
	return drift > 0 ? wasmill_alignment(s, "both", drift) : s;
}

WASMILL_JOB("drift") {
	const char *rate = wasmill_param_or(job, "rate", "2000", "lines a second that are made of the slow source");
	wasmill_stream both[2] = {numbers(job, rate, "slow", of_slow), numbers(job, "0", "fast", of_fast)};
	work_sink(wasmill_union(both, 2), "");
}
