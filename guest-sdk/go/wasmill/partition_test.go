//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestPartitionAnswersASubtaskARecord(t *testing.T) {
	h := newHost(t, func(job *Env) {
		dealt := PartitionCustom(Source(job, Files("x")), "length", func(line string, receivers int) int { return len(line) % receivers })
		dealt.SinkTo(Print()).SlotSharingGroup("writers").DisableChaining()
	})
	if got := h.describe(); !strings.Contains(got, `"features":[1,2,9]`) ||
		!strings.Contains(got, `"inputs":[{"from":"length"}],"connector":{"type":"print"},"chaining":"alone","slotGroup":"writers"`) {
		t.Errorf("manifest %s", got)
	}
	h.open(functionSpec{id: 0, upstream: none})
	call := callOf(groupsOf(testGroup{records: []string{"", "a", "bb", "ccc", "dddd"}}))
	binary.LittleEndian.PutUint32(call[32:], 3) // receivers
	if status := guest.keyed(1, verbPartition, call); status != statusOK {
		t.Fatalf("status %d, %+v", status, h.failures)
	}
	want := "38000000000000000100000000000000" + "28000000080000001400000000000000" + "0000000001000000020000000000000001000000" + "00000000"
	if len(h.replies) != 1 || hex.EncodeToString(h.replies[0]) != want {
		t.Errorf("reply %x\nwant  %s", h.replies, want)
	}
	if status := guest.keyed(1, verbResult, call); status != statusUnknownVerb {
		t.Errorf("another verb: status %d", status)
	}
}

func TestPartitionRefusesASubtaskThatThereIsNot(t *testing.T) {
	h := newHost(t, func(job *Env) {
		PartitionCustom(Source(job, Files("x")), "off", func(string, int) int { return -1 }).SinkTo(Print())
	})
	h.open(functionSpec{id: 0, upstream: none})
	call := callOf(groupsOf(testGroup{records: []string{"a"}}))
	binary.LittleEndian.PutUint32(call[32:], 3)
	if status := guest.keyed(1, verbPartition, call); status != statusFailed || h.failures[0].message != "subtask -1 (expected 0 <= subtask < 3)" {
		t.Errorf("status %d, %+v", status, h.failures)
	}
}

func TestRangesGoToSubtasksInTheirOrder(t *testing.T) {
	for _, c := range []struct {
		receivers uint32
		want      string // of the records below, a subtask each
	}{{1, "000000"}, {2, "000111"}, {3, "000122"}, {4, "001233"}, {8, "002466"}} {
		h := newHost(t, func(job *Env) {
			PartitionRange(Source(job, Files("x")), "initial", func(s string) string { return s[:1] }, "g", "n", "t").SinkTo(Print())
		})
		h.open(functionSpec{id: 0, upstream: none})
		call := callOf(groupsOf(testGroup{records: []string{"a", "f", "g", "n", "t", "z"}}))
		binary.LittleEndian.PutUint32(call[32:], c.receivers)
		if status := guest.keyed(1, verbPartition, call); status != statusOK {
			t.Fatalf("status %d, %+v", status, h.failures)
		}
		got := ""
		for answers := h.replies[0][len(h.replies[0])-24:]; len(answers) > 0; answers = answers[4:] {
			got += strconv.Itoa(int(binary.LittleEndian.Uint32(answers)))
		}
		if got != c.want {
			t.Errorf("%d receivers: %s (expected %s)", c.receivers, got, c.want)
		}
	}
	if got := rangeOf(math.NaN(), []float64{1, 2}); got != 2 {
		t.Errorf("NaN is in range %d (expected the last one)", got)
	}
}

func TestFaultsOfRanges(t *testing.T) {
	for want, bounds := range map[string][]string{
		`partition "r": bound 2 is not above the one before it`: {"a", "b", "b"},
		`partition "r": bound 1 is not above the one before it`: {"b", "a"},
	} {
		h := newHost(t, func(job *Env) { PartitionRange(Source(job, Files("x")), "r", same, bounds...).SinkTo(Print()) })
		h.describe()
		if len(h.failures) != 1 || !strings.Contains(h.failures[0].message, want) {
			t.Errorf("%+v (expected %s)", h.failures, want)
		}
	}
}

func TestStreamsSayHowTheyAreDealtOut(t *testing.T) {
	for want, by := range map[string]func(*Stream[string]) *Stream[string]{
		"rebalance": (*Stream[string]).Rebalance, "shuffle": (*Stream[string]).Shuffle, "rescale": (*Stream[string]).Rescale,
		"broadcast": (*Stream[string]).Broadcast, "global": (*Stream[string]).Global, "forward": (*Stream[string]).Forward,
	} {
		h := newHost(t, func(job *Env) {
			lines := Source(job, Files("x"))
			by(lines).SinkTo(Print())
			Map(lines, "trim", strings.TrimSpace).StartNewChain().SlotSharingGroup("g").SinkTo(Print())
		})
		got := h.describe()
		if strings.Count(got, `"partition"`) != 1 || !strings.Contains(got, `{"from":"files","partition":"`+want+`"}`) {
			t.Errorf("%s: manifest %s", want, got)
		}
		if !strings.Contains(got, `"chaining":"begin","slotGroup":"g"`) {
			t.Errorf("manifest %s", got)
		}
	}
}

func TestManifestSaysWhatIsPreAggregated(t *testing.T) {
	h := newHost(t, func(job *Env) {
		words := KeyBy(Source(job, Files("x")), "word", func(w string) string { return w })
		words.Count().UID("a").PreAggregate(false).SinkTo(Print())
		add := func(n int64, _ string) int64 { return n + 1 }
		Aggregate(words, "merging", Aggregator[string, int64, int64]{
			Create: func() int64 { return 0 }, Add: add, Merge: func(a, b int64) int64 { return a + b }, Result: func(n int64) int64 { return n },
		}).UID("b").PreAggregate(true).SinkTo(Print())
		Aggregate(words, "adding", Aggregator[string, int64, int64]{
			Create: func() int64 { return 0 }, Add: add, Result: func(n int64) int64 { return n },
		}).UID("c").SinkTo(Print())
		words.Reduce("longest", func(a, b string) string { return max(a, b) }).UID("d").SinkTo(Print())
	})
	got := h.describe()
	for _, want := range []string{
		`"uid":"a","kind":"count","inputs":[{"from":"word"}],"output":"row(key: utf8, value: i64)","preAggregate":"off"}`, `"preAggregate":"on"}`,
		`"name":"merging","kind":"aggregate","inputs":["utf8"],"key":"utf8","accumulator":"i64","output":"row(key: utf8, value: i64)","combine":true}`,
		`"name":"adding","kind":"aggregate","inputs":["utf8"],"key":"utf8","accumulator":"i64","output":"row(key: utf8, value: i64)"}`,
		`"accumulator":"utf8","output":"row(key: utf8, value: utf8)","result":true,"combine":true}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis not in\n%s", want, got)
		}
	}
}
