package taskmanager

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// Each script is a line of events on three channels and what they ask for: "b0:5" a barrier of checkpoint 5 on channel 0,
// "e1" the end of channel 1, "a5" checkpoint 5 is given up.
func TestAlignment(t *testing.T) {
	for _, c := range []struct{ name, events, want string }{
		{"all barriers", "b0:1 b2:1 b1:1", "pause0 pause2 pause1,take1,resume[0 1 2]"},
		{"one after the other", "b0:1 b1:1 b2:1 b2:2 b1:2 b0:2", "pause0 pause1 pause2,take1,resume[0 1 2] pause2 pause1 pause0,take2,resume[0 1 2]"},
		{"an ended channel counts", "e1 b0:1 b2:1", "- pause0 pause2,take1,resume[0 2]"},
		{"an end completes", "b0:1 b2:1 e1", "pause0 pause2 take1,resume[0 2]"},
		{"the end of a channel that has its barrier", "b0:1 e0 b1:1 b2:1", "pause0 - pause1 pause2,take1,resume[0 1 2]"},
		{"all others ended", "e0 e1 b2:7", "- - pause2,take7,resume[2]"},
		{"given up while aligning", "b0:1 a1 b1:1 b2:1 b0:2 b1:2 b2:2", "pause0 resume[0] - - pause0 pause1 pause2,take2,resume[0 1 2]"},
		{"given up before any barrier", "a3 b0:3 b1:3 b2:3", "- - - -"},
		{"a newer one overtakes", "b0:1 b1:2 b0:2 b2:2", "pause0 pause1,resume[0] pause0 pause2,take2,resume[0 1 2]"},
		{"an older one behind a newer", "b0:2 b1:1 b1:2 b2:2", "pause0 - pause1 pause2,take2,resume[0 1 2]"},
		{"giving up an older one changes nothing", "b0:5 a4 b1:5 b2:5", "pause0 - pause1 pause2,take5,resume[0 1 2]"},
		{"END twice", "e0 e0 b1:1 b2:1", "- - pause1 pause2,take1,resume[1 2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAlignment(3)
			var got []string
			for _, e := range strings.Fields(c.events) {
				var channel int
				var id checkpoint.ID
				var s alignStep
				switch e[0] {
				case 'b':
					fmt.Sscanf(e, "b%d:%d", &channel, &id)
					s = a.barrier(channel, exchange.Mark{Checkpoint: id})
				case 'e':
					fmt.Sscanf(e, "e%d", &channel)
					s = a.end(channel)
				case 'a':
					fmt.Sscanf(e, "a%d", &id)
					s = a.abort(id)
				}
				var asks []string
				if s.pause {
					asks = append(asks, fmt.Sprint("pause", channel))
				}
				if s.take != nil {
					asks = append(asks, fmt.Sprint("take", s.take.Checkpoint))
				}
				if s.resume != nil {
					asks = append(asks, fmt.Sprint("resume", s.resume))
				}
				if asks == nil {
					asks = []string{"-"}
				}
				got = append(got, strings.Join(asks, ","))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), c.want)
			}
		})
	}
}
