// Unknown-connector reads from a system that nobody knows.
#include "wasmill.h"

WASMILL_JOB("unknown-connector") {
	wasmill_stream letters = wasmill_source(job, (wasmill_connector){.type = "pigeon", .name = "pigeons"});
	wasmill_sink_to(letters, wasmill_blackhole());
}
