package operator

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// A record that comes for slices that a window's total has already amends the total of its key: the others are not made anew, and
// what the next windows have is right.
func TestLateRecordsAmendTotals(t *testing.T) {
	f := start(t, Config{Kind: abi.OperatorSum, Key: "utf8", Value: "i64", Window: &abi.Window{Kind: "sliding", SizeMs: 600, SlideMs: 1}})
	for i := range int64(600) {
		f.process(rec{i, "a", 1}, rec{i, "b", 2})
	}
	f.fire(599)
	f.rows(windowed)
	s := f.op.(*tally).slider
	for _, late := range []rec{{100, "a", 10}, {100, "a", 5}, {1, "c", 7}, {599, "b", -2}} {
		f.process(late)
		if s.stale {
			t.Fatalf("all totals are made anew because of %+v", late)
		}
	}
	f.fire(600)
	got := f.rows(windowed)
	slices.Sort(got)
	want := []string{"1,601,a,614@600", "1,601,b,1196@600", "1,601,c,7@600"}
	if !slices.Equal(got, want) {
		t.Errorf("results %q\nexpected %q", got, want)
	}
	f.fire(601)
	got = f.rows(windowed)
	slices.Sort(got)
	want = []string{"2,602,a,613@601", "2,602,b,1194@601"}
	if !slices.Equal(got, want) {
		t.Errorf("results %q\nexpected %q", got, fmt.Sprint(want))
	}
}
