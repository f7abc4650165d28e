// Exit ends the program at record `at`, as a C program does that sees no other way.
#include "job.h"

__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"))) _Noreturn void proc_exit(uint32_t status);

static wasmill_bytes leave(const wasmill_record *r) {
	if (struck(r)) proc_exit(3);
	return r->value;
}

WASMILL_JOB("exit") { define_job(job, "leave", leave); }
