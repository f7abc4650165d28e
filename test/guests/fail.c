// Fail refuses record `at` in an orderly way: the instance stays good.
#include "job.h"

static wasmill_bytes fail(const wasmill_record *r) {
	if (struck(r)) wasmill_fail("this record is not to my taste");
	return r->value;
}

WASMILL_JOB("fail") { define_job(job, "fail", fail); }
