// What most of these guests are: a generator, one function that does something wrong at record number `at`, and a sink.
// A generated record's event time is its number, so the same record is struck in every instance and every retry.
#include "wasmill.h"

static int64_t at;

static inline bool struck(const wasmill_record *r) { return r->timestamp == at; }

static inline void define_job(wasmill_job *job, const char *name, wasmill_map_fn deed) {
	at = wasmill_param_i64_or(job, "at", 0, "number of the record that it goes wrong at");
	const char *output = wasmill_param_or(job, "output", "", "directory to write; none: nothing is written");
	wasmill_connector source = wasmill_with(wasmill_generator(), "count", wasmill_param_or(job, "count", "100000", "records in all"));
	source = wasmill_with(source, "rate", wasmill_param_or(job, "rate", "0", "records a second; 0: as many as are taken"));
	wasmill_stream done = wasmill_map(wasmill_source(job, source), name, deed, WASMILL_UTF8);
	wasmill_sink_to(done, *output == 0 ? wasmill_blackhole() : wasmill_file_sink(output));
}
