//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"encoding/hex"
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
