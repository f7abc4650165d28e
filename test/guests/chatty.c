// Chatty logs a line for every record.
#include "job.h"

static wasmill_bytes chat(const wasmill_record *r) {
	wasmill_log(struck(r) ? WASMILL_ERROR : WASMILL_INFO, "I have seen a record and want you to know");
	return r->value;
}

WASMILL_JOB("chatty") { define_job(job, "chat", chat); }
