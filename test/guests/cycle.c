// Cycle is a graph in which two functions feed each other.
#include "wasmill.h"

static wasmill_bytes same(const wasmill_record *r) { return r->value; }

WASMILL_JOB("cycle") {
	wasmill_stream first = wasmill_map(wasmill_source(job, wasmill_generator()), "first", same, WASMILL_UTF8);
	wasmill_stream second = wasmill_map(first, "second", same, WASMILL_UTF8);
	first.op->inputs[0] = second;
	wasmill_sink_to(second, wasmill_blackhole());
}
