// Met has all lines of two inputs meet that have the same key, whatever their times.
//
//	in left, right    key,id
//	out               key,left id,right id, where one that is missing is a dash
//
// hint says how it is done in batch mode, outer whose lines come out alone: left, right, full or none.
#include "work.h"

static wasmill_bytes no_line(const wasmill_record *r) { return r->value; }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static void id_of(work_line *l, const wasmill_record *r) {
	work_char(l, ',');
	if (r == NULL) {
		work_char(l, '-');
		return;
	}
	work_text(l, work_field(r->value, 1));
}

static void meet(const wasmill_record *left, const wasmill_record *right, wasmill_out *out) {
	const wasmill_record *some = left != NULL ? left : right;
	work_line l = work_begin((left != NULL ? left->value.size : 0) + (right != NULL ? right->value.size : 0) + 8);
	work_text(&l, work_field(some->value, 0));
	id_of(&l, left);
	id_of(&l, right);
	wasmill_bytes made = work_end(l);
	wasmill_emit(out, made.data, made.size);
}

WASMILL_JOB("met") {
	const char *outer = wasmill_param_or(job, "outer", "none", "whose lines come out alone: left, right, full or none");
	const char *hint = wasmill_param_or(job, "hint", "", "how it is done in batch mode");
	wasmill_outer which = wasmill_same(outer, "left") ? WASMILL_LEFT_OUTER : wasmill_same(outer, "right") ? WASMILL_RIGHT_OUTER : wasmill_same(outer, "full") ? WASMILL_FULL_OUTER : WASMILL_INNER;
	wasmill_keyed left = wasmill_key_by(wasmill_rebalance(work_source(job, "left", "make left", no_line)), "left key", key_of, WASMILL_UTF8);
	wasmill_keyed right = wasmill_key_by(wasmill_rebalance(work_source(job, "right", "make right", no_line)), "right key", key_of, WASMILL_UTF8);
	wasmill_stream met = wasmill_window_join_to(left, right, wasmill_all_time(), which, "met", meet, WASMILL_UTF8);
	if (*hint != 0) met = wasmill_join_hint(met, hint);
	work_sink(wasmill_uid(met, "met"), "");
}
