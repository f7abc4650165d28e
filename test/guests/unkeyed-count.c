// Unkeyed-count counts records that have no key.
#include "wasmill.h"

WASMILL_JOB("unkeyed-count") {
	wasmill_stream lines = wasmill_source(job, wasmill_generator());
	lines.op->key = WASMILL_UTF8;
	wasmill_stream counts = wasmill_count((wasmill_keyed){lines.job, lines.op, 0});
	lines.op->key = NULL;
	wasmill_sink_to(wasmill_uid(counts, "counts"), wasmill_blackhole());
}
