package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/test/harness"
)

// A program that is wrong is refused before it runs, with what is wrong and what is expected; a key that is not its record's alone is
// noticed at the first records.
func TestBadProgramsAreToldOf(t *testing.T) {
	module := filepath.Join(harness.Root(t), "test/guests/bad.wasm")
	for what, want := range map[string]string{
		"uid":    `operator "count-2" keeps state and has no uid; give it one`,
		"window": "window of -5 ms (expected > 0)",
		"bounds": `operator "join": operators[4].interval: an interval from 5 to -5 ms (expected lower <= upper`,
		"codec":  `sum behind "whose": values of codec utf8 (expected i64 or f64)`,
		"state":  `process "states": state "last" of a key on a stream without key (expected a list of the operator`,
		"timers": `process "timers": timers on a stream without key (expected wasmill_key_by before it`,
		"key":    `operator "whose": its function gave record 1 of a batch ("0") the key "0", and when it was asked again "`,
	} {
		r := built.wasmill.Run(t, "run", module, "--param", "what="+what, "--param", "count=10000")
		if r.Code == 0 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: %+v (expected %s)", what, r, want)
		}
		if ran := strings.Contains(r.Stdout+r.Stderr, "RUNNING"); ran != (what == "key") {
			t.Errorf("%s: ran %t", what, ran)
		}
	}
}
