// Dealt writes its lines by subtasks that they were dealt to, in the way that `by` says: the names of the files say which.
//
//	out  number,text
#include "work.h"

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(48);
	work_number(&l, r->timestamp);
	work_text(&l, wasmill_string(",line"));
	return work_end(l);
}

// last sends numbers that end in 9 to the last subtask, and all others by their remainder to the ones before.
static uint32_t last(const wasmill_record *r, uint32_t receivers) {
	int64_t n = work_int(r->value, 0);
	if (n % 1000 == 999) return receivers; // none of them
	return n % 10 == 9 ? receivers - 1 : (uint32_t)(n % (receivers - 1));
}

// in_range has the first subtask have the smallest numbers.
static uint32_t in_range(const wasmill_record *r, uint32_t receivers) {
	static const int64_t bounds[] = {1000, 4000, 12000};
	return wasmill_range(work_int(r->value, 0), bounds, 3, receivers);
}

WASMILL_JOB("dealt") {
	const char *by = wasmill_param(job, "by", "rebalance, shuffle, rescale, broadcast, global, forward, custom or range");
	wasmill_connector source = wasmill_with(wasmill_generator(), "count", wasmill_param_or(job, "count", "20000", "lines in all"));
	source = wasmill_with(source, "rate", wasmill_param_or(job, "rate", "0", "lines a second; 0: as many as are taken"));
	wasmill_stream s = wasmill_map(wasmill_source(job, source), "make", make, WASMILL_UTF8);
	if (wasmill_same(by, "rebalance")) s = wasmill_rebalance(s);
	if (wasmill_same(by, "shuffle")) s = wasmill_shuffle(s);
	if (wasmill_same(by, "rescale")) s = wasmill_rescale(s);
	if (wasmill_same(by, "broadcast")) s = wasmill_broadcast(s);
	if (wasmill_same(by, "global")) s = wasmill_global(s);
	if (wasmill_same(by, "forward")) s = wasmill_forward(s);
	if (wasmill_same(by, "custom")) s = wasmill_on_trap(wasmill_partition_custom(s, "last", last), WASMILL_SKIP);
	if (wasmill_same(by, "range")) s = wasmill_partition_custom(s, "in-range", in_range);
	s = wasmill_sink_to(s, wasmill_file_sink(wasmill_param(job, "output", "directory to write")));
	wasmill_slot_sharing_group(s, wasmill_param_or(job, "group", "", "slot sharing group of the sink"));
	wasmill_parallelism(s, (uint32_t)wasmill_param_i64_or(job, "writers", 4, "subtasks that write"));
}
