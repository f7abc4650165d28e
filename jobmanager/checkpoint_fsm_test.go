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
		now := time.Unix(0, 0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			number := func(name string, without int) int { d.MaybeScanArgs(t, name, &without); return without }
			cause := strings.ReplaceAll(d.Cmd, "-", " ")
			var attempt, id = graph.Attempt(number("attempt", 1)), checkpoint.ID(number("id", 1))
			task := graph.TaskID{Subtask: number("task", 0)}
			now = now.Add(time.Duration(number("after", 0)) * time.Second)
			var e ckEvent
			switch d.Cmd {
			case "attempt":
				m = &ckFSM{attempt: 1, interval: time.Duration(number("interval", 10)) * time.Second, unsettled: d.HasArg("unsettled"), minPause: time.Second, timeout: time.Minute,
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
			for _, a := range m.step(now, e) {
				fmt.Fprintf(&out, "%s%+v\n", strings.TrimPrefix(fmt.Sprintf("%T", a), "jobmanager.ckDo"), a)
			}
			fmt.Fprintf(&out, "%s missing=%d queue=%d failures=%d\n", m.phase, len(m.missing), len(m.queue), m.failures)
			return out.String()
		})
	})
}

// A task that finishes behind its part of a checkpoint has that part in it: it may have sent something in between, which
// who comes behind it has only in the next one. That has its last part, and so have those after it.
func TestWhoFinishesBehindItsPartKeepsIt(t *testing.T) {
	tasks := [2]graph.TaskID{{Subtask: 0}, {Subtask: 1}}
	m := &ckFSM{attempt: 1, running: map[graph.TaskID]bool{tasks[0]: true, tasks[1]: true}, called: graph.TaskID.String}
	m.step(time.Time{}, ckAsk{})
	m.step(time.Time{}, ckNumbered{1})
	m.step(time.Time{}, ckAck{1, 1, tasks[0]})
	m.step(time.Time{}, ckAck{1, 1, tasks[1]})
	m.step(time.Time{}, ckStored{1})
	m.step(time.Time{}, ckAsk{})
	m.step(time.Time{}, ckNumbered{2})
	if !m.missing[tasks[0]] {
		t.Error("a task that has finished is not asked for its last part")
	}
	m.step(time.Time{}, ckAck{1, 2, tasks[0]})
	m.step(time.Time{}, ckFinished{tasks[0]}) // that part was its last
	m.step(time.Time{}, ckAck{1, 2, tasks[1]})
	m.step(time.Time{}, ckStored{2})
	m.step(time.Time{}, ckAsk{})
	m.step(time.Time{}, ckNumbered{3})
	if m.missing[tasks[0]] || !m.missing[tasks[1]] {
		t.Errorf("missing: %v (expected %s alone)", m.missing, tasks[1])
	}
}
