package jobmanager

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/wasmill/wasmill/internal/wire"
)

// TestExchangeScripts runs the scripts of testdata/exchange_fsm: one event a command, its actions as output.
//
//	begin on=(a,b) | prepared a | refused a | triggered | decided | given-up | attempt-over
func TestExchangeScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/exchange_fsm", func(t *testing.T, path string) {
		var m *exFSM
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			cause := strings.ReplaceAll(d.Cmd, "-", " ")
			var e exEvent
			switch d.Cmd {
			case "begin":
				m = &exFSM{}
				var on []wire.TaskManagerID
				for _, tm := range d.CmdArgs[0].Vals {
					on = append(on, wire.TaskManagerID(tm))
				}
				e = exBegin{on}
			case "prepared":
				e = exPrepared{tm: wire.TaskManagerID(d.CmdArgs[0].Key)}
			case "refused":
				e = exPrepared{wire.TaskManagerID(d.CmdArgs[0].Key), "refused by " + d.CmdArgs[0].Key}
			case "triggered":
				e = exTriggered{}
			case "decided":
				e = exConcluded{}
			case "given-up":
				e = exConcluded{cause}
			case "attempt-over":
				e = exEnded{cause}
			default:
				d.Fatalf(t, "%s: no such event", d.Cmd)
			}
			var out strings.Builder
			for _, a := range m.step(e) {
				fmt.Fprintf(&out, "%s%+v\n", strings.TrimPrefix(fmt.Sprintf("%T", a), "jobmanager.exDo"), a)
			}
			fmt.Fprintf(&out, "%s missing=%v\n", m.phase, m.missing)
			return out.String()
		})
	})
}
