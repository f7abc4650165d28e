// Flood emits without end at record `at`.
#include "job.h"

static void flood(const wasmill_record *r, wasmill_out *out) {
	do wasmill_emit(out, r->value.data, r->value.size);
	while (struck(r));
}

WASMILL_JOB("flood") {
	wasmill_connector source = wasmill_with(wasmill_generator(), "count", wasmill_param_or(job, "count", "100000", "records in all"));
	at = wasmill_param_i64_or(job, "at", 0, "number of the record that it goes wrong at");
	wasmill_sink_to(wasmill_flat_map(wasmill_source(job, source), "flood", flood, WASMILL_UTF8), wasmill_blackhole());
}
