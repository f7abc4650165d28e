//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func defineWindowJoins(job *Env) {
	left := KeyBy(Source(job, Files("x")), "left", func(s string) string { return s })
	right := KeyValueBy(Source(job, Files("y")), "right", ones)
	odd, early, other := NewSide[int64](job, "odd"), NewSide[string](job, "early"), NewSide[int64](job, "other")
	met := Join(left, right).Window(Sliding(2*time.Second, time.Second)).AllowedLateness(time.Minute).LateLeft(early).LateRight(other)
	ProcessWindowJoined(met.LeftOuter(), "met", func(c *WindowJoinContext[string, string], l *string, r *int64) {
		text := c.Key() + " " + *l
		if r != nil {
			text += " " + strconv.FormatInt(*r, 10)
			odd.Emit(*r)
		}
		c.Emit(text)
	}, odd).UID("m").SinkTo(Print())
	odd.Stream().SinkTo(Print())
	early.Stream().SinkTo(Print())
	other.Stream().SinkTo(Print())
	CoGroup(Join(left, right).Window(Session(time.Second)), "both", func(c *WindowJoinContext[string, string], l iter.Seq[string], r iter.Seq[int64]) {
		n, sum := 0, int64(0)
		for range l {
			n++
		}
		for v := range r {
			sum += v
		}
		c.Emit(c.Key() + " " + strconv.Itoa(n) + " " + strconv.FormatInt(sum, 10) + " until " + strconv.FormatInt(c.Window().End, 10))
		c.EmitAt(7, strings.Join(slices.Collect(l), "+"))
	}).UID("b").SinkTo(Print())
	pairs := Join(left, right).Window(Tumbling(time.Second)).Pairs().Name("pairs").UID("p")
	Map(pairs, "first", func(p Pair[string, int64]) string { return p.Left }).SinkTo(Print())
	full := Join(left, right).Window(Tumbling(time.Second)).FullOuter().OuterPairs().Name("full").UID("f")
	Map(full, "second", func(p OuterPair[string, int64]) string {
		if p.Left == nil {
			return strconv.FormatInt(*p.Right, 10)
		}
		return *p.Left
	}).SinkTo(Print())
	all := Join(left, right).AllTime()
	all.Pairs().Name("all").UID("a").SinkTo(Blackhole())
	all.RightOuter().OuterPairs().Name("all of right").UID("r").SinkTo(Blackhole())
	Cross(Source(job, Files("in")), Source(job, Files("out")), "cross").UID("x").SinkTo(Blackhole())
}

func TestWindowJoinsInTheManifest(t *testing.T) {
	got := newHost(t, defineWindowJoins).describe()
	for _, want := range []string{
		`"features":[1,2,5,8,14]`,
		`{"id":2,"name":"met","kind":"join","inputs":["utf8","i64"],"key":"utf8","output":"utf8","sides":["i64"]}`,
		`{"name":"met","uid":"m","kind":"join","function":"met","inputs":[{"from":"left"},{"from":"right"}],"window":{"kind":"sliding","sizeMs":2000,"slideMs":1000,"latenessMs":60000},"outer":"left","output":"utf8"}`,
		`{"id":3,"name":"both","kind":"coGroup","inputs":["utf8","i64"],"key":"utf8","output":"utf8"}`,
		`{"name":"both","uid":"b","kind":"join","function":"both","inputs":[{"from":"left"},{"from":"right"}],"window":{"kind":"session","gapMs":1000},"output":"utf8"}`,
		`{"from":"met","side":2}`, `{"from":"met","side":3}`,
		`"kind":"join","inputs":[{"from":"left"},{"from":"right"}],"window":{"kind":"tumbling","sizeMs":1000},"output":"row(left: utf8, right: i64)"`,
		`{"name":"cross","uid":"x","kind":"join","inputs":[{"from":"cross left"},{"from":"cross right"}],"window":{"kind":"all"},"output":"row(left: utf8, right: utf8)"`,
		`"window":{"kind":"all"},"outer":"right","output":"row(left: utf8?, right: i64)"`,
		`"window":{"kind":"all"},"output":"row(left: utf8, right: i64)"`,
		`"window":{"kind":"tumbling","sizeMs":1000},"outer":"full","output":"row(left: utf8?, right: i64?)"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}

func TestFaultsOfWindowJoinDefinitions(t *testing.T) {
	for want, define := range map[string]func(job *Env, s *KeyedStream[string, string]){
		`join "join": no window`: func(_ *Env, s *KeyedStream[string, string]) { Join(s, s).Pairs().UID("j").SinkTo(Print()) },
		`allowed lateness before the window`: func(_ *Env, s *KeyedStream[string, string]) {
			Join(s, s).AllowedLateness(1).Window(Tumbling(time.Second)).Pairs().UID("j").SinkTo(Print())
		},
		`pairs of an outer join`: func(_ *Env, s *KeyedStream[string, string]) {
			Join(s, s).Window(Tumbling(time.Second)).LeftOuter().Pairs().UID("j").SinkTo(Print())
		},
		`co-group "c": an outer one`: func(_ *Env, s *KeyedStream[string, string]) {
			f := func(*WindowJoinContext[string, string], iter.Seq[string], iter.Seq[string]) {}
			CoGroup(Join(s, s).Window(Tumbling(time.Second)).LeftOuter(), "c", f).UID("j").SinkTo(Print())
		},
		`keys of codec utf8 and i64`: func(job *Env, s *KeyedStream[string, string]) {
			other := KeyBy(Source(job, Files("y")), "length", func(s string) int64 { return int64(len(s)) })
			f := func(*WindowJoinContext[string, string], *string, *string) {}
			ProcessWindowJoined(&WindowJoined[string, string, string]{left: s, right: &KeyedStream[string, string]{env: job, op: other.op, key: codec[string]{name: "i64"}, value: other.value}, window: &TimeWindow{size: 1}}, "j", f).UID("j").SinkTo(Print())
		},
		`operator "join" keeps state and has no uid`: func(_ *Env, s *KeyedStream[string, string]) {
			Join(s, s).Window(Tumbling(time.Second)).Pairs().SinkTo(Print())
		},
	} {
		h := newHost(t, func(job *Env) {
			define(job, KeyBy(Source(job, Files("x")), "k", func(s string) string { return s }))
		})
		h.describe()
		if len(h.failures) != 1 || !strings.Contains(h.failures[0].message, want) {
			t.Errorf("%s: %+v", want, h.failures)
		}
	}
}

func TestWindowJoinEmitsForEachPair(t *testing.T) {
	h := newHost(t, defineWindowJoins)
	h.open(functionSpec{id: 2, upstream: none, outputs: []outputSpec{{0, 0, columnValues | columnTimestamps | columnKeys}, {1, 1, columnValues}}})
	in := callOfGroups(
		groupIn(1000, 3000, "whale", appendList(nil, listInput, []string{"a", "b"}), appendList(nil, listInput1, []string{n(1), n(2)})),
		groupIn(0, 2000, "me", appendList(nil, listInput, []string{"c"})))
	if status := guest.keyed(1, verbJoin, in); status != statusOK {
		t.Fatalf("join: status %d, %+v", status, h.failures)
	}
	for _, e := range h.emits {
		got := decodeRecords(t, e.bytes)
		if e.output == 1 {
			if want := []string{n(1), n(2), n(1), n(2)}; !slices.Equal(got.Values, want) {
				t.Errorf("side output %q (expected %q)", got.Values, want)
			}
			continue
		}
		if want := []string{"whale a 1", "whale a 2", "whale b 1", "whale b 2", "me c"}; !slices.Equal(got.Values, want) {
			t.Errorf("emitted %q (expected %q)", got.Values, want)
		}
		if want := []int64{2999, 2999, 2999, 2999, 1999}; !slices.Equal(got.Timestamps, want) {
			t.Errorf("at %d (expected %d)", got.Timestamps, want)
		}
	}
	if status := guest.keyed(1, verbProcess, in); status != statusUnknownVerb {
		t.Errorf("process: status %d", status)
	}
}

// groupIn is a group with a window.
func groupIn(start, end int64, key string, lists ...[]byte) []byte {
	p := groupOf(key, groupHasWindow, 0, lists...)
	binary.LittleEndian.PutUint64(p[8:], uint64(start))
	binary.LittleEndian.PutUint64(p[16:], uint64(end))
	return p
}

// A co-group walks the lists as often as it likes, and asks for what did not come with the call.
func TestCoGroupHasBothLists(t *testing.T) {
	h := newHost(t, defineWindowJoins)
	h.open(functionSpec{id: 3, upstream: none, outputs: []outputSpec{{0, 0, columnValues | columnTimestamps}}})
	left := appendList(nil, listInput, []string{"a", "b"})
	binary.LittleEndian.PutUint32(left[8:], 4) // two more are with the host
	var asked []uint64
	native.state = func(op uint32, in, out []byte) uint32 {
		le := binary.LittleEndian
		if op != stateRecords || le.Uint32(in[12:]) != 0 || le.Uint16(in[16:]) != listInput {
			t.Fatalf("op %d of %x", op, in)
		}
		cursor := le.Uint64(in[24:])
		asked = append(asked, cursor)
		values, flags := []string{"c"}, uint32(stateMore)
		if cursor == 3 {
			values, flags = []string{"d"}, 0
		}
		answer := pageOf(flags, cursor+1, values)
		copy(out, answer)
		return uint32(len(answer))
	}
	in := callOfGroups(groupIn(1000, 3000, "whale", left, appendList(nil, listInput1, []string{n(1), n(2)})), groupIn(0, 2000, "me", appendList(nil, listInput1, []string{n(5)})))
	if status := guest.keyed(1, verbJoin, in); status != statusOK {
		t.Fatalf("join: status %d, %+v", status, h.failures)
	}
	got := decodeRecords(t, h.emits[0].bytes)
	if want := []string{"whale 4 3 until 3000", "a+b+c+d", "me 0 5 until 2000", ""}; !slices.Equal(got.Values, want) {
		t.Errorf("emitted %q (expected %q)", got.Values, want)
	}
	if want := []int64{2999, 7, 1999, 7}; !slices.Equal(got.Timestamps, want) {
		t.Errorf("at %d (expected %d)", got.Timestamps, want)
	}
	if want := []uint64{2, 3, 2, 3}; !slices.Equal(asked, want) {
		t.Errorf("asked for records from %d (expected %d)", asked, want)
	}
}

// pageOf is one answer of the state import, of records.
func pageOf(flags uint32, cursor uint64, values []string) []byte {
	le := binary.LittleEndian
	p := le.AppendUint64(nil, 1)
	at := len(p)
	p = append(p, make([]byte, stateAnswerBytes)...)
	off := uint32(0)
	p = le.AppendUint32(p, 0)
	for _, v := range values {
		off += uint32(len(v))
		p = le.AppendUint32(p, off)
	}
	p = appendPad(p, 4*(len(values)+1))
	p = appendPad(append(p, strings.Join(values, "")...), int(off))
	le.PutUint32(p[at:], uint32(len(p)-at))
	le.PutUint32(p[at+4:], flags)
	le.PutUint64(p[at+8:], cursor)
	le.PutUint32(p[at+16:], uint32(len(values)))
	le.PutUint32(p[at+24:], off)
	return p
}

func TestOuterPairsAreRowsWithNulls(t *testing.T) {
	c := outerPairCodec(utf8, i64, "full")
	word, number := "whale", int64(5)
	for _, v := range []OuterPair[string, int64]{{&word, &number}, {&word, nil}, {nil, &number}, {nil, nil}} {
		p := c.append([]byte("12345678"), v)[8:]
		got := c.decode(p)
		if (got.Left == nil) != (v.Left == nil) || (got.Right == nil) != (v.Right == nil) {
			t.Errorf("%x decoded to %+v", p, got)
		}
		if got.Left != nil && *got.Left != word || got.Right != nil && *got.Right != number {
			t.Errorf("%x decoded to %v", p, got)
		}
	}
}

func TestHintsOfJoinsInTheManifest(t *testing.T) {
	got := newHost(t, func(job *Env) {
		left, right := KeyBy(Source(job, Files("x")), "left", same), KeyBy(Source(job, Files("y")), "right", same)
		Join(left, right).AllTime().Hint(BroadcastHashSecond).LeftOuter().OuterPairs().UID("pairs").SinkTo(Print())
		ProcessWindowJoined(Join(left, right).AllTime().Hint(RepartitionHashFirst), "met", func(*WindowJoinContext[string, string], *string, *string) {}).UID("met").SinkTo(Print())
	}).describe()
	for _, want := range []string{`"window":{"kind":"all"},"outer":"left","hint":"broadcastHashSecond","output":`, `"window":{"kind":"all"},"hint":"repartitionHashFirst","output":"utf8"`} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}
