// Spin never comes back from record `at`.
#include "job.h"

static volatile uint32_t turns;

static wasmill_bytes spin(const wasmill_record *r) {
	while (struck(r)) turns++;
	return r->value;
}

WASMILL_JOB("spin") { define_job(job, "spin", spin); }
