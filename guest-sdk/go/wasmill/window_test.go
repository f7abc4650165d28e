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
		`{"kind":"sliding","sizeMs":10000,"slideMs":2000}`:                Sliding(10*time.Second, 2*time.Second),
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
