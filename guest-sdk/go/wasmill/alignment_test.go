//go:build !wasip1

package wasmill

import (
	"strings"
	"testing"
	"time"
)

// Sources of a group say how far they may be ahead; who has no event times, or says nothing of use, is refused.
func TestAlignment(t *testing.T) {
	h := newHost(t, func(job *Env) {
		times := AssignTimestamps(Source(job, Files("x")), "times", func(string) int64 { return 0 }, 0)
		times.Alignment("orders", 2*time.Second).SinkTo(Print())
	})
	if got, want := h.describe(), `"watermarks":{"group":"orders","driftMs":2000}`; !strings.Contains(got, want) {
		t.Errorf("manifest %s\nhas no %s", got, want)
	}
	h = newHost(t, func(job *Env) {
		s := Source(job, Files("x"))
		s.Alignment("orders", time.Second)
		AssignTimestamps(s, "times", func(string) int64 { return 0 }, 0).Alignment("", 0).SinkTo(Print())
	})
	if h.describe() != "" || len(h.failures) != 1 || !strings.Contains(h.failures[0].message, "it has no watermarks") || !strings.Contains(h.failures[0].message, `group "", drift 0s`) {
		t.Errorf("%+v", h.failures)
	}
}
