package jobmanager

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// TestCheckpointScripts runs the scripts of testdata/checkpoint_fsm: one event a command, its actions as output.
func TestCheckpointScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/checkpoint_fsm", func(t *testing.T, path string) {
		var m *ckFSM
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			number := func(name string, without int) int { d.MaybeScanArgs(t, name, &without); return without }
			cause := strings.ReplaceAll(d.Cmd, "-", " ")
			var attempt, id = graph.Attempt(number("attempt", 1)), checkpoint.ID(number("id", 1))
			task := graph.TaskID{Subtask: number("task", 0)}
			var e ckEvent
			switch d.Cmd {
			case "attempt":
				m = &ckFSM{attempt: 1, interval: 10 * time.Second, minPause: time.Second, timeout: time.Minute,
					tolerated: number("tolerated", 0), running: map[graph.TaskID]bool{{Subtask: 0}: true, {Subtask: 1}: true}, called: graph.TaskID.String}
				e = ckStart{}
			case "ask":
				e = ckAsk{ckRequest{number: number("request", 1), kind: checkpoint.Savepoint, stop: d.HasArg("stop"), drain: d.HasArg("drain"), exchange: uint32(number("exchange", 0))}}
			case "timer":
				e = ckTimer{m.timer - number("older", 0)}
			case "numbered":
				e = ckNumbered{id}
			case "ack":
				e = ckAck{attempt, id, task}
			case "declined":
				e = ckDecline{attempt, id, cause}
			case "finished":
				e = ckFinished{task}
			case "stored":
				e = ckStored{id}
			case "refused":
				e = ckRefused{cause}
			case "over":
				e = ckOver{cause}
			default:
				d.Fatalf(t, "%s: no such event", d.Cmd)
			}
			var out strings.Builder
			for _, a := range m.step(e) {
				fmt.Fprintf(&out, "%s%+v\n", strings.TrimPrefix(fmt.Sprintf("%T", a), "jobmanager.ckDo"), a)
			}
			fmt.Fprintf(&out, "%s missing=%d queue=%d failures=%d\n", m.phase, len(m.missing), len(m.queue), m.failures)
			return out.String()
		})
	})
}
