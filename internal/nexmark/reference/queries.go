package reference

import (
	"fmt"
	"strings"
)

// Query is one of the benchmark's.
type Query struct {
	Name    string
	Meaning string
	Columns []string
	// Answer gives every row of the final result, in no order. Where SQL leaves a choice open because prices or times are
	// equal, the earlier bid is taken, of those the one that stands first in the order of before.
	Answer func(e *Events, emit func(Row))
}

const (
	bidStatistics = "total_bids rank1_bids rank2_bids rank3_bids total_bidders rank1_bidders rank2_bidders rank3_bidders total_auctions rank1_auctions rank2_auctions rank3_auctions"
	wholeBid      = "auction bidder price channel url dateTime extra"
)

// Queries are all of them in their order.
var Queries = []Query{
	query("q0", "every bid", "auction bidder price dateTime extra", q0),
	query("q1", "every bid in euro", "auction bidder price dateTime extra", q1),
	query("q2", "bids for some auctions", "auction price", q2),
	query("q3", "who sells in category 10 in three states", "name city state id", q3),
	query("q4", "average of the winning prices of a category", "id final", q4),
	query("q5", "the auctions with the most bids in the last 10 s", "auction num", q5),
	query("q6", "average of a seller's last winning prices", "seller avg_price", q6),
	query("q7", "the highest bids of each 10 s", "auction bidder price dateTime extra", q7),
	query("q8", "people who come and sell in the same 10 s", "id name stime", q8),
	query("q9", "the winning bid of each auction", "id itemName description initialBid reserve dateTime expires seller category extra auction bidder price bid_dateTime bid_extra", q9),
	query("q10", "every bid, by minute", "auction bidder price dateTime extra dt hm", q10),
	query("q11", "bids of each session of a bidder", "bidder bid_count starttime endtime", q11),
	query("q12", "bids of each bidder by processing time: of all windows together", "bidder bid_count", q12),
	query("q13", "every bid with a value from a table", "auction bidder price dateTime value", q13),
	query("q14", "bids of some prices with computed columns", "auction bidder price bidTimeType dateTime extra c_counts", q14),
	query("q15", "statistics of each day", "day "+bidStatistics, q15),
	query("q16", "statistics of each day and channel", "channel day minute "+bidStatistics, q16),
	query("q17", "statistics of each day and auction", "auction day total_bids rank1_bids rank2_bids rank3_bids min_price max_price avg_price sum_price", q17),
	query("q18", "the last bid of each bidder for each auction", wholeBid, q18),
	query("q19", "the ten highest bids for each auction", wholeBid+" rank_number", q19),
	query("q20", "every bid in category 10 with its auction", "auction bidder price channel url bid_dateTime bid_extra itemName description initialBid reserve auction_dateTime expires seller category auction_extra", q20),
	query("q21", "every bid with the id of its channel", "auction bidder price channel channel_id", q21),
	query("q22", "every bid with the folders of its URL", "auction bidder price channel dir1 dir2 dir3", q22),
	query("q23", "every bid of a seller with the person and each of the auctions", "bidder price channel url bid_extra person_id name emailAddress creditCard city state person_extra itemName description initialBid reserve auction_dateTime expires seller category auction_extra", q23),
}

func query(name, meaning, columns string, answer func(*Events, func(Row))) Query {
	return Query{Name: name, Meaning: meaning, Columns: strings.Fields(columns), Answer: answer}
}

// Find is the query of a name.
func Find(name string) (*Query, error) {
	for i := range Queries {
		if Queries[i].Name == name {
			return &Queries[i], nil
		}
	}
	return nil, fmt.Errorf("query %q (expected q0 to q%d)", name, len(Queries)-1)
}
