// Sums adds up f64 by key, of prices in cents that no f64 is equal to: record n has 48271 n mod 100003 cents, under the key cents mod keys.
// Records go to all subtasks in between, so they come in no order.
#include "wasmill.h"

static int64_t keys;

static wasmill_bytes price(const wasmill_record *r) { return wasmill_f64((double)(r->timestamp * 48271 % 100003) / 100); }
static wasmill_bytes key(const wasmill_record *r) { return wasmill_i64((int64_t)(wasmill_as_f64(r->value) * 100 + 0.5) % keys); }

WASMILL_JOB("sums") {
	const char *n = wasmill_param_or(job, "keys", "100", "keys in all");
	for (keys = 0; *n; n++) keys = 10 * keys + (*n - '0');
	wasmill_connector source = wasmill_with(wasmill_generator(), "count", wasmill_param_or(job, "count", "1000", "records in all"));
	wasmill_stream prices = wasmill_rebalance(wasmill_map(wasmill_source(job, source), "price", price, WASMILL_F64));
	wasmill_stream sums = wasmill_sum(wasmill_key_by(prices, "key", key, WASMILL_I64));
	wasmill_sink_to(wasmill_uid(sums, "sums"), wasmill_file_sink(wasmill_param(job, "output", "directory to write")));
}
