// Recurse calls itself without end at record `at`. Its frames are machine stack: none of the linear memory is used up.
#include "job.h"

#pragma clang diagnostic ignored "-Winfinite-recursion"
static volatile uint32_t depth;

__attribute__((noinline)) static uint32_t deeper(uint32_t n) {
	depth = n;
	return deeper(n + 1) + depth;
}

static wasmill_bytes recurse(const wasmill_record *r) {
	if (struck(r)) depth = deeper(0);
	return r->value;
}

WASMILL_JOB("recurse") { define_job(job, "recurse", recurse); }
