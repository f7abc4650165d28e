//go:build !wasip1

package wasmill

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func defineAsking(job *Env) {
	words := Source(job, Files("x"))
	keyed := KeyBy(words, "key", func(s string) string { return s })
	f := AsyncFunction[string, string]{
		Request: func(w string) *HTTPRequest {
			if w == "self" {
				return nil
			}
			return NewHTTPRequest("GET", "https://rates.example.com/"+w).Header("Accept", "text/plain").Body([]byte("hi")).Timeout(500 * time.Millisecond)
		},
		Response: func(w string, r *HTTPResponse, emit func(string)) {
			if r == nil {
				emit(w + " by itself")
				return
			}
			emit(w + " " + strconv.Itoa(r.Status) + " " + r.Header("x-rate") + r.Header("none") + " " + string(r.Body))
		},
		Failed: func(w string, why *RequestError, emit func(string)) {
			emit(w + " " + why.Error() + strconv.FormatBool(why.TimedOut) + strconv.FormatBool(why.Refused))
		},
	}
	AsyncWait(keyed, "rates", f, Unordered, Hosts("rates.example.com:443", "*.example.org:*"), Capacity(7), Timeout(3*time.Second),
		ExponentialBackoff(5, 100*time.Millisecond, 2*time.Second, 1.5), RetryOn("5xx", "broken")).UID("r").SinkTo(Print())
	f.Failed = nil
	AsyncWait(words, "plain", f, Ordered, Hosts("rates.example.com:443"), FixedDelay(2, time.Second)).UID("p").SinkTo(Print())
	AsyncWait(words, "once", f, Ordered, Hosts("rates.example.com:443")).UID("o").SinkTo(Print())
}

func TestRequestsInTheManifest(t *testing.T) {
	got := newHost(t, defineAsking).describe()
	for _, want := range []string{
		`"features":[1,2,7]`,
		`{"id":1,"name":"rates","kind":"request","inputs":["utf8"],"output":"utf8","failures":true}`,
		`"kind":"request","function":"rates","inputs":[{"from":"key"}],"requests":{"client":"http","hosts":["rates.example.com:443","*.example.org:*"],"order":"unordered","capacity":7,"timeoutMs":3000,"retry":{"retries":5,"delayMs":100,"maxDelayMs":2000,"growPercent":150,"on":["5xx","broken"]}},"output":"utf8"`,
		`{"id":2,"name":"plain","kind":"request","inputs":["utf8"],"output":"utf8"}`,
		`"requests":{"client":"http","hosts":["rates.example.com:443"],"order":"ordered","retry":{"retries":2,"delayMs":1000}}`,
		`"requests":{"client":"http","hosts":["rates.example.com:443"],"order":"ordered"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}

func TestFaultsOfRequestDefinitions(t *testing.T) {
	f := AsyncFunction[string, string]{Request: func(string) *HTTPRequest { return nil }, Response: func(string, *HTTPResponse, func(string)) {}}
	for want, define := range map[string]func(job *Env){
		`request "r": no Request or no Response`: func(job *Env) {
			AsyncWait(Source(job, Files("x")), "r", AsyncFunction[string, string]{}, Ordered).UID("r").SinkTo(Print())
		},
		`request "r": RetryOn without FixedDelay or ExponentialBackoff`: func(job *Env) {
			AsyncWait(Source(job, Files("x")), "r", f, Ordered, RetryOn("5xx")).UID("r").SinkTo(Print())
		},
		`operator "r" keeps state and has no uid`: func(job *Env) {
			AsyncWait(Source(job, Files("x")), "r", f, Ordered).SinkTo(Print())
		},
	} {
		h := newHost(t, define)
		h.describe()
		if len(h.failures) != 1 || !strings.Contains(h.failures[0].message, want) {
			t.Errorf("%s: %+v", want, h.failures)
		}
	}
}

func TestARequestIsWrittenAsTheSpecificationHasIt(t *testing.T) {
	h := newHost(t, defineAsking)
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	in := callOfGroups(groupOf("self", 0, 0, appendList(nil, listInput, []string{"self"})), groupOf("CHF", 0, 0, appendList(nil, listInput, []string{"CHF"})))
	if status := guest.keyed(1, verbRequest, in); status != statusOK {
		t.Fatalf("request: status %d, %+v", status, h.failures)
	}
	want := map[uint32][]action{1: {{op: actionRequest, value: string(goldenBytes(t, "request"))}}}
	if got := h.actions(); len(got) != 1 || !slices.Equal(got[1], want[1]) {
		t.Errorf("%q (expected %q)", got, want)
	}
	if len(h.emits) > 0 {
		t.Errorf("emitted %+v", h.emits)
	}
}

func TestAnswersBecomeResults(t *testing.T) {
	h := newHost(t, defineAsking)
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues | columnTimestamps | columnKeys}}})
	group := func(word string, at int64, answer []byte) []byte {
		return groupOf(word, 0, 0, timed(appendList(nil, listInput, []string{word}), at), appendList(nil, listAnswers, []string{string(answer)}))
	}
	status := guest.keyed(1, verbResponse, callOfGroups(
		group("CHF", 5, goldenBytes(t, "answer")), group("self", 6, []byte{4, 0, 0, 0, 0, 0, 0, 0}), group("EUR", 7, []byte("\x01\x00\x00\x00\x00\x00\x00\x00late")),
		group("USD", 8, []byte("\x02\x00\x00\x00\x00\x00\x00\x00no")), group("JPY", 9, []byte("\x03\x00\x00\x00\x00\x00\x00\x00reset"))))
	if status != statusOK || len(h.emits) != 1 {
		t.Fatalf("response: status %d, %+v, %+v", status, h.failures, h.emits)
	}
	got := decodeRecords(t, h.emits[0].bytes)
	if want := []string{"CHF 200 1 1.07", "self by itself", "EUR latetruefalse", "USD nofalsetrue", "JPY resetfalsefalse"}; !slices.Equal(got.Values, want) {
		t.Errorf("%q (expected %q)", got.Values, want)
	}
	if !slices.Equal(got.Timestamps, []int64{5, 6, 7, 8, 9}) || !slices.Equal(got.Keys, []string{"CHF", "self", "EUR", "USD", "JPY"}) {
		t.Errorf("at %d of %q", got.Timestamps, got.Keys)
	}
	if status := guest.keyed(1, verbProcess, callOfGroups()); status != statusUnknownVerb {
		t.Errorf("process: status %d", status)
	}
}
