// Aggregates computes over bids of the benchmark's source by their fields; but for the definition, nothing runs here. For each
// auction there is in `output`
//
//	tumbling   for 10 s: row(start, end, auction, bids, lowest, highest, mean, bidders, large)
//	sliding    the same for 10 s, each 2 s
//	session    row(start, end, auction, bids, total): bids with less than 5 s between two of them
//	top        for 10 s: the two highest bids with their rank
//	total      over all time, for each bidder, too: row(auction, bidder, bids, total), of large bids of some bidders
#include "wasmill.h"

#define BID "row(auction: i64, bidder: i64, price: i64, dateTime: ms)"
#define LARGE WASMILL_IS("price", ">=", "10000000")
#define KEYED(more) "row(start: ms, end: ms, auction: i64" more ")"

static wasmill_connector option(wasmill_job *job, wasmill_connector c, const char *name) {
	return wasmill_with(c, name, wasmill_param_or(job, name, "", "option of the source"));
}

static void result(wasmill_stream s, const char *uid, const char *output) {
	wasmill_connector to = wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/", uid)), "format", "json");
	wasmill_stream named = wasmill_name(wasmill_uid(s, uid), uid);
	wasmill_sink_to(named, to);
}

static wasmill_stream statistics(wasmill_keyed in) {
	return wasmill_aggregates(in, KEYED(", bids: i64, lowest: i64, highest: i64, mean: i64, bidders: i64, large: i64"),
		WASMILL_AGG("bids", "count", "") "," WASMILL_AGG("lowest", "min", "price") "," WASMILL_AGG("highest", "max", "price") ","
		WASMILL_AGG("mean", "avg", "price") "," WASMILL_AGG("bidders", "countDistinct", "bidder") ","
		WASMILL_AGG_IF("large", "count", "", LARGE));
}

WASMILL_JOB("aggregates") {
	wasmill_connector source = wasmill_nexmark("bid", BID, 4000);
	source = option(job, source, "events");
	source = option(job, source, "seed");
	source = option(job, source, "rate");
	source = option(job, source, "out-of-order");
	source = option(job, source, "path");
	source = option(job, source, "limit");
	wasmill_stream bids = wasmill_source(job, source);
	const char *output = wasmill_param(job, "output", "directory to write");
	wasmill_keyed auctions = wasmill_key_by_fields(bids, "auction", WASMILL_I64, "\"auction\"");
	result(statistics(wasmill_window(auctions, wasmill_tumbling(10000))), "tumbling", output);
	result(statistics(wasmill_window(auctions, wasmill_sliding(10000, 2000))), "sliding", output);
	result(wasmill_aggregates(wasmill_window(auctions, wasmill_session(5000)), KEYED(", bids: i64, total: i64"),
		WASMILL_AGG("bids", "count", "") "," WASMILL_AGG("total", "sum", "price")), "session", output);
	result(wasmill_aggregates(wasmill_window(auctions, wasmill_tumbling(10000)), KEYED(", rank: i64, bid: " BID),
		WASMILL_TOP("bid", 2, "price")), "top", output);
	wasmill_stream large = wasmill_where(bids, "large", WASMILL_AND(LARGE, WASMILL_IS("bidder", ">", "1000")));
	wasmill_keyed pairs = wasmill_key_by_fields(large, "pair", "row(auction: i64, bidder: i64)", "\"auction\",\"bidder\"");
	result(wasmill_aggregates(pairs, "row(auction: i64, bidder: i64, bids: i64, total: i64)",
		WASMILL_AGG("bids", "count", "") "," WASMILL_AGG("total", "sum", "price")), "total", output);
}
