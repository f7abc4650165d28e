package taskmanager

import (
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// at has the input do what it can at a time, and answers when it wants to be asked again.
func at(t *testing.T, in *sourceInput, second float64) time.Time {
	t.Helper()
	now := time.Unix(0, 0).Add(time.Duration(second * float64(time.Second)))
	for {
		idle, again, err := in.next(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		if idle {
			return again
		}
	}
}

func TestASplitThatGivesNothingIsIdle(t *testing.T) {
	source := &listSource{splits: [][]string{make([]string, 10), make([]string, 20)}, stamps: true, endless: true} // up to 90, and 1000 to 1190
	in, behind := subtask(source, nil, 0, 1)
	in.assigner.patience, behind.patience = 2*time.Second, 5*time.Second
	if again := at(t, in, 0); in.chain.watermark != 79 || in.chain.idle || !again.Equal(time.Unix(2, 0)) {
		t.Errorf("watermark %d, idle %v, again %v (expected 79, false, 2 s)", in.chain.watermark, in.chain.idle, again)
	}
	in.chain.assigners[0].observe(0, 90)
	in.chain.assigners[0].observe(1, 1190)
	source.grow(0, "late") // the task was held up: what has come meanwhile is seen first
	in.open[0].wake = time.Time{}
	if at(t, in, 2); in.chain.watermark != 89 || in.chain.idle {
		t.Errorf("watermark %d, idle %v (expected 89 of split 0, and only split 1 idle)", in.chain.watermark, in.chain.idle)
	}
	shown := *in.chain.metrics.idle.Load()
	if len(shown) != 1 || shown[0].What != "split 1" || !shown[0].Since.Equal(time.Unix(0, 0)) {
		t.Errorf("shown as idle: %+v (expected split 1 since 0 s)", shown)
	}
	if again := at(t, in, 4.5); in.chain.watermark != 1179 || !in.chain.idle || behind.idle || !again.Equal(time.Unix(5, 0)) {
		t.Errorf("watermark %d, idle %v, behind %v, again %v (expected 1179, all idle but behind, 5 s)", in.chain.watermark, in.chain.idle, behind.idle, again)
	}
	if at(t, in, 5); behind.idle || behind.watermark() != 84 {
		t.Errorf("behind: idle %v, watermark %d (expected that it has more patience, and 84)", behind.idle, behind.watermark())
	}
	if at(t, in, 7); !behind.idle || behind.watermark() != 1184 {
		t.Errorf("behind: idle %v, watermark %d (expected all idle, and 1184)", behind.idle, behind.watermark())
	}
	source.grow(0, "again")
	in.open[0].wake = time.Time{}
	if at(t, in, 8); in.chain.idle || behind.idle || in.chain.watermark != 1179 {
		t.Errorf("idle %v and %v, watermark %d after a record (expected neither, and 1179 as before)", in.chain.idle, behind.idle, in.chain.watermark)
	}
}

// A split of a bounded source is never idle, and neither is one whose reader waits though there is more.
func TestASplitThatIsHeldUpIsNotIdle(t *testing.T) {
	for name, source := range map[string]*listSource{
		"bounded":            {splits: [][]string{nil, make([]string, 20)}, stamps: true, held: true},
		"waiting for a pace": {splits: [][]string{nil, make([]string, 20)}, stamps: true, endless: true, held: true},
	} {
		in, behind := subtask(source, nil, 0, 1)
		in.assigner.patience, behind.patience = time.Second, time.Second
		at(t, in, 0)
		if again := at(t, in, 1000); in.chain.idle || in.chain.watermark != abi.MinTime || !in.look.IsZero() || again.IsZero() {
			t.Errorf("%s: idle %v, watermark %d (expected neither)", name, in.chain.idle, in.chain.watermark)
		}
	}
}

func (s *listSource) grow(split int, line string) {
	s.splits[split] = append(s.splits[split], line)
}
