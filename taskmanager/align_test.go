package taskmanager

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// Each script is a line of events on three channels and what they ask for: "b0:5" a barrier of checkpoint 5 on channel 0,
// "n5" word that one is on its way, "e1" the end of channel 1, "a5" checkpoint 5 is given up, "t10" ten seconds have passed
// since the beginning. A barrier, or word of it, with u behind it is an unaligned one, with m it may overtake after ten seconds.
func TestAlignment(t *testing.T) {
	for _, c := range []struct{ name, ordered, events, want string }{
		{"all barriers", "", "b0:1 b2:1 b1:1", "pause0 pause2 pause1,take1,resume[0 1 2]"},
		{"one after the other", "", "b0:1 b1:1 b2:1 b2:2 b1:2 b0:2", "pause0 pause1 pause2,take1,resume[0 1 2] pause2 pause1 pause0,take2,resume[0 1 2]"},
		{"an ended channel counts", "", "e1 b0:1 b2:1", "- pause0 pause2,take1,resume[0 2]"},
		{"an end completes", "", "b0:1 b2:1 e1", "pause0 pause2 take1,resume[0 2]"},
		{"the end of a channel that has its barrier", "", "b0:1 e0 b1:1 b2:1", "pause0 - pause1 pause2,take1,resume[0 1 2]"},
		{"all others ended", "", "e0 e1 b2:7", "- - pause2,take7,resume[2]"},
		{"given up while aligning", "", "b0:1 a1 b1:1 b2:1 b0:2 b1:2 b2:2", "pause0 resume[0] - - pause0 pause1 pause2,take2,resume[0 1 2]"},
		{"given up before any barrier", "", "a3 b0:3 b1:3 b2:3", "- - - -"},
		{"a newer one overtakes", "", "b0:1 b1:2 b0:2 b2:2", "pause0 pause1,resume[0] pause0 pause2,take2,resume[0 1 2]"},
		{"an older one behind a newer", "", "b0:2 b1:1 b1:2 b2:2", "pause0 - pause1 pause2,take2,resume[0 1 2]"},
		{"giving up an older one changes nothing", "", "b0:5 a4 b1:5 b2:5", "pause0 - pause1 pause2,take5,resume[0 1 2]"},
		{"END twice", "", "e0 e0 b1:1 b2:1", "- - pause1 pause2,take1,resume[1 2]"},

		{"word of an unaligned one", "", "n1u b0:1u b1:1u b2:1u n1u", "take1u,capture[0 1 2] - - - -"},
		{"an unaligned one without word", "", "b1:1u b0:1u b2:1u", "pause1,take1u,resume[1],capture[0 2] - -"},
		{"of channels that have ended nothing is in flight", "", "e1 n1u", "- take1u,capture[0 2]"},
		{"word of it when all have ended", "", "e0 e1 e2 n1u", "- - - take1u"},
		{"some barriers are here", "", "b0:1m n1u b1:1u", "pause0 take1u,resume[0],capture[1 2] -"},
		{"the next one", "", "n1u n2u b0:1u b0:2u", "take1u,capture[0 1 2] take2u,capture[0 1 2] - -"},
		{"word of a newer one while aligning", "", "b0:1 n2u b0:2u", "pause0 take2u,resume[0],capture[0 1 2] -"},
		{"given up before word of it", "", "a1 n1u b0:1u n2u", "- - - take2u,capture[0 1 2]"},
		{"given up behind it", "", "n1u a1 b0:1u b1:1u b2:1u", "take1u,capture[0 1 2] - - - -"},

		{"it may overtake, and need not", "", "n1m b0:1m b1:1m b2:1m t99", "- pause0 pause1 pause2,take1m,resume[0 1 2] -"},
		{"it has waited long enough", "", "t5 b0:1m t14 t15 b1:1m", "- pause0 - take1u,resume[0],capture[1 2] -"},
		{"word of it counts", "", "n1m t9 b1:1m t10 b2:1m", "- - pause1 take1u,resume[1],capture[0 2] -"},
		{"another one has lost patience", "", "b0:1m n1u", "pause0 take1u,resume[0],capture[1 2]"},
		{"an aligned one waits for ever", "", "b0:1 t99", "pause0 -"},
		{"given up while it waits", "", "b0:1m a1 t99", "pause0 resume[0] -"},
		{"the time begins anew with a newer one", "", "b0:1m t8 b0:2m t12 t18", "pause0 - pause0,resume[0] - take2u,resume[0],capture[1 2]"},

		{"an ordered channel is not overtaken", "1", "n1u b0:1u b1:1u b2:1u", "- pause0 pause1,take1u,resume[0 1],capture[2] -"},
		{"nor after the time", "1", "b0:1m t10 t99 b1:1m b2:1m", "pause0 - - pause1,take1u,resume[0 1],capture[2] -"},
		{"an ordered channel ends", "1", "n1u e1", "- take1u,capture[0 2]"},
		{"all are ordered", "012", "n1u b0:1u b1:1u b2:1u", "- pause0 pause1 pause2,take1u,resume[0 1 2]"},
		{"given up while it waits for an ordered one", "1", "n1u b0:1u a1 b1:1u", "- pause0 resume[0] -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ordered := make([]bool, 3)
			for _, r := range c.ordered {
				ordered[r-'0'] = true
			}
			a := newAlignment(ordered, 10*time.Second)
			begin := time.Unix(1000, 0)
			now := begin
			var got []string
			for _, e := range strings.Fields(c.events) {
				var channel, seconds int
				m := exchange.Mark{Unaligned: strings.HasSuffix(e, "u"), MayOvertake: strings.HasSuffix(e, "m")}
				var s alignStep
				switch e[0] {
				case 'b':
					fmt.Sscanf(e, "b%d:%d", &channel, &m.Checkpoint)
					s = a.barrier(channel, m, now)
				case 'n':
					fmt.Sscanf(e, "n%d", &m.Checkpoint)
					s = a.notice(m, now)
				case 'e':
					fmt.Sscanf(e, "e%d", &channel)
					s = a.end(channel)
				case 'a':
					fmt.Sscanf(e, "a%d", &m.Checkpoint)
					s = a.abort(m.Checkpoint)
				case 't':
					fmt.Sscanf(e, "t%d", &seconds)
					now = begin.Add(time.Duration(seconds) * time.Second)
					due := a.deadline()
					if s = a.look(now); s.take != nil && (due.IsZero() || due.After(now)) {
						t.Errorf("%s: it takes its part, and would not have been asked (deadline %v)", e, due)
					}
				}
				got = append(got, asks(channel, &s))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), c.want)
			}
		})
	}
}

// asks is what a step asks for, in words.
func asks(channel int, s *alignStep) string {
	var all []string
	if s.pause {
		all = append(all, fmt.Sprint("pause", channel))
	}
	if m := s.take; m != nil {
		all = append(all, fmt.Sprintf("take%d%s%s", m.Checkpoint, map[bool]string{true: "u"}[m.Unaligned], map[bool]string{true: "m"}[m.MayOvertake]))
	}
	if s.resume != nil {
		all = append(all, fmt.Sprint("resume", s.resume))
	}
	if s.capture != nil {
		all = append(all, fmt.Sprint("capture", s.capture))
	}
	if all == nil {
		return "-"
	}
	return strings.Join(all, ",")
}
