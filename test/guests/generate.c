// Generate sends records through an exchange to a sink that may be slow: two chains, which may lie on two TaskManagers.
#include "wasmill.h"

WASMILL_JOB("generate") {
	wasmill_connector source = wasmill_generator(), sink = wasmill_blackhole();
	source = wasmill_with(source, "count", wasmill_param_or(job, "count", "0", "records in all; 0: without end"));
	source = wasmill_with(source, "rate", wasmill_param_or(job, "rate", "0", "records a second; 0: as many as are taken"));
	source = wasmill_with(source, "size", wasmill_param_or(job, "size", "100", "bytes of a record"));
	sink = wasmill_with(sink, "rate", wasmill_param_or(job, "sinkrate", "0", "records a second that the sink takes; 0: all"));
	wasmill_sink_to(wasmill_rebalance(wasmill_source(job, source)), sink);
}
