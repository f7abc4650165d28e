package jobmanager

import (
	"testing"
	"time"
)

func TestRestartDelays(t *testing.T) {
	r := Restart{Delay: time.Second, MaxDelay: 10 * time.Second, PerHour: 7}
	now := time.Unix(0, 0)
	var failures []time.Time
	for i, want := range []time.Duration{0, 1, 2, 4, 8, 10, 10, -1, -1} {
		var delay time.Duration
		var again bool
		delay, again, failures = r.next(failures, now)
		if again != (want >= 0) || again && delay != want*time.Second {
			t.Errorf("failure %d: %s, %v (expected %d s)", i, delay, again, want)
		}
		now = now.Add(time.Minute)
	}
	if len(failures) > 9 {
		t.Errorf("%d failures are remembered", len(failures))
	}
	// The first failures are an hour ago by now, and do not count any more.
	now = time.Unix(0, 0).Add(time.Hour + 90*time.Second)
	if delay, again, left := r.next(failures, now); again || len(left) != 8 {
		t.Errorf("with seven in the last hour: %s, %v, %d remembered", delay, again, len(left))
	}
	if delay, again, left := r.next(failures, now.Add(time.Hour)); delay != 0 || !again || len(left) != 1 {
		t.Errorf("after a quiet hour: %s, %v, %d remembered", delay, again, len(left))
	}
}
