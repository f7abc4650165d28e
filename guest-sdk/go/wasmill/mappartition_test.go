//go:build !wasip1

package wasmill

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func defineWhole(job *Env) {
	lines := Source(job, Files("x"))
	MapPartition(lines, "all", func(c *StreamContext[string], lines iter.Seq[string]) {
		var kept []string
		for line := range lines {
			if line == "stop" {
				break
			}
			if kept = append(kept, line); line == "now" {
				c.Emit("at " + strconv.FormatInt(c.Timestamp(), 10))
			}
		}
		c.Emit(strings.Join(kept, "+"))
	}).UID("all").SinkTo(Print())
	ReducePartition(lines, "sum", func(a, b string) string { return a + b }).UID("sum").SinkTo(Print())
	SortPartition(lines, "sorted", func(s string) int64 { return int64(len(s)) }, Descending).UID("sorted").Parallelism(3).SinkTo(Print())
	PartitionRange(lines, "ranged", func(s string) int64 { return int64(len(s)) }).Parallelism(2).SinkTo(Blackhole())
	MapPartition(lines, "twice", func(c *StreamContext[string], lines iter.Seq[string]) {
		for range lines {
			break
		}
		for line := range lines {
			c.Emit(line)
		}
	}).UID("twice").SinkTo(Blackhole())
	visits := Map(lines, "visit", func(s string) visit { return visit{s, s} })
	SortPartitionByFields(visits, "visits", Field("user").Ascending(), Field("page").Descending()).UID("visits").SinkTo(Blackhole())
}

func TestWholePartitionsInTheManifest(t *testing.T) {
	got := newHost(t, defineWhole).describe()
	for _, want := range []string{
		`{"id":0,"name":"all","kind":"mapPartition","inputs":["utf8"],"output":"utf8"}`,
		`{"name":"all","uid":"all","kind":"mapPartition","function":"all","inputs":[{"from":"files"}],"output":"utf8"}`,
		`{"name":"sorted by","kind":"key","function":"sorted by","inputs":[{"from":"files"}],"parallelism":3,"key":"i64","output":"utf8"}`,
		`{"name":"sorted","uid":"sorted","kind":"sortPartition","inputs":[{"from":"sorted by","partition":"forward"}],"parallelism":3,"output":"utf8","order":["desc"]}`,
		`{"name":"visits by","kind":"key","inputs":[{"from":"visit"}],"output":"row(user: utf8, page: utf8)","fields":["user","page"]}`,
		`"output":"row(user: utf8, page: utf8)","order":["asc","desc"]}`,
		`{"name":"ranged by","kind":"key","function":"ranged by","inputs":[{"from":"files"}],"parallelism":2,"key":"i64","output":"utf8"}`,
		`{"name":"ranged sample","kind":"sample","inputs":[{"from":"ranged by","partition":"forward"}],"parallelism":2,"output":"bytes"}`,
		`{"name":"ranged","kind":"range","inputs":[{"from":"ranged by","partition":"forward"},{"from":"ranged sample","partition":"broadcast"}],"parallelism":2,"output":"utf8"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}

// whole calls function id of defineWhole with records, a call a batch, and returns what it emits.
func whole(t *testing.T, id uint32, batches ...[]string) (emitted []string) {
	t.Helper()
	h := newHost(t, defineWhole)
	h.open(functionSpec{id: id, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	call := func(verb uint32, in []byte) {
		t.Helper()
		if status := guest.keyed(1, verb, in); status != statusOK {
			t.Fatalf("verb %d: status %d, %+v", verb, status, h.failures)
		}
		clear(in) // what the function keeps is its own
		for _, e := range h.emits {
			emitted = append(emitted, decodeRecords(t, e.bytes).Values...)
		}
		h.emits = nil
	}
	call(verbBegin, callOfGroups(groupOf("", 0, 0)))
	for _, records := range batches {
		call(verbProcess, callOfGroups(groupOf("", 0, 0, appendList(nil, listInput, records))))
	}
	call(verbEnd, callOfGroups(groupOf("", 0, 0)))
	return emitted
}

// A function stands still between calls, keeps what it likes of the records, and may leave off before the last.
func TestMapPartitionWalksAllRecords(t *testing.T) {
	for _, c := range []struct {
		batches [][]string
		want    []string
	}{
		{nil, []string{""}},
		{[][]string{{"a", "b"}, {"c"}}, []string{"a+b+c"}},
		{[][]string{{"a"}, {"now", "b"}, {"c"}}, []string{"at " + strconv.FormatInt(NoTimestamp, 10), "a+now+b+c"}},
		{[][]string{{"a"}, {"b", "stop", "c"}, {"d"}}, []string{"a+b"}},
	} {
		if got := whole(t, 0, c.batches...); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q (expected %q)", c.batches, got, c.want)
		}
	}
	if got := whole(t, 1, []string{"a", "b"}, []string{"c"}); !slices.Equal(got, []string{"abc"}) {
		t.Errorf("reduced to %q", got)
	}
	if got := whole(t, 1); len(got) != 0 {
		t.Errorf("nothing is reduced to %q", got)
	}
}

// Records that were walked do not come again: a function that walks them twice is told so, and loses nothing unseen.
func TestMapPartitionIsWalkedOnce(t *testing.T) {
	h := newHost(t, defineWhole)
	h.open(functionSpec{id: 4, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	guest.keyed(1, verbBegin, callOfGroups(groupOf("", 0, 0)))
	status := guest.keyed(1, verbProcess, callOfGroups(groupOf("", 0, 0, appendList(nil, listInput, []string{"a", "b"}))))
	if said := fmt.Sprint(h.failures); status == statusOK || !strings.Contains(said, "a second time") {
		t.Errorf("status %d: %s (expected that they are walked a second time)", status, said)
	}
}

func TestMapPartitionKnowsItsVerbs(t *testing.T) {
	h := newHost(t, defineWhole)
	h.open(functionSpec{id: 0, upstream: none})
	if status := guest.keyed(1, verbTimer, callOfGroups(groupOf("", 0, 0))); status != statusUnknownVerb {
		t.Errorf("status %d", status)
	}
}
