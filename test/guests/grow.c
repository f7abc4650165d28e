// Grow takes all the memory that it can get at record `at`, uses it, and crashes when there is no more.
#include "job.h"

static wasmill_bytes grow(const wasmill_record *r) {
	while (struck(r)) {
		size_t page = __builtin_wasm_memory_grow(0, 16);
		if (page == (size_t)-1) __builtin_trap();
		for (uint32_t i = 0; i < 16; i++) *(volatile uint8_t *)((page + i) << 16) = 1;
	}
	return r->value;
}

WASMILL_JOB("grow") { define_job(job, "grow", grow); }
