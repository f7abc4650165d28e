// Nexmark writes the events of the benchmark's source as they come; of bids also how many there are for each auction in each 10 s.
#include "wasmill.h"

#define BID "row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)"

static wasmill_bytes auction_of(const wasmill_record *r) {
	return (wasmill_bytes){r->value.data + 8, 8}; // the first slot, behind the null bitmap: an i64 as keys have it
}

static wasmill_connector option(wasmill_job *job, wasmill_connector c, const char *name, const char *value) {
	return wasmill_with(c, name, wasmill_param_or(job, name, value, "option of the source"));
}

WASMILL_JOB("nexmark") {
	const char *codec = wasmill_param_or(job, "codec", BID, "of the source's rows");
	wasmill_connector source = wasmill_nexmark(wasmill_param_or(job, "kind", "bid", "of the events, empty: all"), codec, 4000);
	source = option(job, source, "events", "");
	source = option(job, source, "seed", "");
	source = option(job, source, "rate", "");
	source = option(job, source, "start", "");
	source = option(job, source, "out-of-order", "");
	source = option(job, source, "path", "");
	source = option(job, source, "limit", "");
	wasmill_stream bids = wasmill_source(job, source);
	const char *output = wasmill_param(job, "output", "directory to write");
	wasmill_connector rows = wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/bids")), "format", "json");
	wasmill_sink_to(wasmill_rebalance(bids), wasmill_with(rows, "times", "sql"));
	if (!wasmill_same(codec, BID)) return;
	wasmill_keyed windows = wasmill_window(wasmill_key_by(bids, "auction", auction_of, WASMILL_I64), wasmill_tumbling(10000));
	wasmill_connector counts = wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/counts")), "format", "json");
	wasmill_sink_to(wasmill_uid(wasmill_count(windows), "counts"), wasmill_with(counts, "times", "sql"));
}
