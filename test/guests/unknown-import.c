// Unknown-import calls functions that no host of this version has.
#include "job.h"

__attribute__((import_module("wasmill"), import_name("teleport"))) void teleport(uint32_t record);
__attribute__((import_module("env"), import_name("system"))) uint32_t run_command(const char *command);

static wasmill_bytes beam(const wasmill_record *r) {
	if (struck(r)) teleport(run_command("date"));
	return r->value;
}

WASMILL_JOB("unknown-import") { define_job(job, "beam", beam); }
