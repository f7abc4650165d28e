// This file is laid over internal/failpoint, and time.Shift over package time, when bin/wasmill-clock is built.

package failpoint

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// The wall clock of this process is wrong by what the file that FAILPOINT_CLOCK names says: nanoseconds, and a drift in
// parts of a million, which begins with the process. The monotonic clock goes on as it is.
func init() {
	path := os.Getenv("FAILPOINT_CLOCK")
	if path == "" {
		return
	}
	var jump, drift atomic.Int64
	_, _, begun := time.Real()
	time.Shift = func(sec int64, nsec int32, mono int64) (int64, int32) {
		ns := sec*1e9 + int64(nsec) + jump.Load() + (mono-begun)/1e6*drift.Load()
		return ns / 1e9, int32(ns % 1e9)
	}
	read := func() {
		text, err := os.ReadFile(path)
		if err != nil {
			return
		}
		var ns, ppm int64
		if _, err := fmt.Sscan(string(text), &ns, &ppm); err != nil || ns == jump.Load() && ppm == drift.Load() {
			return
		}
		jump.Store(ns)
		drift.Store(ppm)
		sec, nsec, _ := time.Real()
		wrong := time.Now().Round(0).Sub(time.Unix(sec, int64(nsec))).Round(time.Second)
		tell(fmt.Sprintf("clock wrong by %s, %+d ppm", wrong, ppm))
	}
	read()
	go func() { // ends with the process
		for {
			time.Sleep(20 * time.Millisecond)
			read()
		}
	}()
}
