// Lies describes another graph in every instance.
#include "wasmill.h"

__attribute__((import_module("wasi_snapshot_preview1"), import_name("random_get"))) uint32_t random_get(void *p, uint32_t size);

static wasmill_bytes same(const wasmill_record *r) { return r->value; }

WASMILL_JOB("lies") {
	static char name[9];
	random_get(name, 8);
	for (uint32_t i = 0; i < 8; i++) name[i] = (char)('a' + (name[i] & 15));
	wasmill_stream s = wasmill_map(wasmill_source(job, wasmill_generator()), name, same, WASMILL_UTF8);
	wasmill_sink_to(s, wasmill_blackhole());
}
