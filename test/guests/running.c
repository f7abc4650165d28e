// Running counts how often each key has come, over keys that are made of a generator's numbers: what a benchmark of state
// needs. One key in a thousand is written out, so that the counts can be checked.
#include "work.h"

static int64_t keys, size;

// key spreads the number over the keys, all as likely, and writes it with zeros in front.
static wasmill_bytes key(const wasmill_record *r) {
	uint64_t k = work_mix((uint64_t)r->timestamp) % (uint64_t)keys;
	uint8_t *p = wasmill_scratch((uint32_t)size);
	for (int64_t i = size; i-- > 0; k /= 10) p[i] = (uint8_t)('0' + k % 10);
	return (wasmill_bytes){p, (uint32_t)size};
}

// sampled lets the rows of keys through that end in 000.
static bool sampled(const wasmill_record *r) {
	wasmill_bytes k = wasmill_row_bytes(r->value, 2, 0);
	return k.data[k.size - 1] == '0' && k.data[k.size - 2] == '0' && k.data[k.size - 3] == '0';
}

WASMILL_JOB("running") {
	keys = wasmill_param_i64_or(job, "keys", 1000000, "how many keys");
	size = wasmill_param_i64_or(job, "size", 12, "bytes of a key, at least 12");
	wasmill_connector source = wasmill_with(wasmill_generator(), "count", wasmill_param_or(job, "count", "0", "records in all; 0: without end"));
	source = wasmill_with(source, "rate", wasmill_param_or(job, "rate", "0", "records a second; 0: as many as are taken"));
	source = wasmill_with(source, "size", "1");
	const char *output = wasmill_param(job, "output", "directory to write");
	wasmill_keyed by_key = wasmill_key_by(wasmill_source(job, source), "key", key, WASMILL_UTF8);
	wasmill_stream counts = wasmill_uid(wasmill_count(by_key), "counts");
	wasmill_sink_to(wasmill_filter(counts, "sampled", sampled), wasmill_file_sink(output));
}
