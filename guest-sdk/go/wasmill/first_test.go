//go:build !wasip1

package wasmill

import (
	"slices"
	"strings"
	"testing"
	"time"
)

type visit struct{ User, Page string }

func defineFirst(job *Env) {
	words := Source(job, Files("x"))
	KeyBy(words, "word", same).First("two", 2).UID("two").SinkTo(Print())
	First(words, "ten", 10).UID("ten").SinkTo(Print())
	Distinct(words, "words", time.Hour).UID("words").SinkTo(Print())
	visits := Map(words, "visit", func(s string) visit { return visit{s, s} })
	Distinct(visits, "visits").UID("visits").SinkTo(Blackhole())
	KeyByFields[string](visits, "user", "User").Distinct("users").UID("users").SinkTo(Blackhole())
}

func TestFirstInTheManifest(t *testing.T) {
	got := newHost(t, defineFirst).describe()
	for _, want := range []string{
		`{"id":1,"name":"two","kind":"process","inputs":["utf8"],"key":"utf8","output":"utf8","states":[{"name":"came","scope":"keyed","kind":"value","codec":"i64"}]}`,
		`{"name":"ten","uid":"ten","kind":"process","function":"ten","inputs":[{"from":"ten of all"}],"parallelism":1,"output":"utf8"}`,
		`{"name":"words by value","kind":"key","inputs":[{"from":"files"}],"key":"utf8","output":"utf8","fields":[""]}`,
		`"codec":"i64","ttlMs":3600000}`,
		`{"name":"visits by value","kind":"key","function":"visits by value","inputs":[{"from":"visit"}],"key":"row(user: utf8, page: utf8)","output":"row(user: utf8, page: utf8)"}`,
		`{"name":"users","uid":"users","kind":"process","function":"users","inputs":[{"from":"user"}],"output":"row(user: utf8, page: utf8)"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}

func TestFirstLetsSoManyBy(t *testing.T) {
	h := newHost(t, defineFirst)
	newStateHost()
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	in := callOfGroups(groupOf("a", 0, 0, appendList(nil, listInput, []string{"1", "2", "3"})), groupOf("b", 0, 0, appendList(nil, listInput, []string{"4"})))
	if status := guest.keyed(1, verbProcess, in); status != statusOK {
		t.Fatalf("status %d, %+v", status, h.failures)
	}
	if got := decodeRecords(t, h.emits[0].bytes); !slices.Equal(got.Values, []string{"1", "2", "4"}) {
		t.Errorf("emitted %q", got.Values)
	}
}

func TestFaultsOfFirst(t *testing.T) {
	for want, define := range map[string]func(s *Stream[string]){
		`first "f": 0 records (expected >= 1)`:                                                   func(s *Stream[string]) { First(s, "f", 0).UID("f").SinkTo(Print()) },
		`distinct "d": a key is forgotten after 1µs (expected whole milliseconds, at least one)`: func(s *Stream[string]) { Distinct(s, "d", time.Microsecond).UID("d").SinkTo(Print()) },
		`distinct "d": 2 times to forget a key (expected one at most)`:                           func(s *Stream[string]) { Distinct(s, "d", time.Hour, time.Hour).UID("d").SinkTo(Print()) },
		`first "f": behind a window of records`:                                                  func(s *Stream[string]) { KeyBy(s, "k", same).CountWindow(2).First("f", 1).UID("f").SinkTo(Print()) },
	} {
		h := newHost(t, func(job *Env) { define(Source(job, Files("x"))) })
		h.describe()
		if len(h.failures) != 1 || !strings.Contains(h.failures[0].message, want) {
			t.Errorf("%+v (expected %s)", h.failures, want)
		}
	}
}
