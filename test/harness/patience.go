package harness

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// Stretched is a limit that was chosen on a machine with nothing else to do, on this one now: as many times longer as there is more
// that wants a processor than there are processors.
func Stretched(limit time.Duration) time.Duration {
	wanting := 0.0
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(data), &wanting)
	}
	return time.Duration(float64(limit) * max(1, wanting/float64(runtime.NumCPU())))
}

// Until asks every 10 ms until done says yes, and returns how long that took; past the limit, stretched, the test fails.
func Until(t testing.TB, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if done() {
			return time.Since(begun)
		}
		if took := time.Since(begun); took > limit && took > Stretched(limit) {
			t.Fatalf("after %v still waiting until %s", took.Round(time.Millisecond), what)
		}
	}
	return 0
}
