package nexmark

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/allocs"
)

var everything = [Kinds]Wanted{All, All, All}

func generator(t testing.TB, change func(*Parameters)) *Generator {
	t.Helper()
	p := Standard()
	if change != nil {
		change(&p)
	}
	g, err := NewGenerator(p)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// lines are the events from place lo up to hi as JSON.
func lines(g *Generator, lo, hi uint64) []byte {
	var e Event
	var all []byte
	for place := lo; place < hi; place++ {
		g.Make(&e, g.Number(place), &everything)
		all = AppendJSON(all, &e)
	}
	return all
}

// What is made must never change by accident, on any processor: files that were made are compared with others' results.
func TestEventsStayTheSame(t *testing.T) {
	for _, c := range []struct {
		change func(*Parameters)
		want   string
	}{
		{nil, "60bb38d8e80877fb68c48c7b5c0edb7f3bccbcc1ef2b4dfe1046c50321dfba79"},
		{func(p *Parameters) { p.Seed = 42; p.OutOfOrder = 4 * time.Second; p.Rate = 250; p.NextRate = 1000 }, "a4110c36ab2666605074d8d0ddb003bd028cc6ec3b6c8f3c008bbf71e873de4f"},
	} {
		sum := sha256.Sum256(lines(generator(t, c.change), 0, 20_000))
		if got := hex.EncodeToString(sum[:]); got != c.want {
			t.Errorf("20,000 events have the hash %s (expected %s)", got, c.want)
		}
	}
}

func TestEventsDoNotDependOnThoseBefore(t *testing.T) {
	g := generator(t, func(p *Parameters) { p.OutOfOrderGroup = 64; p.Events = 1000 })
	all := lines(g, 0, 1000)
	var parts []byte
	for _, r := range [][2]uint64{{0, 1}, {1, 333}, {333, 334}, {334, 1000}} {
		parts = append(parts, lines(g, r[0], r[1])...)
	}
	if !bytes.Equal(all, parts) {
		t.Error("ranges give other events than the whole")
	}
	if bytes.Equal(lines(generator(t, func(p *Parameters) { p.Seed = 1 }), 0, 100), lines(generator(t, nil), 0, 100)) {
		t.Error("another seed gives the same events")
	}
}

// A field is the same whether others are asked for or not.
func TestFieldsDoNotDependOnOthers(t *testing.T) {
	g := generator(t, nil)
	var whole, part Event
	for n := range uint64(500) {
		g.Make(&whole, n, &everything)
		for i, f := range whole.Kind.Fields() {
			wanted := [Kinds]Wanted{}
			if g.Make(&part, n, &wanted) {
				t.Fatalf("event %d was made, and nothing of it is wanted", n)
			}
			wanted[whole.Kind] = 1 << i
			if !g.Make(&part, n, &wanted) {
				t.Fatalf("event %d was not made, and %s of it is wanted", n, f.Name)
			}
			if f.Type == Text && !bytes.Equal(part.Texts[i], whole.Texts[i]) || f.Type != Text && part.Numbers[i] != whole.Numbers[i] {
				t.Errorf("event %d: %s alone is %d %q (expected %d %q)", n, f.Name, part.Numbers[i], part.Texts[i], whole.Numbers[i], whole.Texts[i])
			}
		}
	}
}

func TestMakingAllocatesNothing(t *testing.T) {
	g := generator(t, func(p *Parameters) { p.OutOfOrder = time.Second })
	var e Event
	line := lines(g, 0, 1000)[:0]
	n := uint64(0)
	if a := allocs.PerRun(5000, func() {
		g.Make(&e, g.Number(n), &everything)
		line = AppendJSON(line[:0], &e)
		n++
	}); a > 0.01 {
		t.Errorf("%v allocations an event", a)
	}
}

// Every line is what encoding/json makes of the same values, in the order of the definition.
func TestLinesAreJSON(t *testing.T) {
	g := generator(t, nil)
	var e Event
	for n := range uint64(200) {
		g.Make(&e, n, &everything)
		line := AppendJSON(nil, &e)
		var got map[string]json.RawMessage
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, line); err != nil || compact.String()+"\n" != string(line) {
			t.Errorf("%q is not compact", line)
		}
		object := map[string]any{}
		if err := json.Unmarshal(got[e.Kind.String()], &object); err != nil {
			t.Fatal(err)
		}
		if len(got) != 4 || len(object) != len(e.Kind.Fields()) || string(got["event_type"]) != fmt.Sprint(uint8(e.Kind)) {
			t.Errorf("%s: other fields than a %v", line, e.Kind)
		}
		when := object["dateTime"].(string)
		if at, err := time.Parse("2006-01-02T15:04:05.000", when); err != nil || at.UnixMilli() != e.Time {
			t.Errorf("%s: dateTime %s (expected %d ms: %v)", line, when, e.Time, err)
		}
	}
}

func TestTimeline(t *testing.T) {
	start := time.Date(2026, 1, 1, 23, 50, 0, 0, time.UTC)
	one := generator(t, func(p *Parameters) { p.Rate = 250; p.Start = start }).timeline
	two := generator(t, func(p *Parameters) { p.Rate = 10; p.NextRate = 1000; p.RatePeriod = 20 * time.Second; p.Start = start }).timeline
	for _, c := range []struct {
		of     timeline
		number uint64
		want   time.Duration
	}{
		{one, 0, 0}, {one, 1, 4 * time.Millisecond}, {one, 300_000, 20 * time.Minute},
		{two, 99, 9900 * time.Millisecond}, {two, 100, 10 * time.Second}, {two, 101, 10*time.Second + time.Millisecond},
		{two, 10_099, 20*time.Second - time.Millisecond}, {two, 10_100, 20 * time.Second}, {two, 10_101, 20*time.Second + 100*time.Millisecond},
	} {
		if got := time.UnixMilli(c.of.at(c.number)).Sub(start); got != c.want {
			t.Errorf("event %d is at %v (expected %v)", c.number, got, c.want)
		}
	}
	before := int64(0)
	for n := range uint64(50_000) {
		if at := two.at(n); at < before {
			t.Fatalf("event %d is before event %d", n, n-1)
		} else {
			before = at
		}
	}
}

// Events out of order are the same ones, none comes so long after a younger one as was given, and some nearly so.
func TestOutOfOrder(t *testing.T) {
	for _, c := range []struct {
		name           string
		change         func(*Parameters)
		bound, atLeast int64
	}{
		{"4 s at 250 a second", func(p *Parameters) { p.OutOfOrder = 4 * time.Second; p.Rate = 250 }, 3999, 3800},
		{"a group of 953 events", func(p *Parameters) { p.OutOfOrder = 953 * time.Millisecond; p.Rate = 1000 }, 952, 900},
		{"at two rates", func(p *Parameters) {
			p.OutOfOrder = 2 * time.Second
			p.Rate = 2000
			p.NextRate = 100
			p.RatePeriod = 4 * time.Second
		}, 1999, 1880},
		{"group of 100", func(p *Parameters) { p.OutOfOrderGroup = 100; p.Rate = 1000 }, 99, 50},
		{"two events", func(p *Parameters) { p.OutOfOrder = 2 * time.Millisecond; p.Rate = 1000 }, 0, 0},
		{"three events", func(p *Parameters) { p.OutOfOrder = 3 * time.Millisecond; p.Rate = 1000 }, 2, 1},
		{"less than an event", func(p *Parameters) { p.OutOfOrder = time.Millisecond; p.Rate = 10 }, 0, 0},
	} {
		g := generator(t, func(p *Parameters) { p.Events = 10_001; c.change(p) })
		seen := map[uint64]bool{}
		newest, worst := int64(0), int64(0)
		for place := range g.Events {
			n := g.Number(place)
			if n >= g.Events || seen[n] || n/g.Group() != place/g.Group() {
				t.Fatalf("%s: place %d has event %d", c.name, place, n)
			}
			seen[n] = true
			at := g.timeline.at(n)
			newest = max(newest, at)
			worst = max(worst, newest-at)
		}
		if worst > c.bound || worst < c.atLeast {
			t.Errorf("%s: an event comes %d ms behind a younger one (expected %d to %d)", c.name, worst, c.atLeast, c.bound)
		}
	}
}

// The shares and ranges of the definition hold over 200,000 events.
func TestEventsFollowTheDefinition(t *testing.T) {
	g := generator(t, nil)
	var e Event
	const n = 200_000
	count := map[string]float64{}
	share := func(name string, is bool) {
		if is {
			count[name]++
		}
	}
	within := func(name string, got, least, most int64) {
		if got < least || got > most {
			t.Errorf("event %d: %s is %d (expected %d to %d)", e.Numbers[0], name, got, least, most)
		}
	}
	var decades [6]float64
	for number := range uint64(n) {
		g.Make(&e, number, &everything)
		people, auctions := int64(1000+number/50), int64(1000+number/50*3+min(max(number%50, 1), 3)-1)
		if number%50 == 0 {
			auctions = int64(1000 + number/50*3 - 1)
		}
		if e.Kind != [50]Kind{Person, Auction, Auction, Auction}[number%50] && e.Kind != Bid {
			t.Fatalf("event %d is a %v", number, e.Kind)
		}
		switch e.Kind {
		case Person:
			share("people", true)
			within("id", e.Numbers[PersonID], people, people)
			size := int64(8)
			for i := PersonName; i <= PersonState; i++ {
				size += int64(len(e.Texts[i]))
			}
			within("size", size+int64(len(e.Texts[PersonExtra])), 160, 240)
			share("in OR", string(e.Texts[PersonState]) == "OR")
		case Auction:
			share("auctions", true)
			within("id", e.Numbers[AuctionID], auctions, auctions)
			within("item", int64(len(e.Texts[AuctionItem])), 3, 19)
			within("description", int64(len(e.Texts[AuctionDescription])), 3, 99)
			within("seller", e.Numbers[AuctionSeller], people-1000, people+10)
			within("category", e.Numbers[AuctionCategory], 10, 14)
			within("initialBid", e.Numbers[AuctionInitial], 100, 1e8)
			within("reserve", e.Numbers[AuctionReserve]-e.Numbers[AuctionInitial], 100, 1e8)
			within("length", e.Numbers[AuctionExpires]-e.Time, 1, 2*167)
			share("hot sellers", e.Numbers[AuctionSeller] == people/100*100)
			share("in category 10", e.Numbers[AuctionCategory] == 10)
		default:
			share("bids", true)
			within("auction", e.Numbers[BidAuction], max(1000, auctions-100), auctions+10)
			within("bidder", e.Numbers[BidBidder], max(1000, people-999), people+10)
			within("price", e.Numbers[BidPrice], 100, 1e8)
			within("extra", int64(len(e.Texts[BidExtra])), 54, 81)
			decades[int(math.Log10(float64(e.Numbers[BidPrice])))-2+int(-e.Numbers[BidPrice]/1e8)]++
			share("hot auctions", e.Numbers[BidAuction] == auctions/100*100)
			share("hot bidders", e.Numbers[BidBidder] == people/100*100+1)
			share("ahead", e.Numbers[BidAuction] > auctions)
			url := string(e.Texts[BidURL])
			share("hot channels", !strings.HasPrefix(string(e.Texts[BidChannel]), "channel-"))
			share("named in the URL", strings.Contains(url, "&channel_id="))
			if parts := strings.Split(url, "/"); len(parts) != 7 || parts[2] != "www.nexmark.com" || !strings.HasPrefix(parts[6], "item.htm?query=1") {
				t.Errorf("event %d: URL %s", number, url)
			}
		}
	}
	bids, auctions := count["bids"], count["auctions"]
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"people", count["people"] / n, 0.02}, {"auctions", auctions / n, 0.06}, {"bids", bids / n, 0.92},
		{"people in OR", count["in OR"] / count["people"], 1.0 / 6},
		{"auctions in category 10", count["in category 10"] / auctions, 0.2},
		{"auctions of hot sellers", count["hot sellers"] / auctions, 0.75}, {"bids of hot bidders", count["hot bidders"] / bids, 0.75},
		{"bids for hot auctions", count["hot auctions"] / bids, 0.5 + 0.5/111}, {"bids ahead of their auction", count["ahead"] / bids, 0.5 * 10 / 111},
		{"bids of hot channels", count["hot channels"] / bids, 0.5}, {"bids with a channel in the URL", count["named in the URL"] / bids, 0.45},
	} {
		if math.Abs(c.got-c.want) > 0.02*c.want+0.004 {
			t.Errorf("%s: %.4f (expected %.4f)", c.name, c.got, c.want)
		}
	}
	for i, d := range decades {
		if math.Abs(d/bids-1.0/6) > 0.005 {
			t.Errorf("prices of 10^%d: %.4f (expected %.4f)", i+2, d/bids, 1.0/6)
		}
	}
}

func TestPrice(t *testing.T) {
	for _, x := range []uint64{0, 1 << 22, 1<<64 - 1, 1 << 63, 0x123456789abcdef0, 0xfedcba9876543210, 1 << 42, 1 << 53, 1<<53 - 1} {
		want := math.Round(100 * math.Pow(10, 6*float64(x>>22)/(1<<42)))
		if got := float64(price(x)); math.Abs(got-want) > want*1e-8+0.5 {
			t.Errorf("price(%#x) = %.0f (expected %.0f)", x, got, want)
		}
	}
	before := int64(0)
	for x := uint64(0); x < 1<<63; x += 1<<63/1_000_003 + 1 {
		if p := price(2 * x); p < before {
			t.Fatalf("price(%#x) = %d, and less is %d", 2*x, p, before)
		} else {
			before = p
		}
	}
}

func TestParameters(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"events", "-1", `events: "-1" (expected a whole number, 0 <= n <= 1125899906842624)`},
		{"rate", "0", `rate: "0" (expected a whole number, 1 <= n <= 1000000000)`},
		{"start", "yesterday", `start: "yesterday" (expected a time of whole milliseconds in 1970 to 9000, such as 2026-01-01T23:50:00Z)`},
		{"out-of-order", "4", `out-of-order: "4" (expected whole milliseconds, 0s <= d <= 1h0m0s, such as 4s or 1500ms)`},
		{"rate-period", "1s", `rate-period: "1s" (expected whole milliseconds, 2s <= d <= 24h0m0s)`},
	} {
		p := Standard()
		if known, err := p.Set(c.name, c.text); !known || err == nil || err.Error() != c.want {
			t.Errorf("%s=%s: %v\nexpected %s", c.name, c.text, err, c.want)
		}
	}
	p := Standard()
	for i := range Options {
		o := &Options[i]
		text := o.Of(&p).String()
		if err := o.Of(&p).Set(text); err != nil {
			t.Errorf("%s: its default %s: %v", o.Name, text, err)
		}
	}
	if p != Standard() {
		t.Errorf("the defaults, written and read again, are %+v", p)
	}
	for want, change := range map[string]func(*Parameters){
		"nexmark: out-of-order: 1s beside out-of-order-group 2 (expected one of the two)":                                func(p *Parameters) { p.OutOfOrder, p.OutOfOrderGroup = time.Second, 2 },
		"nexmark: out-of-order-group: 1906 (expected no multiple of 953, by which events are mixed up)":                  func(p *Parameters) { p.OutOfOrderGroup = 2 * 953 },
		"nexmark: person-proportion: 0 (expected a whole number, 1 <= n <= 1000000)":                                     func(p *Parameters) { p.PersonProportion = 0 },
		"nexmark: events: 1099511627776 at 1 a second last until after the year 9000 (expected fewer, or more a second)": func(p *Parameters) { p.Events, p.Rate = 1<<40, 1 },
	} {
		p := Standard()
		change(&p)
		if _, err := NewGenerator(p); err == nil || err.Error() != want {
			t.Errorf("%v\nexpected %s", err, want)
		}
	}
}

func BenchmarkBids(b *testing.B) {
	g := generator(b, nil)
	var e Event
	wanted := [Kinds]Wanted{Bid: 1<<BidAuction | 1<<BidBidder | 1<<BidPrice | 1<<BidTime | 1<<BidExtra}
	n := uint64(0)
	for b.Loop() {
		g.Make(&e, n, &wanted)
		n++
	}
}

func BenchmarkJSON(b *testing.B) {
	g := generator(b, nil)
	var e Event
	var line []byte
	n, bytes := uint64(0), 0
	for b.Loop() {
		g.Make(&e, n, &everything)
		line = AppendJSON(line[:0], &e)
		bytes += len(line)
		n++
	}
	b.SetBytes(int64(bytes / b.N))
}
