// First lets the first lines of each key by, or of all, or one of those that are equal.
//
//	in input    key,id
//	out         the lines that are let by, as `of` says
//
//	key       `n` of each key
//	all       `n` of all
//	distinct  one of each key
//	value     each line once
#include "work.h"

static wasmill_bytes no_line(const wasmill_record *r) { return r->value; }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

WASMILL_JOB("first") {
	int64_t n = wasmill_param_i64_or(job, "n", 1, "how many lines are let by");
	const char *of = wasmill_param_or(job, "of", "key", "of what: key, all, distinct or value");
	wasmill_stream lines = work_source(job, "input", "make", no_line), some;
	if (wasmill_same(of, "all")) {
		some = wasmill_first_of_all(lines, "some", (uint32_t)n);
	} else if (wasmill_same(of, "value")) {
		some = wasmill_distinct_values(lines, "some");
	} else {
		if (!wasmill_same(of, "key") && !wasmill_same(of, "distinct")) wasmill_refuse_param(job, "of", of, "key, all, distinct or value");
		wasmill_keyed keyed = wasmill_key_by(lines, "key", key_of, WASMILL_UTF8);
		some = wasmill_same(of, "key") ? wasmill_first(keyed, "some", (uint32_t)n) : wasmill_distinct(keyed, "some");
	}
	work_sink(wasmill_uid(some, "some"), "");
}
