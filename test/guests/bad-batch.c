// Bad-batch emits, at record `at`, a batch whose offsets lead out of it.
#include "job.h"

static wasmill_bytes emit_nonsense(const wasmill_record *r) {
	static const uint32_t batch[] = {1, WASMILL__VALUES, 1, 48, 0, 8, 0, 0, /* offsets */ 0, 4096, /* values */ 7, 7};
	if (struck(r)) wasmill_host_emit(0, batch, sizeof batch);
	return r->value;
}

WASMILL_JOB("bad-batch") { define_job(job, "emit-nonsense", emit_nonsense); }
