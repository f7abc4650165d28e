//go:build !wasip1

package wasmill

import (
	"strings"
	"testing"
	"time"
)

func TestWindowsInTheManifest(t *testing.T) {
	for want, w := range map[string]TimeWindow{
		`{"kind":"session","gapMs":3000}`:                                 Session(3 * time.Second),
		`{"kind":"tumbling","sizeMs":1000}`:                               Tumbling(time.Second),
		`{"kind":"sliding","sizeMs":10000}`:                               Sliding(10*time.Second, 0), // the host refuses it
		`{"kind":"sliding","sizeMs":10000,"slideMs":2000}`:                Sliding(10*time.Second, 2*time.Second),
		`{"kind":"session"}`:                                              Session(0), // so it does
		`{"kind":"tumbling","sizeMs":86400000,"offsetMs":-28800000}`:      Tumbling(24 * time.Hour).Offset(-8 * time.Hour),
		`{"kind":"tumbling","sizeMs":1000,"offsetMs":300}`:                Tumbling(time.Second).Offset(300 * time.Millisecond),
		`{"kind":"sliding","sizeMs":10,"slideMs":10,"time":"processing"}`: Sliding(10*time.Millisecond, 10*time.Millisecond).ProcessingTime(),
	} {
		h := newHost(t, func(job *Env) {
			s := KeyBy(Source(job, Files("x")), "key", func(s string) string { return s }).Window(w)
			s.Count().UID("c").SinkTo(Print())
			s.AllowedLateness(time.Minute).Count().UID("d").SinkTo(Print())
		})
		got := h.describe()
		if !strings.Contains(got, `"window":`+want) || !strings.Contains(got, `"window":`+want[:len(want)-1]+`,"latenessMs":60000}`) {
			t.Errorf("expected %s in %s", want, got)
		}
	}
}

func TestWindowsOfRecordsInTheManifest(t *testing.T) {
	h := newHost(t, func(job *Env) {
		s := KeyBy(Source(job, Files("x")), "key", func(s string) string { return s })
		s.CountWindow(10).Count().UID("c").SinkTo(Print())
		s.SlidingCountWindow(10, 4).Reduce("longest", func(a, _ string) string { return a }).UID("d").SinkTo(Print())
	})
	got := h.describe()
	for _, want := range []string{
		`"window":{"kind":"count","count":10},"output":"row(key: utf8, value: i64)"`,
		`"window":{"kind":"count","count":10,"countSlide":4},"output":"row(key: utf8, value: utf8)"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in %s", want, got)
		}
	}
	h = newHost(t, func(job *Env) {
		s := KeyBy(Source(job, Files("x")), "key", func(s string) string { return s })
		s.CountWindow(10).Window(Tumbling(time.Second)).Count().UID("c").SinkTo(Print())
	})
	if got := h.describe(); got != "" || len(h.failures) != 1 || !strings.Contains(h.failures[0].message, "behind a window of records") {
		t.Errorf("manifest %q, %+v", got, h.failures)
	}
}
