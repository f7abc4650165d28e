// Nearby joins two inputs by key and by how near their times are.
//
//	in left      key,time,id
//	in right     key,time,value
//	out joined   key,time,id,value  for each two of one key with time + lower <= time of the right one < time + upper
//	out early    the left lines that came behind the watermark
//	out other    the right ones
//
// With the parameter native, the host makes the pairs, and a function behind the join writes them as lines: without their key
// and time, id,value. A line that is not late meets every other that is not, so a checker finds each pair of those once.
#include "work.h"

static wasmill_bytes no_line(const wasmill_record *r) { return r->value; }
static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static wasmill_bytes joined_line(wasmill_bytes left, wasmill_bytes right) {
	wasmill_bytes value = work_field(right, 2);
	work_line l = work_begin(left.size + value.size + 1);
	work_text(&l, left);
	work_char(&l, ',');
	work_text(&l, value);
	return work_end(l);
}

static void join(const wasmill_record *left, const wasmill_record *right, wasmill_out *out) {
	wasmill_bytes line = joined_line(left->value, right->value);
	wasmill_emit(out, line.data, line.size);
}

static wasmill_bytes of_pair(const wasmill_record *r) { return joined_line(wasmill_row_bytes(r->value, 2, 0), wasmill_row_bytes(r->value, 2, 1)); }

WASMILL_JOB("nearby") {
	int64_t disorder = wasmill_param_i64_or(job, "disorder", 100, "how far a line may be behind, in milliseconds");
	wasmill_interval between = {.lower_ms = wasmill_param_i64_or(job, "lower", -200, "first time that meets, in milliseconds"),
		.upper_ms = wasmill_param_i64_or(job, "upper", 300, "time behind the last that meets, in milliseconds"), .upper_exclusive = true};
	bool native = *wasmill_param_or(job, "native", "", "not empty: the host makes the pairs") != 0;
	wasmill_keyed left = wasmill_key_by(wasmill_assign_timestamps(work_source(job, "left", "make-left", no_line), "left-time", time_of, disorder), "left-key", key_of, WASMILL_UTF8);
	wasmill_keyed right = wasmill_key_by(wasmill_assign_timestamps(work_source(job, "right", "make-right", no_line), "right-time", time_of, disorder), "right-key", key_of, WASMILL_UTF8);
	wasmill_stream joined = native ? wasmill_interval_join(left, right, between) : wasmill_interval_join_to(left, right, between, "nearby", join, WASMILL_UTF8);
	joined = wasmill_uid(joined, "nearby");
	work_sink(native ? wasmill_map(joined, "lines", of_pair, WASMILL_UTF8) : joined, "joined");
	work_sink(wasmill_late(joined), "early");
	work_sink(wasmill_late_right(joined), "other");
}
