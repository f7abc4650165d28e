package reference

import (
	"bytes"
	"flag"
	"hash/maphash"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/nexmark"
)

// dataset is the file that every query is compared on: 300,000 events at 250 a second from ten minutes before midnight, with
// some of them out of order if need be.
func dataset(t testing.TB, outOfOrder time.Duration) *Events {
	t.Helper()
	p := nexmark.Standard()
	p.Events, p.Rate, p.Start, p.OutOfOrder = 300_000, 250, time.Date(2026, 1, 1, 23, 50, 0, 0, time.UTC), outOfOrder
	g, err := nexmark.NewGenerator(p)
	if err != nil {
		t.Fatal(err)
	}
	var file []byte
	var event nexmark.Event
	for place := range p.Events {
		g.Make(&event, g.Number(place), &[nexmark.Kinds]nexmark.Wanted{nexmark.All, nexmark.All, nexmark.All})
		file = nexmark.AppendJSON(file, &event)
	}
	e, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// raceEnabled says that the race detector is on: it makes these tests take minutes and has nothing to find in them, as nothing
// here runs at a time. make test runs them without it.
var raceEnabled bool

func TestMain(m *testing.M) {
	flag.Parse()
	if raceEnabled && flag.Lookup("test.skip").Value.String() == "" {
		_ = flag.Set("test.skip", "^TestDataset")
	}
	os.Exit(m.Run())
}

var inOrder = sync.OnceValue(func() *Events { return dataset(&testing.T{}, 0) })

var seed = maphash.MakeSeed()

// summed is the number of a query's rows and a sum over them that does not depend on their order.
func summed(q *Query, e *Events) (n int, sum uint64) {
	var line []byte
	q.Answer(e, func(r Row) {
		line = r.AppendJSON(line[:0], q.Columns)
		sum += maphash.Bytes(seed, line)
		n++
	})
	return n, sum
}

// few says why a query has no more than ten rows on the dataset.
var few = map[string]string{
	"q4":  "there are five categories",
	"q15": "there are two days",
}

// Each query has rows enough to tell a right answer from a wrong one, and the same rows if the file is out of order.
func TestDatasetTellsAnswersApart(t *testing.T) {
	e, mixed := inOrder(), dataset(t, 4*time.Second)
	if e.Bids[5000] == mixed.Bids[5000] {
		t.Fatal("the events are in order")
	}
	for i := range Queries {
		q := &Queries[i]
		n, sum := summed(q, e)
		t.Logf("%s: %d rows", q.Name, n)
		if n <= 10 && few[q.Name] == "" || n > 10 && few[q.Name] != "" || n == 0 {
			t.Errorf("%s: %d rows (%s)", q.Name, n, few[q.Name])
		}
		if again, other := summed(q, mixed); again != n || other != sum {
			t.Errorf("%s: %d rows, and %d others when the events are out of order", q.Name, n, again)
		}
	}
}

func TestDatasetHasNoEqualTimes(t *testing.T) {
	e := inOrder()
	times := map[Time]bool{}
	days := map[string]bool{}
	add := func(at Time) {
		if times[at] {
			t.Fatalf("two events at %d", at)
		}
		times[at] = true
		days[at.day()] = true
	}
	for _, p := range e.People {
		add(p.DateTime)
	}
	for _, a := range e.Auctions {
		add(a.DateTime)
	}
	for _, b := range e.Bids {
		add(b.DateTime)
	}
	if len(times) != 300_000 || len(days) != 2 {
		t.Errorf("%d events on %d days", len(times), len(days))
	}
}

// table are the rows of a query by column.
func table(t *testing.T, name string) (rows []map[string]any) {
	t.Helper()
	q, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	q.Answer(inOrder(), func(r Row) {
		row := map[string]any{}
		for i, column := range q.Columns {
			row[column] = r[i]
		}
		rows = append(rows, row)
	})
	return rows
}

func total(rows []map[string]any, column string) (sum int64) {
	for _, r := range rows {
		sum += r[column].(int64)
	}
	return sum
}

// Answers that count the same things in different ways agree.
func TestDatasetAnswersAgree(t *testing.T) {
	bids := int64(len(inOrder().Bids))
	for _, c := range []struct{ query, column string }{
		{"q11", "bid_count"}, {"q12", "bid_count"}, {"q15", "total_bids"}, {"q16", "total_bids"}, {"q17", "total_bids"},
	} {
		if got := total(table(t, c.query), c.column); got != bids {
			t.Errorf("%s: %d bids (expected %d)", c.query, got, bids)
		}
	}
	for _, name := range []string{"q15", "q16", "q17"} {
		rows := table(t, name)
		if ranks := total(rows, "rank1_bids") + total(rows, "rank2_bids") + total(rows, "rank3_bids"); ranks != bids {
			t.Errorf("%s: %d bids of all ranks (expected %d)", name, ranks, bids)
		}
	}
	if q0, q1, q10, q22 := len(table(t, "q0")), len(table(t, "q1")), len(table(t, "q10")), len(table(t, "q22")); int64(q0) != bids || q1 != q0 || q10 != q0 || q22 != q0 {
		t.Errorf("%d, %d, %d and %d rows (expected %d bids)", q0, q1, q10, q22, bids)
	}
	if q17, revenue := total(table(t, "q17"), "sum_price"), total(table(t, "q0"), "price"); q17 != revenue {
		t.Errorf("q17: the prices add up to %d (expected %d)", q17, revenue)
	}
}

// What q9 says won is what q4 and q6 take the mean of, and what q19 has first, if it was in time.
func TestDatasetWinnersAgree(t *testing.T) {
	won := table(t, "q9")
	sum, n := map[any]int64{}, map[any]int64{}
	for _, w := range won {
		if at := w["bid_dateTime"].(Time); at < w["dateTime"].(Time) || at > w["expires"].(Time) || w["auction"] != w["id"] {
			t.Fatalf("q9: %v won outside its auction", w)
		}
		sum[w["category"]] += w["price"].(int64)
		n[w["category"]]++
	}
	for _, r := range table(t, "q4") {
		if c := r["id"]; r["final"] != sum[c]/n[c] {
			t.Errorf("q4: category %v has %v (expected %d)", c, r["final"], sum[c]/n[c])
		}
	}
	if q6 := table(t, "q6"); len(q6) != len(won) {
		t.Errorf("q6: %d rows, and q9 has %d", len(q6), len(won))
	}
	best, ranks := map[any]int64{}, map[any]int64{}
	for _, r := range table(t, "q19") {
		best[r["auction"]] = max(best[r["auction"]], r["price"].(int64))
		ranks[r["auction"]] += r["rank_number"].(int64)
	}
	bids := map[any]int64{}
	for _, b := range inOrder().Bids {
		bids[b.Auction]++
	}
	for auction, n := range bids {
		k := min(n, 10)
		if ranks[auction] != k*(k+1)/2 {
			t.Errorf("q19: the ranks of auction %v add up to %d, and it has %d bids", auction, ranks[auction], n)
		}
	}
	for _, w := range won {
		if w["price"].(int64) > best[w["id"]] {
			t.Errorf("q9: %v won, and q19 has %d", w, best[w["id"]])
		}
	}
}

// Each window of q5 and q7 is there: 20 minutes have 120 of 10 s, and four more begin before the first event.
func TestDatasetWindowsAgree(t *testing.T) {
	if q7 := table(t, "q7"); len(q7) < 120 {
		t.Errorf("q7: %d rows", len(q7))
	}
	if q5 := table(t, "q5"); len(q5) < 604 {
		t.Errorf("q5: %d rows", len(q5))
	}
	seen := map[any]bool{}
	for _, r := range table(t, "q8") {
		if seen[r["id"]] {
			t.Errorf("q8: %v came twice", r["id"])
		}
		seen[r["id"]] = true
	}
}
