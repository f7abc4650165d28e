// Bad-pointer emits a batch that lies outside of its memory, at record `at`.
#include "job.h"

static wasmill_bytes emit_nowhere(const wasmill_record *r) {
	if (struck(r)) wasmill_host_emit(0, (const void *)0xfffff000, 64);
	return r->value;
}

WASMILL_JOB("bad-pointer") { define_job(job, "emit-nowhere", emit_nowhere); }
