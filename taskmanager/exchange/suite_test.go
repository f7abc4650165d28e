package exchange_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

var (
	attempt1 = exchange.Attempt{Job: "7f3a9c19be02", Epoch: 5, Attempt: 1}
	attempt2 = exchange.Attempt{Job: "7f3a9c19be02", Epoch: 5, Attempt: 2}
)

const patience = 10 * time.Second

// wire is what lies between the two ends of the channels under test.
type wire struct {
	from, to *exchange.Network
	addr     string // of to, as its senders name it
}

// wires are the kinds of channel that must behave alike.
var wires = map[string]func(testing.TB, exchange.Config) wire{
	"local": func(t testing.TB, cfg exchange.Config) wire {
		n := exchange.NewNetwork(nil, cfg)
		t.Cleanup(n.Close)
		return wire{from: n, to: n}
	},
	"quic": func(t testing.TB, cfg exchange.Config) wire {
		from, _ := remote(t, cfg, nil)
		to, e := remote(t, cfg, nil)
		return wire{from: from, to: to, addr: e.Addr()}
	},
	"quic that loses packets": func(t testing.TB, cfg exchange.Config) wire {
		var conns [2]net.PacketConn
		for i := range conns {
			c, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			conns[i] = &lossy{PacketConn: c}
		}
		from, _ := remote(t, cfg, conns[0])
		to, e := remote(t, cfg, conns[1])
		return wire{from: from, to: to, addr: e.Addr()}
	},
}

// lossy is a socket that loses every 50th packet it should send.
type lossy struct {
	net.PacketConn
	sent atomic.Int64
}

func (l *lossy) WriteTo(p []byte, to net.Addr) (int, error) {
	if l.sent.Add(1)%50 == 0 {
		return len(p), nil
	}
	return l.PacketConn.WriteTo(p, to)
}

var ca = func() *transport.CA {
	ca, err := transport.NewCA()
	if err != nil {
		panic(err)
	}
	return ca
}()

func remote(t testing.TB, cfg exchange.Config, conn net.PacketConn) (*exchange.Network, *transport.Endpoint) {
	t.Helper()
	id, err := ca.Issue("test")
	if err != nil {
		t.Fatal(err)
	}
	e, err := transport.Listen(transport.Config{Address: "127.0.0.1:0", Identity: id, Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	n := exchange.NewNetwork(e, cfg)
	t.Cleanup(func() {
		n.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, e
}

// both runs a test over every kind of channel, with the attempt attached at both ends.
func both(t *testing.T, test func(t *testing.T, w wire)) {
	for name, make := range wires {
		t.Run(name, func(t *testing.T) {
			w := make(t, exchange.Config{})
			attach(t, attempt1, w.from, w.to)
			test(t, w)
		})
	}
}

func attach(t testing.TB, a exchange.Attempt, networks ...*exchange.Network) {
	t.Helper()
	for _, n := range networks {
		if err := n.Attach(a); err != nil {
			t.Fatal(err)
		}
	}
}

// task is one end's task: its wake channel, and how it waits.
type task struct {
	t    testing.TB
	wake chan struct{}
	gate *exchange.Gate
}

func newTask(t testing.TB) *task { return &task{t: t, wake: make(chan struct{}, 1)} }

var sink = graph.TaskID{Chain: 1}

func source(i int) graph.TaskID { return graph.TaskID{Subtask: i} }

func (w wire) receiver(t testing.TB, senders int) *task {
	k := newTask(t)
	k.gate = w.to.Gate(attempt1, sink, []exchange.GateInput{{Edge: 3, Senders: senders}}, k.wake)
	return k
}

func (w wire) sender(i int, k *task) *exchange.Sender {
	return w.from.Sender(attempt1, 3, source(i), sink, w.addr, k.wake)
}

// until waits for the condition, looking again at each nudge.
func (k *task) until(what string, condition func() bool) {
	k.t.Helper()
	timeout := time.After(patience)
	for !condition() {
		select {
		case <-k.wake:
		case <-timeout:
			k.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// eventually polls for what nobody is nudged about.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func (k *task) next() exchange.Element {
	k.t.Helper()
	var e exchange.Element
	k.until("next element", func() bool {
		var ok bool
		e, ok = k.gate.Next()
		return ok
	})
	return e
}

func (k *task) expect(kind exchange.Kind) exchange.Element {
	k.t.Helper()
	e := k.next()
	if e.Kind != kind {
		k.t.Fatalf("element of kind %d from channel %d: %v (expected kind %d)", e.Kind, e.Channel, e.Err, kind)
	}
	return e
}

func (k *task) expectBatch(want string) {
	k.t.Helper()
	e := k.expect(exchange.Batch)
	if got := valueOf(k.t, e.Buffer); got != want {
		k.t.Fatalf("batch %q (expected %q)", got, want)
	}
}

// batch is a batch of one record of the value, padded to about size bytes.
func batch(n *exchange.Network, value string, size int) *exchange.Buffer {
	b := abi.NewBuilder(abi.ColumnValues)
	b.Append(abi.Record{Value: []byte(value)})
	if size > 0 {
		b.Append(abi.Record{Value: make([]byte, size)})
	}
	buffer := n.NewBuffer(b.Size())
	b.Encode(buffer.Bytes())
	return buffer
}

// valueOf is the first record's value; the batch is released.
func valueOf(t testing.TB, buffer *exchange.Buffer) string {
	t.Helper()
	defer buffer.Release()
	var b abi.Batch
	if err := b.Parse(buffer.Bytes()); err != nil {
		t.Fatal(err)
	}
	return string(b.Value(0))
}

func TestBatchesArriveInOrderWithTheirNumbers(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		const senders, batches = 3, 200
		k := w.receiver(t, senders)
		var s [senders]*exchange.Sender
		out := newTask(t)
		for i := range s {
			s[i] = w.sender(i, out)
			go func() { // a task of its own
				for j := range batches {
					s[i].Send(batch(w.from, fmt.Sprint(i, "/", j), 100*j))
					s[i].Watermark(int64(j), false)
				}
				s[i].End()
				s[i].Close()
			}()
		}
		var next [senders]int
		var mark [senders]int64
		for ended := 0; ended < senders; {
			switch e := k.next(); e.Kind {
			case exchange.Batch:
				i := next[e.Channel]
				if e.Number != uint64(i+1) {
					t.Fatalf("batch number %d on channel %d (expected %d)", e.Number, e.Channel, i+1)
				}
				if got, want := valueOf(t, e.Buffer), fmt.Sprint(e.Channel, "/", i); got != want {
					t.Fatalf("batch %q (expected %q)", got, want)
				}
				next[e.Channel]++
			case exchange.Watermark:
				if e.Watermark < mark[e.Channel] || e.Watermark != int64(next[e.Channel]-1) {
					t.Fatalf("watermark %d after batch %d and watermark %d", e.Watermark, next[e.Channel]-1, mark[e.Channel])
				}
				mark[e.Channel] = e.Watermark
			case exchange.End:
				if next[e.Channel] != batches {
					t.Fatalf("END of channel %d after %d batches (expected %d)", e.Channel, next[e.Channel], batches)
				}
				ended++
			default:
				t.Fatal(e.Err)
			}
		}
		out.until("delivered", func() bool { return s[0].Delivered() && s[1].Delivered() && s[2].Delivered() })
		if err := s[0].Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestChannelsTakeTurns(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		const each = 3
		k := w.receiver(t, 2)
		out := newTask(t)
		for i := range 2 {
			k.gate.Pause(i)
			s := w.sender(i, out)
			for range each {
				s.Send(batch(w.from, "x", 0))
			}
			s.End()
			out.until("delivered", s.Delivered)
		}
		k.gate.Resume(0)
		k.gate.Resume(1)
		for i := range 2 * each {
			e := k.expect(exchange.Batch)
			if e.Channel != i%2 {
				t.Errorf("element %d is of channel %d (expected %d)", i, e.Channel, i%2)
			}
			e.Buffer.Release()
		}
	})
}

func TestPausedChannelWaitsAndTheOtherGoesOn(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 2)
		out := newTask(t)
		s0, s1 := w.sender(0, out), w.sender(1, out)
		k.gate.Pause(0)
		s0.Send(batch(w.from, "held", 0))
		s0.End()
		out.until("delivered", s0.Delivered)
		s1.Send(batch(w.from, "first", 0))
		k.expectBatch("first")
		if e, ok := k.gate.Next(); ok {
			t.Fatalf("element %+v from a paused channel", e)
		}
		k.gate.Resume(0)
		k.expectBatch("held")
	})
}

func TestSenderFillsUpWhileReceiverDoesNotRead(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		const size = 64 << 10
		// A queue at each end, the stream's window, and one batch over at each step.
		const bound = 2*(256<<10) + transport.StreamWindow + 4*2*size
		k := w.receiver(t, 1)
		out := newTask(t)
		s := w.sender(0, out)
		sent := 0
		for idle := false; !idle; {
			if !s.Full() {
				s.Send(batch(w.from, fmt.Sprint(sent), size))
				sent++
				if sent*size > bound {
					t.Fatalf("%d bytes under way and not full (bound %d)", sent*size, bound)
				}
				continue
			}
			select {
			case <-out.wake:
			case <-time.After(300 * time.Millisecond): // nothing moves any more
				idle = s.Full()
			}
		}
		for i := range sent {
			k.expectBatch(fmt.Sprint(i))
		}
		out.until("room again", func() bool { return !s.Full() })
		s.Send(batch(w.from, "more", 0))
		k.expectBatch("more")
	})
}

func TestSenderThatStopsBeforeEndFailsItsReceiver(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 1)
		s := w.sender(0, newTask(t))
		s.Send(batch(w.from, "x", 0))
		k.expectBatch("x")
		s.Close()
		e := k.expect(exchange.Failed)
		for _, want := range []string{"channel 0.0 -> 1.0", "edge 3", "stopped before the end"} {
			if !strings.Contains(e.Err.Error(), want) {
				t.Errorf("%q does not say %q", e.Err, want)
			}
		}
	})
}

func TestReceiverThatStopsBeforeEndFailsItsSender(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 1)
		out := newTask(t)
		s := w.sender(0, out)
		s.Send(batch(w.from, "x", 0))
		k.expectBatch("x")
		k.gate.Close()
		out.until("failure", func() bool { return s.Err() != nil })
		if want := "receiving task stopped before the end"; !strings.Contains(s.Err().Error(), want) {
			t.Errorf("%q does not say %q", s.Err(), want)
		}
		s.Send(batch(w.from, "dropped", 0))
		if s.Full() {
			t.Error("a broken channel is full: its task would wait for nothing")
		}
	})
}

func TestCloseWhileBlocked(t *testing.T) {
	for _, end := range []string{"sender", "gate", "network"} {
		t.Run(end, func(t *testing.T) {
			both(t, func(t *testing.T, w wire) {
				k := w.receiver(t, 1)
				out := newTask(t)
				s := w.sender(0, out)
				for range 64 { // 4 MiB: more than both queues and the window take
					s.Send(batch(w.from, "x", 64<<10))
				}
				k.next().Buffer.Release() // the receiver has heard of the channel
				out.until("full", s.Full)
				switch end {
				case "sender":
					s.Close()
					e := k.next()
					for ; e.Kind == exchange.Batch; e = k.next() {
						e.Buffer.Release()
					}
					if e.Kind != exchange.Failed {
						t.Errorf("element of kind %d (expected Failed)", e.Kind)
					}
				case "gate":
					k.gate.Close()
					out.until("failure", func() bool { return s.Err() != nil })
				case "network":
					w.from.Close() // waits for its writers
				}
			})
		})
	}
}

func TestSenderMayComeBeforeItsGate(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		out := newTask(t)
		s := w.sender(0, out)
		s.Send(batch(w.from, "early", 0))
		s.End()
		k := w.receiver(t, 1)
		k.expectBatch("early")
		k.expect(exchange.End)
		out.until("delivered", s.Delivered)
	})
}

func TestOverlargeBatchBreaksItsChannel(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 1)
		s := w.sender(0, newTask(t))
		s.Send(batch(w.from, "x", 0))
		k.expectBatch("x")
		s.Send(w.from.NewBuffer(exchange.MaxBatchBytes + 8))
		if want := "33554440 bytes (expected <= 33554432)"; s.Err() == nil || !strings.Contains(s.Err().Error(), want) {
			t.Errorf("%v does not say %q", s.Err(), want)
		}
		k.expect(exchange.Failed)
	})
}

// A receiver may have channels of some of the senders only.
func TestSendersAreCountedFromTheFirst(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := newTask(t)
		k.gate = w.to.Gate(attempt1, sink, []exchange.GateInput{{Edge: 3, First: 7, Senders: 2, Ended: []int{8}}}, k.wake)
		s := w.sender(7, newTask(t))
		s.Send(batch(w.from, "x", 0))
		k.expect(exchange.End) // of 8
		k.expectBatch("x")
		out := newTask(t)
		stranger := w.sender(6, out)
		out.until("failure", func() bool { return stranger.Err() != nil })
	})
}

func TestSecondSenderOfAChannelIsRefused(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 1)
		first := w.sender(0, newTask(t))
		first.Send(batch(w.from, "x", 0))
		k.expectBatch("x")
		out := newTask(t)
		second := w.sender(0, out)
		out.until("failure", func() bool { return second.Err() != nil })
		if first.Err() != nil {
			t.Error(first.Err())
		}
	})
}

func TestDetachEndsTheAttempt(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		w.receiver(t, 1)
		out := newTask(t)
		s := w.sender(0, out)
		s.Send(batch(w.from, "x", 0))
		w.to.Detach(attempt1)
		out.until("failure", func() bool { return s.Err() != nil })
		if err := w.to.Attach(attempt1); !errors.Is(err, exchange.ErrStale) {
			t.Errorf("attaching it again: %v (expected ErrStale)", err)
		}
		if err := w.to.Attach(attempt2); err != nil {
			t.Error(err)
		}
		if err := w.to.Attach(exchange.Attempt{Job: attempt1.Job, Epoch: 4, Attempt: 9}); !errors.Is(err, exchange.ErrStale) {
			t.Errorf("attaching one of an older epoch: %v (expected ErrStale)", err)
		}
	})
}

func TestSharedBatchGoesToEveryChannel(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := w.receiver(t, 3)
		b := batch(w.from, "all", 0)
		for i := range 3 {
			if i < 2 {
				b.Retain()
			}
			w.sender(i, newTask(t)).Send(b)
		}
		for range 3 {
			k.expectBatch("all")
		}
	})
}

// A barrier stands where it was sent, in each channel; one channel may be paused at it while the others go on. Senders that
// had ended before count as ended from the start.
func TestBarriers(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k := newTask(t)
		k.gate = w.to.Gate(attempt1, graph.TaskID{Chain: 1}, []exchange.GateInput{{Edge: 3, Senders: 3, Ended: []int{2}}}, k.wake)
		a, b := w.sender(0, newTask(t)), w.sender(1, newTask(t))
		if e := k.expect(exchange.End); e.Channel != 2 {
			t.Errorf("channel %d has ended (expected 2)", e.Channel)
		}
		mark := exchange.Mark{Checkpoint: 4, Base: 3, Exchange: 1<<31 | 5}
		a.Send(batch(w.from, "before", 0))
		a.Barrier(mark)
		a.Send(batch(w.from, "behind", 0))
		k.expectBatch("before")
		if e := k.expect(exchange.Barrier); e.Channel != 0 || e.Mark != mark {
			t.Errorf("channel %d, %+v", e.Channel, e.Mark)
		}
		k.gate.Pause(0)
		b.Send(batch(w.from, "other", 0))
		b.Barrier(mark)
		k.expectBatch("other")
		if e := k.expect(exchange.Barrier); e.Channel != 1 {
			t.Errorf("channel %d (expected 1: channel 0 is paused)", e.Channel)
		}
		k.gate.Resume(0)
		k.expectBatch("behind")
	})
}

// Barriers are taken ahead of what other channels hold, and ENDs if they are to be, but of nothing in their own channel, and not where that
// is paused.
func TestMarksAreTakenAheadOfOtherChannels(t *testing.T) {
	both(t, func(t *testing.T, w wire) {
		k, out := w.receiver(t, 5), newTask(t)
		var s [5]*exchange.Sender
		for i := range s {
			s[i] = w.sender(i, out)
		}
		mark := exchange.Mark{Checkpoint: 4}
		k.gate.Pause(3)
		s[3].Barrier(mark)
		s[0].Send(batch(w.from, "before", 0))
		s[0].End()
		s[4].End()
		s[1].Barrier(mark)
		s[1].Send(batch(w.from, "behind", 0))
		s[2].End()
		out.until("delivered", func() bool { return s[0].Delivered() && s[2].Delivered() && s[4].Delivered() })
		kinds := map[int]exchange.Kind{}
		ends := func(channel int) bool { return channel != 4 }
		k.until("marks", func() bool {
			for e, ok := k.gate.NextMark(ends); ok; e, ok = k.gate.NextMark(ends) {
				kinds[e.Channel] = e.Kind
			}
			return len(kinds) == 2
		})
		if kinds[1] != exchange.Barrier || kinds[2] != exchange.End {
			t.Errorf("%v by channel (expected a barrier of 1, the end of 2)", kinds)
		}
		var rest []string
		for range 4 {
			if e := k.next(); e.Kind == exchange.Batch {
				rest = append(rest, valueOf(t, e.Buffer))
			} else {
				rest = append(rest, fmt.Sprint("kind ", e.Kind))
			}
		}
		slices.Sort(rest)
		if want := []string{"before", "behind", "kind 3", "kind 3"}; !slices.Equal(rest, want) {
			t.Errorf("then %q (expected %q)", rest, want)
		}
		k.gate.Resume(3)
		k.until("the barrier of the channel that was paused", func() bool {
			e, ok := k.gate.NextMark(ends)
			return ok && e.Channel == 3 && e.Mark == mark
		})
	})
}

// hello is the first frame of a stream, written by hand.
func hello(a exchange.Attempt, edge, from, to int) []byte {
	le := binary.LittleEndian
	p := le.AppendUint16(nil, 5)
	p = le.AppendUint16(p, uint16(len(a.Job)))
	p = le.AppendUint32(p, uint32(a.Attempt))
	p = le.AppendUint64(p, uint64(a.Epoch))
	for _, v := range []int{edge, 0, from, 1, to, 0} {
		p = le.AppendUint32(p, uint32(v))
	}
	return append(p, a.Job...)
}
