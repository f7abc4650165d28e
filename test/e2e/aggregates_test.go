package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/test/harness"
)

// bid is one as plain Go has it.
type bid struct{ auction, bidder, price, time int64 }

// byWindow sorts bids into the windows that begin every slide.
func byWindow(bids []bid, size, slide int64) map[[2]int64][]bid {
	windows := map[[2]int64][]bid{}
	for _, b := range bids {
		for start := b.time - b.time%slide; start > b.time-size; start -= slide {
			windows[[2]int64{start, b.auction}] = append(windows[[2]int64{start, b.auction}], b)
		}
	}
	return windows
}

func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// statistics are the results of count, min, max, avg, count distinct and a filtered count.
func statistics(bids []bid, size, slide int64) string {
	var lines strings.Builder
	for window, in := range byWindow(bids, size, slide) {
		lowest, highest, sum, large, bidders := in[0].price, in[0].price, int64(0), 0, map[int64]bool{}
		for _, b := range in {
			lowest, highest, sum = min(lowest, b.price), max(highest, b.price), sum+b.price
			bidders[b.bidder] = true
			if b.price >= 10_000_000 {
				large++
			}
		}
		fmt.Fprintf(&lines, `{"start":%q,"end":%q,"auction":%d,"bids":%d,"lowest":%d,"highest":%d,"mean":%d,"bidders":%d,"large":%d}`+"\n",
			instant(window[0]), instant(window[0]+size), window[1], len(in), lowest, highest, sum/int64(len(in)), len(bidders), large)
	}
	return sorted(lines.String())
}

// sessions of bids for an auction with less than a gap between them; touching ones are one.
func sessions(bids []bid, gap int64) string {
	byAuction := map[int64][]bid{}
	for _, b := range bids {
		byAuction[b.auction] = append(byAuction[b.auction], b)
	}
	var lines strings.Builder
	for auction, all := range byAuction {
		slices.SortFunc(all, func(a, b bid) int { return int(a.time - b.time) })
		for first, i := 0, 1; i <= len(all); i++ {
			if i < len(all) && all[i].time <= all[i-1].time+gap {
				continue
			}
			total := int64(0)
			for _, b := range all[first:i] {
				total += b.price
			}
			fmt.Fprintf(&lines, `{"start":%q,"end":%q,"auction":%d,"bids":%d,"total":%d}`+"\n",
				instant(all[first].time), instant(all[i-1].time+gap), auction, i-first, total)
			first = i
		}
	}
	return sorted(lines.String())
}

// totals of large bids by auction and bidder.
func totals(bids []bid) string {
	type sum struct{ n, total int64 }
	sums := map[[2]int64]sum{}
	for _, b := range bids {
		if b.price >= 10_000_000 && b.bidder > 1000 {
			s := sums[[2]int64{b.auction, b.bidder}]
			sums[[2]int64{b.auction, b.bidder}] = sum{s.n + 1, s.total + b.price}
		}
	}
	var lines strings.Builder
	for key, s := range sums {
		fmt.Fprintf(&lines, `{"auction":%d,"bidder":%d,"bids":%d,"total":%d}`+"\n", key[0], key[1], s.n, s.total)
	}
	return sorted(lines.String())
}

// top is the two highest prices of each auction and window; which of two equal bids comes first is open.
func top(bids []bid) string {
	var lines strings.Builder
	for window, in := range byWindow(bids, 10_000, 10_000) {
		slices.SortFunc(in, func(a, b bid) int { return int(b.price - a.price) })
		for rank, b := range in[:min(2, len(in))] {
			fmt.Fprintf(&lines, "%s %d %d %d\n", instant(window[0]), b.auction, rank+1, b.price)
		}
	}
	return sorted(lines.String())
}

func topOf(t *testing.T, output string) string {
	var lines strings.Builder
	for line := range strings.Lines(output) {
		var row struct {
			Start         string
			Auction, Rank int64
			Bid           struct{ Auction, Price int64 }
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Bid.Auction != row.Auction {
			t.Fatalf("%s: %v", line, err)
		}
		fmt.Fprintf(&lines, "%s %d %d %d\n", row.Start, row.Auction, row.Rank, row.Bid.Price)
	}
	return sorted(lines.String())
}

// A job that is a graph of fields and calls no function has the results of plain Go, whatever is killed.
func TestAggregatesOverFields(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	const n = 150_000
	_, events := eventsOf(t, "json", "--events", fmt.Sprint(n), "--rate", "250", "--out-of-order", "4s", "--seed", "5")
	var bids []bid
	for _, b := range events.Bids {
		bids = append(bids, bid{int64(b.Auction), int64(b.Bidder), int64(b.Price), int64(b.DateTime)})
	}
	want := map[string]string{
		"tumbling": statistics(bids, 10_000, 10_000), "sliding": statistics(bids, 10_000, 2000), "session": sessions(bids, 5000), "total": totals(bids),
	}
	for _, parallelism := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(parallelism), func(t *testing.T) {
			pace := paced(t)
			cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "4")
			out := filepath.Join(t.TempDir(), "out")
			run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/aggregates.wasm"), "--parallelism", fmt.Sprint(parallelism),
				"--param", "output="+out, "--param", "events="+fmt.Sprint(n), "--param", "rate=250", "--param", "out-of-order=4s", "--param", "seed=5", "--param", "limit=100000")
			killAtCheckpoints(t, cluster, nil, 2)
			pace.full()
			harness.Until(t, time.Minute, "the job ends", func() bool { return cluster.Job().State.Terminal() })
			run.Wait()
			if j := cluster.Job(); j.State != api.JobFinished {
				t.Fatalf("job is %s: %v", j.State, j.Failure)
			}
			for name, lines := range want {
				t.Run(name, func(t *testing.T) { harness.Same(t, harness.Output(t, filepath.Join(out, name)), lines) })
			}
			harness.Same(t, topOf(t, harness.Output(t, filepath.Join(out, "top"))), top(bids))
		})
	}
}
