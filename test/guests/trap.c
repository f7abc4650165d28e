// Trap crashes at record `at`, in a function whose name the stack trace should have.
#include "job.h"

__attribute__((noinline)) static void crash_on_purpose(const wasmill_record *r) {
	if (struck(r)) __builtin_trap();
}

static wasmill_bytes trap(const wasmill_record *r) {
	crash_on_purpose(r);
	return r->value;
}

WASMILL_JOB("trap") { define_job(job, "trap", trap); }
