//go:build !wasip1

package wasmill

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

type testBid struct {
	Auction, Price int64
	Channel        *string
}

type testStatistics struct {
	Start, End Millis
	Auction    int64
	Bids       int64
	Most       int64
}

type testRanked struct {
	Auction, Rank int64
	Bid           testBid
}

func TestFieldsInTheManifest(t *testing.T) {
	h := newHost(t, func(job *Env) {
		price := Field("price")
		bids := Source(job, Nexmark[testBid]("bid", time.Second))
		some := bids.Where("some", And(price.Ge(100), Or(Field("channel").In("Apple", "Google"), Field("channel").IsNull())))
		auctions := KeyByFields[int64](some, "auction", "auction")
		AggregatesWindow[testStatistics](auctions.Window(Tumbling(time.Second)), CountAll().As("bids").Filter(price.Lt(5)), price.Max().As("most")).
			UID("statistics").SinkTo(Print())
		auctions.MaxBy("price").UID("highest").SinkTo(Print())
		Aggregates[testRanked](auctions, price.Top(2).Then("channel", "auction")).UID("top").SinkTo(Print())
	})
	got := h.describe()
	if !json.Valid([]byte(got)) {
		t.Fatalf("no JSON: %s", got)
	}
	const row = "row(auction: i64, price: i64, channel: utf8?)"
	for _, want := range []string{
		`"features":[1,8,11,18]`, `{"name":"top","kind":"top","field":"price","n":2,"then":["channel","auction"]}`, `"functions":[]`,
		`{"name":"some","kind":"filter","inputs":[{"from":"nexmark"}],"output":"` + row + `","predicate":{"op":"and","of":[{"op":">=","field":"price","values":["100"]},` +
			`{"op":"or","of":[{"op":"in","field":"channel","values":["Apple","Google"]},{"op":"null","field":"channel"}]}]}}`,
		`{"name":"auction","kind":"key","inputs":[{"from":"some"}],"key":"i64","output":"` + row + `","fields":["auction"]}`,
		`"output":"row(start: ms, end: ms, auction: i64, bids: i64, most: i64)","aggregates":[{"name":"bids","kind":"count","filter":{"op":"<","field":"price","values":["5"]}},` +
			`{"name":"most","kind":"max","field":"price"}]}`,
		`"output":"row(key: i64, value: ` + row + `)","aggregates":[{"name":"maxBy","kind":"maxBy","field":"price"}]}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}
