package exchange_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

func unaligned(id checkpoint.ID) exchange.Mark {
	return exchange.Mark{Checkpoint: id, Base: id - 1, Unaligned: true}
}

// notice waits for the next one.
func (k *task) notice() exchange.Notice {
	k.t.Helper()
	var all []exchange.Notice
	k.until("notice", func() bool {
		all = k.gate.Notices()
		return len(all) > 0
	})
	return all[0]
}

// values are the batches of a lane, as the first value of each.
func values(t *testing.T, l exchange.Lane) (all []string) {
	for _, b := range l.Batches {
		b.Retain()
		all = append(all, valueOf(t, b))
	}
	return all
}

// complete waits for a capture and answers its lanes.
func complete(t *testing.T, c *exchange.Capture) []exchange.Lane {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatalf("the capture is not complete within %s", patience)
	}
	lanes, ok := c.Lanes()
	if !ok {
		t.Fatal("the capture was given up")
	}
	return lanes
}

// The channel is full at both ends, and nobody takes anything: the notice passes all of it, and what it passes is captured.
func TestBarrierOvertakesAFullChannel(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 1)
		out := newTask(t)
		s := w.sender(0, out)
		sent := 0
		for idle := false; !idle; {
			if !s.Full() {
				s.Send(batch(w.from, fmt.Sprint(sent), 64<<10))
				s.Watermark(int64(sent), false)
				sent++
				continue
			}
			select {
			case <-out.wake:
			case <-time.After(200 * time.Millisecond):
				idle = s.Full()
			}
		}
		s.Barrier(unaligned(7))
		s.Send(batch(w.from, "behind", 0))
		n := k.notice()
		if n.Mark != unaligned(7) || n.Channel != 0 || n.Number != uint64(sent) {
			t.Fatalf("notice %+v (expected the barrier behind batch %d)", n, sent)
		}
		lanes := complete(t, k.captureOf(7, 0))
		got := values(t, lanes[0])
		if len(got) != sent {
			t.Fatalf("%d captured (expected %d batches)", len(got), sent)
		}
		for i := range sent {
			if got[i] != fmt.Sprint(i) {
				t.Fatalf("captured %q at %d", got[i], i)
			}
		}
		for i := range sent { // the task goes on with the same
			k.expectBatch(fmt.Sprint(i))
			k.expect(exchange.Watermark)
		}
		k.expect(exchange.Barrier)
		k.expectBatch("behind")
	})
}

func (k *task) captureOf(id checkpoint.ID, channels ...int) *exchange.Capture {
	return k.gate.Capture(id, channels)
}

func TestCaptureTakesWhatComesBeforeTheBarrierOrEnd(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 3)
		out := newTask(t)
		s := []*exchange.Sender{w.sender(0, out), w.sender(1, out), w.sender(2, out)}
		s[0].Send(batch(w.from, "taken", 0))
		k.expectBatch("taken")
		c := k.captureOf(5, 0, 1, 2)
		s[0].Barrier(exchange.Mark{Checkpoint: 4}) // an older one changes nothing
		s[0].Send(batch(w.from, "a", 0))
		s[0].Barrier(unaligned(5))
		s[0].Send(batch(w.from, "late", 0))
		s[1].Send(batch(w.from, "b", 0))
		s[1].Watermark(9, false)
		s[1].End()
		s[2].Barrier(unaligned(5))
		lanes := complete(t, c)
		if got := fmt.Sprint(values(t, lanes[0]), values(t, lanes[1]), values(t, lanes[2])); got != "[a] [b] []" {
			t.Errorf("captured %s", got)
		}
		c.Release()
	})
}

// Nothing lifts the limit of a channel whose barrier nobody has promised: it may never come.
func TestCaptureWithoutANoticeLeavesTheLimit(t *testing.T) {
	n := exchange.NewNetwork(nil, exchange.Config{QueueBytes: 4 << 10})
	t.Cleanup(n.Close)
	attach(t, attempt1, n)
	w := wire{from: n, to: n}
	k := w.receiver(t, 1)
	s := w.sender(0, newTask(t))
	c := k.captureOf(3, 0)
	s.Send(batch(n, "x", 8<<10))
	if !s.Full() {
		t.Error("the channel is not full")
	}
	s.Barrier(exchange.Mark{Checkpoint: 9}) // the sender has taken no part in 3
	select {
	case <-c.Done():
	default:
		t.Fatal("the capture waits for a barrier that will never come")
	}
	if _, ok := c.Lanes(); ok {
		t.Error("the capture counts as complete")
	}
	d := k.captureOf(10, 0)
	k.captureOf(11, 0)
	if _, ok := d.Lanes(); ok {
		t.Error("a newer capture leaves the older one")
	}
}

// Restored batches come before anything else of any channel; a capture that begins meanwhile has what is left of them first.
func TestRestoredBatchesComeFirst(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 2)
		out := newTask(t)
		s := []*exchange.Sender{w.sender(0, out), w.sender(1, out)}
		s[0].Send(batch(w.from, "new 0", 0))
		s[1].Send(batch(w.from, "new 1", 0))
		k.gate.Restore([]exchange.Restored{
			{Channel: 1, Buffer: batch(w.to, "r1", 0)}, {Channel: 1, Buffer: batch(w.to, "r2", 0)},
			{Channel: 0, Buffer: batch(w.to, "r3", 0)}, {Channel: 1, Buffer: batch(w.to, "r4", 0)},
		})
		if e := k.expect(exchange.Batch); e.Channel != 1 || e.Number != 0 || valueOf(t, e.Buffer) != "r1" {
			t.Errorf("restored batch %+v", e)
		}
		c := k.captureOf(5, 0, 1)
		s[0].Barrier(unaligned(5))
		s[1].Barrier(unaligned(5))
		var got []string
		for _, l := range complete(t, c) {
			got = append(got, fmt.Sprint(l.Channel, values(t, l)))
		}
		if want := "[1 [r2] 0 [r3] 1 [r4] 0 [new 0] 1 [new 1]]"; fmt.Sprint(got) != want {
			t.Errorf("captured %v (expected %s)", got, want)
		}
		c.Release()
		for _, v := range []string{"r2", "r3", "r4"} {
			k.expectBatch(v)
		}
		if e := k.expect(exchange.Batch); e.Number != 1 {
			t.Errorf("behind the restored ones: %+v", e)
		}
	})
}
