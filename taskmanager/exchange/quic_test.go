package exchange_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

func TestStaleAttemptIsReset(t *testing.T) {
	w := wires["quic"](t, exchange.Config{})
	attach(t, attempt1, w.from)
	attach(t, attempt2, w.to)
	out := newTask(t)
	s := w.sender(0, out)
	s.Send(batch(w.from, "x", 0))
	out.until("failure", func() bool { return s.Err() != nil })
	if !errors.Is(s.Err(), exchange.ErrStale) {
		t.Errorf("%v (expected ErrStale)", s.Err())
	}
	if got := w.to.Stats().Stale; got != 1 {
		t.Errorf("%d stale streams counted (expected 1)", got)
	}
}

func TestUnknownNewerAttemptIsParkedUntilAttached(t *testing.T) {
	w := wires["quic"](t, exchange.Config{})
	attach(t, attempt1, w.from)
	out := newTask(t)
	s := w.sender(0, out)
	s.Send(batch(w.from, "early", 0))
	eventually(t, "parked", func() bool { return w.to.Stats().Parked == 1 })
	attach(t, attempt1, w.to)
	k := w.receiver(t, 1)
	k.expectBatch("early")
	if got := w.to.Stats().Parked; got != 0 {
		t.Errorf("%d parked (expected 0)", got)
	}
}

func TestStreamWhoseTaskNeverAppearsIsRefused(t *testing.T) {
	w := wires["quic"](t, exchange.Impatient(50*time.Millisecond))
	attach(t, attempt1, w.from)
	out := newTask(t)
	s := w.sender(0, out)
	s.Send(batch(w.from, "x", 0))
	out.until("failure", func() bool { return s.Err() != nil })
	if want := "the receiving task did not appear in time"; !strings.Contains(s.Err().Error(), want) {
		t.Errorf("%q does not say %q", s.Err(), want)
	}
	if got := w.to.Stats().Parked; got != 0 {
		t.Errorf("%d parked (expected 0)", got)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(append(hello(attempt1, 3, 0, 0), make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		if n := exchange.ParseFrames(p); n > len(p)/16 {
			t.Errorf("%d frames in %d bytes", n, len(p))
		}
	})
}

// A task may be over before its first byte has left: what it sent must arrive all the same.
func TestEndedSenderDeliversAfterDetach(t *testing.T) {
	w := wires["quic"](t, exchange.Config{})
	attach(t, attempt1, w.from, w.to)
	out := newTask(t)
	s := w.sender(0, out)
	for i := range 40 {
		s.Send(batch(w.from, fmt.Sprint(i), 64<<10))
	}
	s.End()
	s.Close()
	w.from.Detach(attempt1)
	k := w.receiver(t, 1)
	for i := range 40 {
		k.expectBatch(fmt.Sprint(i))
	}
	k.expect(exchange.End)
	out.until("delivered", s.Delivered)
	eventually(t, "connection closed", func() bool { return w.from.Stats().Connections == 0 })
}

func TestLostReceiverProcessFailsItsSenders(t *testing.T) {
	cfg := exchange.Config{}
	from, _ := remote(t, cfg, nil)
	to, e := remote(t, cfg, nil)
	w := wire{from, to, e.Addr()}
	attach(t, attempt1, from, to)
	k := w.receiver(t, 1)
	out := newTask(t)
	s := w.sender(0, out)
	s.Send(batch(from, "x", 0))
	k.expectBatch("x")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	out.until("failure", func() bool { return s.Err() != nil })
	if want := "the process has been stopped"; !strings.Contains(s.Err().Error(), want) {
		t.Errorf("%q does not say %q", s.Err(), want)
	}
}

func TestLostSenderProcessFailsItsReceivers(t *testing.T) {
	cfg := exchange.Config{}
	from, e := remote(t, cfg, nil)
	to, toEnd := remote(t, cfg, nil)
	w := wire{from, to, toEnd.Addr()}
	attach(t, attempt1, from, to)
	k := w.receiver(t, 1)
	s := w.sender(0, newTask(t))
	s.Send(batch(from, "x", 0))
	k.expectBatch("x")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	failed := k.expect(exchange.Failed)
	if want := "the process has been stopped"; !strings.Contains(failed.Err.Error(), want) {
		t.Errorf("%q does not say %q", failed.Err, want)
	}
}

func TestNobodyListens(t *testing.T) {
	from, _ := remote(t, exchange.Config{}, nil)
	attach(t, attempt1, from)
	out := newTask(t)
	s := from.Sender(attempt1, 3, source(0), sink, "127.0.0.1", out.wake)
	out.until("failure", func() bool { return s.Err() != nil })
	if want := "connect to 127.0.0.1"; !strings.Contains(s.Err().Error(), want) {
		t.Errorf("%q does not say %q", s.Err(), want)
	}
}

// Channels that nobody reads must leave the others their share: more than fit one connection open another.
func TestBlockedChannelsDoNotStarveOthers(t *testing.T) {
	w := wires["quic"](t, exchange.Config{})
	attach(t, attempt1, w.from, w.to)
	const senders = transport.ConnChannels + 1
	k := w.receiver(t, senders)
	out := newTask(t)
	for i := range senders - 1 {
		k.gate.Pause(i)
		s := w.sender(i, out)
		for !s.Full() {
			s.Send(batch(w.from, "blocked", 64<<10))
		}
		for range 16 { // 1 MiB over: the window fills too
			s.Send(batch(w.from, "blocked", 64<<10))
		}
	}
	free := w.sender(senders-1, out)
	for i := range 100 {
		free.Send(batch(w.from, fmt.Sprint(i), 64<<10))
		k.expectBatch(fmt.Sprint(i))
	}
	if got := w.from.Stats().Connections; got != 2 {
		t.Errorf("%d connections for %d channels (expected 2)", got, senders)
	}
}

// stranger opens a stream as a peer that does not keep to the protocol.
func stranger(t *testing.T, addr string) *transport.SendStream {
	t.Helper()
	id, err := ca.Issue("stranger")
	if err != nil {
		t.Fatal(err)
	}
	e, err := transport.Listen(transport.Config{Address: "127.0.0.1:0", Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	conn, err := e.DialData(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := conn.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestFramesThatMakeNoSenseFailTheirChannel(t *testing.T) {
	for name, c := range map[string]struct{ frames, want string }{
		"batch too large":      {"08 00 00 02  01 00 00 00  01 00 00 00 00 00 00 00", "33554440 bytes (expected 32 <= n <= 33554432)"},
		"batch too small":      {"08 00 00 00  01 00 00 00  01 00 00 00 00 00 00 00", "8 bytes (expected 32"},
		"number out of order":  {"40 00 00 00  01 00 00 00  02 00 00 00 00 00 00 00", "batch 2 (expected 1)"},
		"END of other count":   {"00 00 00 00  03 00 00 00  01 00 00 00 00 00 00 00", "END of 1 batches (0 came)"},
		"watermark with bytes": {"08 00 00 00  02 00 00 00  01 00 00 00 00 00 00 00", "8 bytes (expected 0"},
		"unknown kind":         {"00 00 00 00  09 00 00 00  00 00 00 00 00 00 00 00", "frame.kind: 9"},
		"padding":              {"00 00 00 00  02 02 00 00  00 00 00 00 00 00 00 00", "frame.kind: 514"},
		"idle without time":    {"00 00 00 00  03 01 00 00  00 00 00 00 00 00 00 00", "frame.kind: 259"},
		"barrier without end":  {"10 00 00 00  04 00 00 00  07 00 00 00 00 00 00 00  07 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00", "checkpoint 7 on base 7"},
		"exchange overtakes":   {"10 00 00 00  04 00 00 00  07 00 00 00 00 00 00 00  06 00 00 00 00 00 00 00  04 00 00 00  05 00 00 00", "checkpoint 7 overtakes, and exchanges modules (5)"},
		"barrier too long":     {"18 00 00 00  04 00 00 00  07 00 00 00 00 00 00 00", "24 bytes (expected 16"},
		"stream cut off":       {"40 00 00 00  01 00 00 00  01 00", "ended without END"},
		"no END":               {"", "ended without END"},
	} {
		t.Run(name, func(t *testing.T) {
			w := wires["quic"](t, exchange.Config{})
			attach(t, attempt1, w.to)
			k := w.receiver(t, 1)
			stream := stranger(t, w.addr)
			frames, err := hex.DecodeString(strings.ReplaceAll(c.frames, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Write(append(hello(attempt1, 3, 0, 0), frames...)); err != nil {
				t.Fatal(err)
			}
			stream.Close()
			e := k.expect(exchange.Failed)
			if !strings.Contains(e.Err.Error(), c.want) {
				t.Errorf("%q does not say %q", e.Err, c.want)
			}
		})
	}
}

func TestHelloThatMakesNoSenseIsRefused(t *testing.T) {
	good := hello(attempt1, 3, 0, 0)
	version := append([]byte{9}, good[1:]...)
	noJob := append([]byte{5, 0, 0}, good[3:]...)
	for name, p := range map[string][]byte{
		"other version": version,
		"no job":        noJob,
		"other edge":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			if p == nil {
				p = hello(attempt1, 3, 4, 0) // subtask 4 of 2
			}
			w := wires["quic"](t, exchange.Config{})
			attach(t, attempt1, w.to)
			w.receiver(t, 2)
			stream := stranger(t, w.addr)
			if _, err := stream.Write(p); err != nil {
				t.Fatal(err)
			}
			<-stream.Done()
			var reset *transport.ResetError
			if err := stream.Cause(); !errors.As(err, &reset) || reset.Code != 7 {
				t.Errorf("%v (expected a reset of code 7)", err)
			}
		})
	}
}

// The drawing of the hello in frame.go.
func TestHelloBytes(t *testing.T) {
	w := wires["quic"](t, exchange.Config{})
	a := exchange.Attempt{Job: "7f3a9c19be02", Epoch: 5, Attempt: 2}
	attach(t, a, w.to)
	k := newTask(t)
	k.gate = w.to.Gate(a, graph.TaskID{Chain: 2, Subtask: 3}, []exchange.GateInput{{Edge: 1, Senders: 2}}, k.wake)
	p, err := hex.DecodeString(strings.ReplaceAll("05000c00 02000000 0500000000000000"+
		"01000000 00000000 01000000 02000000 03000000 00000000 376633613963313962653032"+
		"00000000 02010000 e803000000000000 10000000 04000000 0700000000000000 0600000000000000 03000000 00000000"+
		"00000000 03000000 0000000000000000", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	stream := stranger(t, w.addr)
	if _, err := stream.Write(p); err != nil {
		t.Fatal(err)
	}
	if e := k.expect(exchange.Watermark); e.Channel != 1 || e.Watermark != 1000 || !e.Idle {
		t.Errorf("channel %d, watermark %d, idle %v (expected 1, 1000, true)", e.Channel, e.Watermark, e.Idle)
	}
	if e := k.expect(exchange.Barrier); e.Mark != (exchange.Mark{Checkpoint: 7, Base: 6, Stop: true, Drain: true}) {
		t.Errorf("barrier %+v (expected 7 on base 6, stop and drain)", e.Mark)
	}
	k.expect(exchange.End)
	<-stream.Done()
	var reset *transport.ResetError
	if err := stream.Cause(); !errors.As(err, &reset) || reset.Code != 1 {
		t.Errorf("%v (expected a reset of code 1)", err)
	}
}
