// Passthrough copies lines of files to files.
#include "wasmill.h"

static wasmill_bytes same(const wasmill_record *line) { return line->value; }

WASMILL_JOB("passthrough") {
	wasmill_connector files = wasmill_files(wasmill_param(job, "input", "file or glob to read"));
	wasmill_connector sink = wasmill_file_sink(wasmill_param(job, "output", "directory to write"));
	wasmill_sink_to(wasmill_map(wasmill_source(job, files), "same", same, WASMILL_UTF8), sink);
}
