package main

import (
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
)

// Info says what a job guarantees and why not more, what was left out, and when nothing of it outlives the process.
func TestInfoSaysWhatIsGuaranteed(t *testing.T) {
	job := &api.Job{
		Guarantee: api.Guarantee{Guarantee: connector.AtLeastOnce, Because: []string{`sink "print" (print) is at-least-once`}},
		Skipped:   []api.Skipped{{Operator: "take", OnTrap: graph.OnTrapDeadLetter, Count: 1234}, {Operator: "sieve", OnTrap: graph.OnTrapSkip}},
		Ephemeral: true,
	}
	rows := strings.Join(jobRows(job, time.Now()), "\n") + "\n"
	for _, want := range []string{
		"guarantee\tat-least-once\n\tsink \"print\" (print) is at-least-once\n",
		"left out\t1,234 of take, in dead letters\n\t0 of sieve, skipped\n",
		"checkpoints\tend with the process (--state-dir keeps them)\n",
	} {
		if !strings.Contains(rows, want) {
			t.Errorf("rows\n%slack\n%s", rows, want)
		}
	}
	rows = strings.Join(jobRows(&api.Job{Guarantee: api.Guarantee{Guarantee: connector.ExactlyOnce}}, time.Now()), "\n") + "\n"
	if !strings.Contains(rows, "guarantee\texactly-once\n") || strings.Contains(rows, "left out") || strings.Contains(rows, "end with the process") {
		t.Errorf("rows\n%s", rows)
	}
}
