package reference

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// at is a time on the day of the tests: "10:00:05" or "10:00:05.250", or of another day: "02 10:00:05".
func at(t string) string {
	day, clock, ok := strings.Cut(t, " ")
	if !ok {
		day, clock = "01", t
	}
	return "2026-03-" + day + "T" + clock
}

func person(id int, name, state, t string) string {
	return fmt.Sprintf(`{"event_type":0,"person":{"id":%d,"name":%q,"emailAddress":"e","creditCard":"c","city":"Bend","state":%q,"dateTime":%q,"extra":"px"},"auction":null,"bid":null}`, id, name, state, at(t))
}

func auction(id, seller, category int, t, expires string) string {
	return fmt.Sprintf(`{"event_type":1,"person":null,"auction":{"id":%d,"itemName":"i%d","description":"d","initialBid":5,"reserve":7,"dateTime":%q,"expires":%q,"seller":%d,"category":%d,"extra":"ax"},"bid":null}`,
		id, id, at(t), at(expires), seller, category)
}

func bid(auction, bidder, price int, t string) string {
	return bidFrom(auction, bidder, price, t, "Google", "u")
}

func bidFrom(auction, bidder, price int, t, channel, url string) string {
	return fmt.Sprintf(`{"event_type":2,"person":null,"auction":null,"bid":{"auction":%d,"bidder":%d,"price":%d,"channel":%q,"url":%q,"dateTime":%q,"extra":"accc"}}`, auction, bidder, price, channel, url, at(t))
}

// answers are the rows of a query, sorted.
func answers(t testing.TB, name string, e *Events) (all []string) {
	t.Helper()
	q, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	q.Answer(e, func(r Row) {
		if len(r) != len(q.Columns) {
			t.Fatalf("%s: %d values (expected %d)", name, len(r), len(q.Columns))
		}
		all = append(all, strings.TrimSuffix(string(r.AppendJSON(nil, q.Columns)), "\n"))
	})
	slices.Sort(all)
	return all
}

func events(t testing.TB, lines ...string) *Events {
	t.Helper()
	e, err := Read(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Every answer here was worked out by hand.
func TestQueries(t *testing.T) {
	for _, c := range []struct {
		query, why string
		in, want   []string
	}{
		{
			"q0", "every bid and nothing else",
			[]string{person(1, "Ann", "OR", "10:00:00"), bid(7, 1, 250, "10:00:00.040"), auction(7, 1, 10, "10:00:00", "11:00:00"), bid(8, 2, 3, "10:00:01")},
			[]string{
				`{"auction":7,"bidder":1,"price":250,"dateTime":"2026-03-01 10:00:00.040","extra":"accc"}`,
				`{"auction":8,"bidder":2,"price":3,"dateTime":"2026-03-01 10:00:01.000","extra":"accc"}`,
			},
		},
		{
			"q1", "0.908 of the price, three places",
			[]string{bid(7, 1, 250, "10:00:00"), bid(7, 1, 1, "10:00:01"), bid(7, 1, 100000000, "10:00:02")},
			[]string{
				`{"auction":7,"bidder":1,"price":0.908,"dateTime":"2026-03-01 10:00:01.000","extra":"accc"}`,
				`{"auction":7,"bidder":1,"price":227.000,"dateTime":"2026-03-01 10:00:00.000","extra":"accc"}`,
				`{"auction":7,"bidder":1,"price":90800000.000,"dateTime":"2026-03-01 10:00:02.000","extra":"accc"}`,
			},
		},
		{
			"q2", "auctions that 123 divides, each bid",
			[]string{bid(1107, 1, 5, "10:00:00"), bid(1108, 1, 6, "10:00:00"), bid(1230, 1, 7, "10:00:00"), bid(1230, 2, 7, "10:00:01")},
			[]string{`{"auction":1107,"price":5}`, `{"auction":1230,"price":7}`, `{"auction":1230,"price":7}`},
		},
		{
			"q3", "whether the person or the auction comes first; other categories, states and sellers do not count",
			[]string{
				auction(7, 1, 10, "10:00:00", "11:00:00"), person(1, "Ann", "OR", "10:00:05"), auction(8, 1, 10, "10:00:06", "11:00:00"), auction(9, 1, 11, "10:00:06", "11:00:00"),
				person(2, "Bob", "WA", "10:00:00"), auction(10, 2, 10, "10:00:07", "11:00:00"), auction(11, 3, 10, "10:00:08", "11:00:00"),
			},
			[]string{`{"name":"Ann","city":"Bend","state":"OR","id":7}`, `{"name":"Ann","city":"Bend","state":"OR","id":8}`},
		},
		{
			"q4", "the highest bid in an auction's time, both ends included, averaged by category and truncated",
			[]string{
				auction(7, 1, 10, "10:00:00", "10:00:10"), bid(7, 1, 30, "09:59:59.999"), bid(7, 1, 20, "10:00:00"), bid(7, 1, 25, "10:00:10"), bid(7, 1, 99, "10:00:10.001"),
				bid(8, 1, 30, "10:00:05"), auction(8, 1, 10, "10:00:00", "10:00:10"), auction(9, 1, 11, "10:00:00", "10:00:10"), auction(10, 1, 12, "10:00:00", "10:00:10"), bid(10, 1, 4, "10:00:01"),
			},
			[]string{`{"id":10,"final":27}`, `{"id":12,"final":4}`},
		},
		{
			"q5", "of each window of 10 s that begins at an even second, the auctions with the most bids",
			[]string{bid(7, 1, 1, "10:00:09"), bid(7, 1, 1, "10:00:10"), bid(8, 1, 1, "10:00:11.999"), bid(8, 1, 1, "10:00:12")},
			// windows from 0: 7 once. 2: 7 twice, 8 once. 4, 6, 8: two each. 10: 7 once, 8 twice. 12: 8 once.
			[]string{
				`{"auction":7,"num":1}`, `{"auction":7,"num":2}`, `{"auction":7,"num":2}`, `{"auction":7,"num":2}`, `{"auction":7,"num":2}`,
				`{"auction":8,"num":1}`, `{"auction":8,"num":2}`, `{"auction":8,"num":2}`, `{"auction":8,"num":2}`, `{"auction":8,"num":2}`,
			},
		},
		{
			"q6", "the mean of a seller's winning prices so far, in the order of the bids' times, truncated",
			[]string{
				auction(7, 1, 10, "10:00:00", "10:00:10"), auction(8, 1, 10, "10:00:00", "10:00:10"), auction(9, 2, 10, "10:00:00", "10:00:10"),
				bid(8, 1, 11, "10:00:01"), bid(7, 1, 20, "10:00:03"), bid(7, 1, 20, "10:00:02"), bid(9, 1, 5, "10:00:01"),
			},
			[]string{`{"seller":1,"avg_price":11}`, `{"seller":1,"avg_price":15}`, `{"seller":2,"avg_price":5}`},
		},
		{
			"q7", "the highest price of each 10 s, all bids of it, and one at the end of the window that has the same price",
			[]string{bid(7, 1, 9, "10:00:01"), bid(8, 2, 9, "10:00:02"), bid(8, 2, 8, "10:00:03"), bid(9, 3, 9, "10:00:10"), bid(9, 3, 12, "10:00:11"), bid(9, 3, 9, "10:00:12")},
			[]string{
				`{"auction":7,"bidder":1,"price":9,"dateTime":"2026-03-01 10:00:01.000","extra":"accc"}`,
				`{"auction":8,"bidder":2,"price":9,"dateTime":"2026-03-01 10:00:02.000","extra":"accc"}`,
				`{"auction":9,"bidder":3,"price":12,"dateTime":"2026-03-01 10:00:11.000","extra":"accc"}`,
				`{"auction":9,"bidder":3,"price":9,"dateTime":"2026-03-01 10:00:10.000","extra":"accc"}`,
			},
		},
		{
			"q8", "who came and sold in the same window, once",
			[]string{
				person(1, "Ann", "OR", "10:00:09.999"), auction(7, 1, 10, "10:00:00", "11:00:00"), auction(8, 1, 10, "10:00:05", "11:00:00"),
				person(2, "Bob", "OR", "10:00:09"), auction(9, 2, 10, "10:00:10", "11:00:00"), person(3, "Cid", "OR", "10:00:10"),
			},
			[]string{`{"id":1,"name":"Ann","stime":"2026-03-01 10:00:00.000"}`},
		},
		{
			"q9", "the winning bid: the highest in time, of equal ones the first",
			[]string{
				auction(7, 1, 10, "10:00:00", "10:00:10"), bid(7, 3, 20, "10:00:03"), bid(7, 2, 20, "10:00:02"), bid(7, 4, 19, "10:00:01"), bid(7, 4, 30, "10:00:11"),
				auction(8, 1, 10, "10:00:00", "10:00:10"),
			},
			[]string{`{"id":7,"itemName":"i7","description":"d","initialBid":5,"reserve":7,"dateTime":"2026-03-01 10:00:00.000","expires":"2026-03-01 10:00:10.000","seller":1,"category":10,"extra":"ax",` +
				`"auction":7,"bidder":2,"price":20,"bid_dateTime":"2026-03-01 10:00:02.000","bid_extra":"accc"}`},
		},
		{
			"q10", "day and minute of each bid",
			[]string{bid(7, 1, 2, "23:59:59.999"), bid(7, 1, 2, "02 00:00:00")},
			[]string{
				`{"auction":7,"bidder":1,"price":2,"dateTime":"2026-03-01 23:59:59.999","extra":"accc","dt":"2026-03-01","hm":"23:59"}`,
				`{"auction":7,"bidder":1,"price":2,"dateTime":"2026-03-02 00:00:00.000","extra":"accc","dt":"2026-03-02","hm":"00:00"}`,
			},
		},
		{
			"q11", "a bid 10 s after the last is of the same session, one later is not; the order of the file does not matter",
			[]string{bid(7, 1, 2, "10:00:15"), bid(7, 1, 2, "10:00:00"), bid(7, 1, 2, "10:00:10"), bid(7, 1, 2, "10:00:25.001"), bid(7, 2, 2, "10:00:05")},
			[]string{
				`{"bidder":1,"bid_count":1,"starttime":"2026-03-01 10:00:25.001","endtime":"2026-03-01 10:00:35.001"}`,
				`{"bidder":1,"bid_count":3,"starttime":"2026-03-01 10:00:00.000","endtime":"2026-03-01 10:00:25.000"}`,
				`{"bidder":2,"bid_count":1,"starttime":"2026-03-01 10:00:05.000","endtime":"2026-03-01 10:00:15.000"}`,
			},
		},
		{
			"q12", "bids of each bidder",
			[]string{bid(7, 1, 2, "10:00:15"), bid(8, 1, 2, "11:00:00"), bid(7, 2, 2, "10:00:05")},
			[]string{`{"bidder":1,"bid_count":2}`, `{"bidder":2,"bid_count":1}`},
		},
		{
			"q13", "the value of the auction modulo 10,000",
			[]string{bid(7, 1, 2, "10:00:15"), bid(12345, 1, 3, "10:00:16")},
			[]string{
				`{"auction":12345,"bidder":1,"price":3,"dateTime":"2026-03-01 10:00:16.000","value":"2345"}`,
				`{"auction":7,"bidder":1,"price":2,"dateTime":"2026-03-01 10:00:15.000","value":"7"}`,
			},
		},
		{
			"q14", "prices between 1,000,000 and 50,000,000 euro, without both; the time of day in UTC",
			[]string{
				bid(1, 1, 1101321, "10:00:00"), bid(2, 1, 1101322, "08:00:00"), bid(3, 1, 1101322, "18:59:59.999"), bid(4, 1, 1101322, "07:30:00"), bid(5, 1, 1101322, "19:30:00"),
				bid(6, 1, 1101322, "06:59:00"), bid(7, 1, 55066079, "20:00:00"), bid(8, 1, 55066080, "20:00:00"), bid(9, 1, 1250000, "00:00:00"),
			},
			[]string{
				`{"auction":2,"bidder":1,"price":1000000.376,"bidTimeType":"dayTime","dateTime":"2026-03-01 08:00:00.000","extra":"accc","c_counts":3}`,
				`{"auction":3,"bidder":1,"price":1000000.376,"bidTimeType":"dayTime","dateTime":"2026-03-01 18:59:59.999","extra":"accc","c_counts":3}`,
				`{"auction":4,"bidder":1,"price":1000000.376,"bidTimeType":"otherTime","dateTime":"2026-03-01 07:30:00.000","extra":"accc","c_counts":3}`,
				`{"auction":5,"bidder":1,"price":1000000.376,"bidTimeType":"otherTime","dateTime":"2026-03-01 19:30:00.000","extra":"accc","c_counts":3}`,
				`{"auction":6,"bidder":1,"price":1000000.376,"bidTimeType":"nightTime","dateTime":"2026-03-01 06:59:00.000","extra":"accc","c_counts":3}`,
				`{"auction":7,"bidder":1,"price":49999999.732,"bidTimeType":"nightTime","dateTime":"2026-03-01 20:00:00.000","extra":"accc","c_counts":3}`,
				`{"auction":9,"bidder":1,"price":1135000.000,"bidTimeType":"nightTime","dateTime":"2026-03-01 00:00:00.000","extra":"accc","c_counts":3}`,
			},
		},
		{
			"q15", "price ranks begin at 10,000 and 1,000,000; bidders and auctions count once",
			[]string{
				bid(7, 1, 9999, "10:00:00"), bid(7, 1, 10000, "10:00:00"), bid(8, 1, 999999, "10:00:00"), bid(7, 2, 1000000, "10:00:00"), bid(7, 2, 1000000, "10:00:00"),
				bid(7, 1, 5, "02 00:00:00"),
			},
			[]string{
				`{"day":"2026-03-01","total_bids":5,"rank1_bids":1,"rank2_bids":2,"rank3_bids":2,"total_bidders":2,"rank1_bidders":1,"rank2_bidders":1,"rank3_bidders":1,"total_auctions":2,"rank1_auctions":1,"rank2_auctions":2,"rank3_auctions":1}`,
				`{"day":"2026-03-02","total_bids":1,"rank1_bids":1,"rank2_bids":0,"rank3_bids":0,"total_bidders":1,"rank1_bidders":1,"rank2_bidders":0,"rank3_bidders":0,"total_auctions":1,"rank1_auctions":1,"rank2_auctions":0,"rank3_auctions":0}`,
			},
		},
		{
			"q16", "by channel and day, with the last minute",
			[]string{bidFrom(7, 1, 5, "10:09:00", "a", "u"), bidFrom(7, 1, 5, "10:10:59", "a", "u"), bidFrom(7, 1, 5, "10:08:00", "a", "u"), bidFrom(7, 2, 20000, "10:00:00", "b", "u")},
			[]string{
				`{"channel":"a","day":"2026-03-01","minute":"10:10","total_bids":3,"rank1_bids":3,"rank2_bids":0,"rank3_bids":0,"total_bidders":1,"rank1_bidders":1,"rank2_bidders":0,"rank3_bidders":0,"total_auctions":1,"rank1_auctions":1,"rank2_auctions":0,"rank3_auctions":0}`,
				`{"channel":"b","day":"2026-03-01","minute":"10:00","total_bids":1,"rank1_bids":0,"rank2_bids":1,"rank3_bids":0,"total_bidders":1,"rank1_bidders":0,"rank2_bidders":1,"rank3_bidders":0,"total_auctions":1,"rank1_auctions":0,"rank2_auctions":1,"rank3_auctions":0}`,
			},
		},
		{
			"q17", "by auction and day; the mean is truncated",
			[]string{bid(7, 1, 5, "10:00:00"), bid(7, 1, 20000, "10:00:00"), bid(7, 1, 1000001, "10:00:00"), bid(7, 1, 6, "02 10:00:00"), bid(8, 1, 7, "10:00:00")},
			[]string{
				`{"auction":7,"day":"2026-03-01","total_bids":3,"rank1_bids":1,"rank2_bids":1,"rank3_bids":1,"min_price":5,"max_price":1000001,"avg_price":340002,"sum_price":1020006}`,
				`{"auction":7,"day":"2026-03-02","total_bids":1,"rank1_bids":1,"rank2_bids":0,"rank3_bids":0,"min_price":6,"max_price":6,"avg_price":6,"sum_price":6}`,
				`{"auction":8,"day":"2026-03-01","total_bids":1,"rank1_bids":1,"rank2_bids":0,"rank3_bids":0,"min_price":7,"max_price":7,"avg_price":7,"sum_price":7}`,
			},
		},
		{
			"q18", "the last by time, not by place in the file",
			[]string{bid(7, 1, 5, "10:00:02"), bid(7, 1, 9, "10:00:01"), bid(7, 2, 9, "10:00:01"), bid(8, 1, 3, "10:00:00")},
			[]string{
				`{"auction":7,"bidder":1,"price":5,"channel":"Google","url":"u","dateTime":"2026-03-01 10:00:02.000","extra":"accc"}`,
				`{"auction":7,"bidder":2,"price":9,"channel":"Google","url":"u","dateTime":"2026-03-01 10:00:01.000","extra":"accc"}`,
				`{"auction":8,"bidder":1,"price":3,"channel":"Google","url":"u","dateTime":"2026-03-01 10:00:00.000","extra":"accc"}`,
			},
		},
		{
			"q20", "bids for auctions of category 10, also before and after their time",
			[]string{bid(7, 1, 5, "09:00:00"), auction(7, 3, 10, "10:00:00", "10:00:10"), auction(8, 3, 11, "10:00:00", "10:00:10"), bid(8, 1, 5, "10:00:00"), bid(9, 1, 5, "10:00:00")},
			[]string{`{"auction":7,"bidder":1,"price":5,"channel":"Google","url":"u","bid_dateTime":"2026-03-01 09:00:00.000","bid_extra":"accc","itemName":"i7","description":"d","initialBid":5,"reserve":7,` +
				`"auction_dateTime":"2026-03-01 10:00:00.000","expires":"2026-03-01 10:00:10.000","seller":3,"category":10,"auction_extra":"ax"}`},
		},
		{
			"q21", "known channels in any case have numbers, others what their URL says; who has neither is left out",
			[]string{
				bidFrom(1, 1, 5, "10:00:00", "Apple", "channel_id=9"), bidFrom(2, 1, 5, "10:00:00", "gOOgle", "u"), bidFrom(3, 1, 5, "10:00:00", "Facebook", "u"), bidFrom(4, 1, 5, "10:00:00", "Baidu", "u"),
				bidFrom(5, 1, 5, "10:00:00", "channel-5", "https://x/item?query=1&channel_id=123&x=4"), bidFrom(6, 1, 5, "10:00:00", "channel-6", "channel_id=7"),
				bidFrom(7, 1, 5, "10:00:00", "channel-7", "https://x/item?query=1"), bidFrom(8, 1, 5, "10:00:00", "channel-8", "https://x/?xchannel_id=3"), bidFrom(9, 1, 5, "10:00:00", "channel-9", "u&channel_id="),
			},
			[]string{
				`{"auction":1,"bidder":1,"price":5,"channel":"Apple","channel_id":"0"}`, `{"auction":2,"bidder":1,"price":5,"channel":"gOOgle","channel_id":"1"}`,
				`{"auction":3,"bidder":1,"price":5,"channel":"Facebook","channel_id":"2"}`, `{"auction":4,"bidder":1,"price":5,"channel":"Baidu","channel_id":"3"}`,
				`{"auction":5,"bidder":1,"price":5,"channel":"channel-5","channel_id":"123"}`, `{"auction":6,"bidder":1,"price":5,"channel":"channel-6","channel_id":"7"}`,
				`{"auction":9,"bidder":1,"price":5,"channel":"channel-9","channel_id":""}`,
			},
		},
		{
			"q22", "the fourth, fifth and sixth part of the URL, null if there is none",
			[]string{bidFrom(1, 1, 5, "10:00:00", "a", "https://www.nexmark.com/abc/de/fgh/item.htm?query=1"), bidFrom(2, 1, 5, "10:00:00", "a", "https://x/y/")},
			[]string{
				`{"auction":1,"bidder":1,"price":5,"channel":"a","dir1":"abc","dir2":"de","dir3":"fgh"}`, `{"auction":2,"bidder":1,"price":5,"channel":"a","dir1":"y","dir2":"","dir3":null}`,
			},
		},
		{
			"q23", "every pair of a seller's bid and auction",
			[]string{
				person(1, "Ann", "OR", "10:00:00"), bid(9, 1, 5, "10:00:00"), bid(9, 2, 6, "10:00:00"), auction(7, 1, 11, "10:00:00", "10:00:10"), auction(8, 1, 12, "10:00:00", "10:00:10"),
				person(3, "Cid", "OR", "10:00:00"), bid(9, 3, 5, "10:00:00"), auction(10, 2, 12, "10:00:00", "10:00:10"),
			},
			[]string{
				`{"bidder":1,"price":5,"channel":"Google","url":"u","bid_extra":"accc","person_id":1,"name":"Ann","emailAddress":"e","creditCard":"c","city":"Bend","state":"OR","person_extra":"px","itemName":"i7","description":"d","initialBid":5,"reserve":7,` +
					`"auction_dateTime":"2026-03-01 10:00:00.000","expires":"2026-03-01 10:00:10.000","seller":1,"category":11,"auction_extra":"ax"}`,
				`{"bidder":1,"price":5,"channel":"Google","url":"u","bid_extra":"accc","person_id":1,"name":"Ann","emailAddress":"e","creditCard":"c","city":"Bend","state":"OR","person_extra":"px","itemName":"i8","description":"d","initialBid":5,"reserve":7,` +
					`"auction_dateTime":"2026-03-01 10:00:00.000","expires":"2026-03-01 10:00:10.000","seller":1,"category":12,"auction_extra":"ax"}`,
			},
		},
	} {
		slices.Sort(c.want)
		for _, in := range [][]string{c.in, reversed(c.in)} {
			if got := answers(t, c.query, events(t, in...)); !slices.Equal(got, c.want) {
				t.Errorf("%s: %s\ngot  %s\nwant %s", c.query, c.why, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
			}
		}
	}
}

func reversed(lines []string) []string {
	r := slices.Clone(lines)
	slices.Reverse(r)
	return r
}

// Of twelve bids the ten highest are ranked; of equal prices the earlier one is before.
func TestTopTen(t *testing.T) {
	var in, want []string
	for i := range 12 {
		in = append(in, bid(7, 1, 100+i, fmt.Sprintf("10:00:%02d", i)))
	}
	in = append(in, bid(7, 2, 105, "10:00:01"), bid(8, 1, 1, "10:00:00"))
	row := func(auction, bidder, price, second, rank int) {
		want = append(want, fmt.Sprintf(`{"auction":%d,"bidder":%d,"price":%d,"channel":"Google","url":"u","dateTime":"2026-03-01 10:00:%02d.000","extra":"accc","rank_number":%d}`, auction, bidder, price, second, rank))
	}
	for i := range 6 {
		row(7, 1, 111-i, 11-i, i+1) // down to 106
	}
	row(7, 2, 105, 1, 7)
	row(7, 1, 105, 5, 8)
	row(7, 1, 104, 4, 9)
	row(7, 1, 103, 3, 10)
	row(8, 1, 1, 0, 1)
	slices.Sort(want)
	for _, in := range [][]string{in, reversed(in)} {
		if got := answers(t, "q19", events(t, in...)); !slices.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}

// The mean of a seller's prices is of eleven auctions at most: this one and ten before it.
func TestMeanOfTheLastAuctions(t *testing.T) {
	var in, want []string
	sum := 0
	for i := range 13 {
		in = append(in, auction(i, 1, 10, "10:00:00", "10:01:00"), bid(i, 2, i*i, fmt.Sprintf("10:00:%02d", i)))
		sum += i * i
		if i > 10 {
			sum -= (i - 11) * (i - 11)
		}
		want = append(want, fmt.Sprintf(`{"seller":1,"avg_price":%d}`, sum/min(i+1, 11)))
	}
	slices.Sort(want)
	if got := answers(t, "q6", events(t, in...)); !slices.Equal(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestRead(t *testing.T) {
	e := events(t,
		`{"bid":{"extra":"x","dateTime":"2026-03-01T10:00:00.040","url":"u","channel":"ch\u00e4nnel","price":3,"bidder":2,"auction":1},"event_type":2}`,
		``,
		`{"event_type":0,"auction":null,"person":{"id":5,"name":"A \"B\"","emailAddress":"e","creditCard":"c","city":"C","state":"OR","dateTime":"2026-03-01T10:00:00","extra":""}}`,
	)
	if len(e.Bids) != 1 || len(e.People) != 1 || len(e.Auctions) != 0 || e.Bids[0] != (Bid{1, 2, 3, "chännel", "u", 1772359200040, "x"}) || e.People[0].Name != `A "B"` || e.People[0].DateTime != 1772359200000 {
		t.Errorf("%+v", e)
	}
	for line, want := range map[string]string{
		`{"bid":null}`:     "read events: line 1: no event_type",
		`{"event_type":1}`: "read events: line 1: event_type 1 without its object (expected 0 with person, 1 with auction, 2 with bid)",
		`{"event_type":2,"bid":{"dateTime":"yesterday"}}`: `read events: line 1: parsing time "yesterday" as "2006-01-02T15:04:05": cannot parse "yesterday" as "2006"`,
	} {
		if _, err := Read(strings.NewReader(line)); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nexpected %s", line, err, want)
		}
	}
	side, err := ReadSide(strings.NewReader("{\"key\":7,\"value\":\"seven\"}\n"))
	if err != nil || len(side) != 1 || side[7] != "seven" {
		t.Errorf("%v, %v", side, err)
	}
}
