//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func defineJoin(job *Env) {
	left := KeyBy(Source(job, Files("x")), "left", func(s string) string { return s })
	right := KeyValueBy(Source(job, Files("y")), "right", ones)
	odd, early, other := NewSide[int64](job, "odd"), NewSide[string](job, "early"), NewSide[int64](job, "other")
	near := IntervalJoin(left, right).Between(-time.Second, 2*time.Second).LowerBoundExclusive().LateLeft(early).LateRight(other)
	ProcessJoined(near, "near", func(c *JoinContext[string, string], l string, r int64) {
		if r%2 == 1 {
			odd.Emit(r)
		}
		c.Emit(c.Key() + " " + l + " " + strconv.FormatInt(r, 10) + " " + strconv.FormatInt(c.LeftTimestamp(), 10) + "," + strconv.FormatInt(c.RightTimestamp(), 10))
		if r == 8 {
			c.EmitAt(7, "again")
		}
	}, odd).UID("n").SinkTo(Print())
	odd.Stream().SinkTo(Print())
	early.Stream().SinkTo(Print())
	other.Stream().SinkTo(Print())
	pairs := IntervalJoin(left, right).Between(0, time.Second).UpperBoundExclusive().Pairs().UID("p")
	Map(pairs, "first", func(p Pair[string, int64]) string { return p.Left + strconv.FormatInt(p.Right, 10) }).SinkTo(Print())
}

func TestJoinsInTheManifest(t *testing.T) {
	got := newHost(t, defineJoin).describe()
	for _, want := range []string{
		`"features":[1,2,5,8]`,
		`{"id":2,"name":"near","kind":"join","inputs":["utf8","i64"],"key":"utf8","output":"utf8","sides":["i64"]}`,
		`"kind":"join","function":"near","inputs":[{"from":"left"},{"from":"right"}],"interval":{"lowerMs":-1000,"upperMs":2000,"lowerExclusive":true},"output":"utf8"`,
		`{"from":"near","side":2}`, `{"from":"near","side":3}`,
		`"kind":"join","inputs":[{"from":"left"},{"from":"right"}],"interval":{"lowerMs":0,"upperMs":1000,"upperExclusive":true},"output":"row(left: utf8, right: i64)"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}

func TestFaultsOfJoinDefinitions(t *testing.T) {
	for want, define := range map[string]func(job *Env){
		`join "j": no bounds`: func(job *Env) {
			s := KeyBy(Source(job, Files("x")), "k", func(s string) string { return s })
			ProcessJoined(IntervalJoin(s, s), "j", func(*JoinContext[string, string], string, string) {}).UID("j").SinkTo(Print())
		},
		`an exclusive bound before the bounds`: func(job *Env) {
			s := KeyBy(Source(job, Files("x")), "k", func(s string) string { return s })
			IntervalJoin(s, s).UpperBoundExclusive().Between(0, 1).Pairs().UID("j").SinkTo(Print())
		},
		`operator "join" keeps state and has no uid`: func(job *Env) {
			s := KeyBy(Source(job, Files("x")), "k", func(s string) string { return s })
			IntervalJoin(s, s).Between(0, 1).Pairs().SinkTo(Print())
		},
	} {
		h := newHost(t, define)
		h.describe()
		if len(h.failures) != 1 || !strings.Contains(h.failures[0].message, want) {
			t.Errorf("%s: %+v", want, h.failures)
		}
	}
}

// timed gives a list timestamps.
func timed(list []byte, times ...int64) []byte {
	le := binary.LittleEndian
	out := slices.Clone(list[:listHeaderBytes])
	le.PutUint32(out[16:], listHasTimestamps)
	for _, t := range times {
		out = le.AppendUint64(out, uint64(t))
	}
	out = append(out, list[listHeaderBytes:]...)
	le.PutUint32(out, uint32(len(out)))
	return out
}

func TestJoinEmitsForEachPair(t *testing.T) {
	h := newHost(t, defineJoin)
	h.open(functionSpec{id: 2, upstream: none, outputs: []outputSpec{{0, 0, columnValues | columnTimestamps | columnKeys}, {1, 1, columnValues}}})
	in := callOfGroups(
		groupOf("whale", 0, 0, timed(appendList(nil, listInput, []string{"a"}), 50), timed(appendList(nil, listInput1, []string{n(1), n(2)}), 40, 60)),
		groupOf("me", 0, 0, timed(appendList(nil, listInput, []string{"b", "c"}), 70, 71), timed(appendList(nil, listInput1, []string{n(8)}), 71)))
	if status := guest.keyed(1, verbJoin, in); status != statusOK {
		t.Fatalf("join: status %d, %+v", status, h.failures)
	}
	if len(h.emits) != 2 {
		t.Fatalf("emits %+v", h.emits)
	}
	for _, e := range h.emits {
		got := decodeRecords(t, e.bytes)
		if e.output == 1 {
			if !slices.Equal(got.Values, []string{n(1)}) {
				t.Errorf("side output %q", got.Values)
			}
			continue
		}
		if want := []string{"whale a 1 50,40", "whale a 2 50,60", "me b 8 70,71", "again", "me c 8 71,71", "again"}; !slices.Equal(got.Values, want) {
			t.Errorf("emitted %q (expected %q)", got.Values, want)
		}
		if want := []int64{50, 60, 71, 7, 71, 7}; !slices.Equal(got.Timestamps, want) {
			t.Errorf("at %d (expected %d)", got.Timestamps, want)
		}
	}
	if status := guest.keyed(1, verbProcess, in); status != statusUnknownVerb {
		t.Errorf("process: status %d", status)
	}
}
