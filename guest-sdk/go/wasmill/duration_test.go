//go:build !wasip1

package wasmill

import (
	"strings"
	"testing"
	"time"
)

// Manifests have whole milliseconds. What a definition says beyond these would be lost, so it is refused, with the call and the operator.
func TestDurationsAreWholeMilliseconds(t *testing.T) {
	const odd = 1500 * time.Microsecond
	text := func(job *Env) *Stream[string] { return Source(job, Files("x")) }
	keyed := func(job *Env) *KeyedStream[string, string] { return KeyBy(text(job), "key", same) }
	count := func(job *Env, w TimeWindow) { keyed(job).Window(w).Count().Name("n").UID("n").SinkTo(Print()) }
	held := func(job *Env, s State) {
		Process(keyed(job), "p", ProcessFunction[string, string, string]{States: []State{s}, Process: func(*Context[string, string], string) {}}).UID("p").SinkTo(Print())
	}
	asked := func(job *Env, options ...AsyncOption) {
		AsyncWait(text(job), "ask", AsyncFunction[string, string]{Request: func(string) *HTTPRequest { return Get("x") }, Response: func(string, *HTTPResponse, func(string)) {}},
			Unordered, append(options, Hosts("h:80"))...).UID("a").SinkTo(Print())
	}
	for want, define := range map[string]func(job *Env){
		`operator "n": 1.5ms in Tumbling`:             func(job *Env) { count(job, Tumbling(odd)) },
		`operator "n": 1.5ms in Sliding`:              func(job *Env) { count(job, Sliding(odd, time.Millisecond)) },
		`operator "n": 500µs in the slide of Sliding`: func(job *Env) { count(job, Sliding(time.Second, 500*time.Microsecond)) },
		`operator "n": -1.5ms in Offset`:              func(job *Env) { count(job, Tumbling(time.Second).Offset(-odd)) },
		`operator "n": 500µs in Session`:              func(job *Env) { count(job, Session(500*time.Microsecond)) },
		`operator "late": 1.5ms in AllowedLateness`: func(job *Env) {
			keyed(job).Window(Tumbling(time.Second)).AllowedLateness(odd).Count().Name("late").UID("n").SinkTo(Print())
		},
		`operator "t": 1.5ms in the trigger`: func(job *Env) {
			keyed(job).Window(Global()).Trigger(EveryEventTime(odd)).Count().Name("t").UID("n").SinkTo(Print())
		},
		`function "p": 1ns in TTL of state "v"`:   func(job *Env) { held(job, NewValueState[string](job, "v").TTL(1)) },
		`function "p": 1.5ms in TTL of state "l"`: func(job *Env) { held(job, NewListState[string](job, "l").EventTimeTTL(odd)) },
		`operator "times": 1.5ms in outOfOrder`: func(job *Env) {
			AssignTimestamps(text(job), "times", func(string) int64 { return 0 }, odd).SinkTo(Print())
		},
		`operator "times": 1.5ms in Idleness`: func(job *Env) {
			AssignTimestamps(text(job), "times", func(string) int64 { return 0 }, 0).Idleness(odd).SinkTo(Print())
		},
		`operator "times": 1.5ms in Alignment`: func(job *Env) {
			AssignTimestamps(text(job), "times", func(string) int64 { return 0 }, 0).Alignment("g", odd).SinkTo(Print())
		},
		`operator "nexmark": 1.5ms in outOfOrder`: func(job *Env) { Source(job, Nexmark[testBid]("bid", odd)).SinkTo(Print()) },
		`operator "near": 1.5ms in Between`: func(job *Env) {
			k := keyed(job)
			IntervalJoin(k, k).Between(0, odd).Pairs().Name("near").UID("j").SinkTo(Print())
		},
		`operator "ask": 1.5ms in Timeout`:              func(job *Env) { asked(job, Timeout(odd)) },
		`operator "ask": 1.5ms in the delay of retries`: func(job *Env) { asked(job, FixedDelay(3, odd)) },
	} {
		h := newHost(t, define)
		if h.describe() != "" || len(h.failures) != 1 || !strings.HasPrefix(h.failures[0].message, want+" (expected whole milliseconds)") {
			t.Errorf("%+v (expected %s)", h.failures, want)
		}
	}
}

// Problems are told together, in the order of the graph, whenever they are found.
func TestProblemsAreToldInTheOrderOfTheGraph(t *testing.T) {
	const odd = 1500 * time.Microsecond
	h := newHost(t, func(job *Env) {
		text := AssignTimestamps(Source(job, Files("x")), "times", func(string) int64 { return 0 }, odd)
		keyed := KeyBy(text, "key", same)
		keyed.Count().Name("first").SinkTo(Print()).Parallelism(0)
		last := NewValueState[string](job, "last").TTL(1)
		Process(keyed, "second", ProcessFunction[string, string, string]{States: []State{last}, Process: func(*Context[string, string], string) {}}).UID("p").SinkTo(Print())
		keyed.Window(Tumbling(odd)).Count().Name("third").UID("w").SinkTo(Print())
		keyed.Sum().Name("fourth").UID("s").SinkTo(Print())
		keyed.CountWindow(3).Count().Name("fifth").SinkTo(Print())
	})
	if h.describe() != "" || len(h.failures) != 1 {
		t.Fatalf("failures %+v (expected one)", h.failures)
	}
	rest := h.failures[0].message
	for _, want := range []string{
		`operator "times": 1.5ms in outOfOrder`, `operator "first" keeps state and has no uid`, `parallelism 0`, `function "second": 1ns in TTL of state "last"`,
		`operator "third": 1.5ms in Tumbling`, `sum behind "key": values of codec utf8`, `operator "fifth" keeps state and has no uid`,
	} {
		_, behind, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%s\nlacks %s, or has it too early", h.failures[0].message, want)
		}
		rest = behind
	}
}
