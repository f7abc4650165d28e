package taskmanager

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// flightTest is a task of two inputs, with two senders on the first and one on the second, and what keeps its parts.
type flightTest struct {
	*testing.T
	root    string
	network *exchange.Network
	gate    *exchange.Gate
	senders []*exchange.Sender
	lanes   []checkpoint.Lane
	keeper  *keeper
	acked   *checkpoint.Task
	refused *wire.Failure
}

func newFlightTest(t *testing.T) *flightTest {
	f := &flightTest{T: t, root: t.TempDir(), network: exchange.NewNetwork(nil, exchange.Config{})}
	t.Cleanup(f.network.Close)
	a := exchange.Attempt{Job: "job", Epoch: 1, Attempt: 1}
	if err := f.network.Attach(a); err != nil {
		t.Fatal(err)
	}
	wake := make(chan struct{}, 1)
	me := graph.TaskID{Chain: 2}
	f.gate = f.network.Gate(a, me, []exchange.GateInput{{Edge: 0, Senders: 2}, {Edge: 1, Senders: 1}}, wake)
	for i, l := range []checkpoint.Lane{{Operator: "join", Input: 0, Sender: 0}, {Operator: "join", Input: 0, Sender: 1}, {Operator: "join", Input: 1, Sender: 0}} {
		f.lanes = append(f.lanes, l)
		f.senders = append(f.senders, f.network.Sender(a, i/2, graph.TaskID{Chain: i / 2, Subtask: l.Sender}, me, "", wake))
	}
	store, err := blob.OpenDir(filepath.Join(f.root, "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	f.keeper = &keeper{
		store: store, on: durable.OS, dir: filepath.Join(f.root, "local"), to: 128, log: slog.New(slog.DiscardHandler), lanes: f.lanes,
		name:     func(n int) string { return fmt.Sprintf("files/%d.snap", n) },
		inFlight: func(id checkpoint.ID) string { return checkpoint.InFlightName(1, id, me) },
		ack: func(_ context.Context, _ checkpoint.ID, part *checkpoint.Task, declined *wire.Failure) {
			f.acked, f.refused = part, declined
		},
	}
	return f
}

// send sends a batch of records "key=value".
func (f *flightTest) send(channel int, records ...string) {
	b := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
	for _, r := range records {
		key, value, _ := strings.Cut(r, "=")
		b.Append(abi.Record{Key: []byte(key), Value: []byte(value)})
	}
	buf := f.network.NewBuffer(b.Size())
	b.Encode(buf.Bytes())
	f.senders[channel].Send(buf)
}

// keep captures what is in flight and has it kept.
func (f *flightTest) keep(id checkpoint.ID) *checkpoint.InFlight {
	f.Helper()
	c := f.gate.Capture(id, []int{0, 1, 2})
	for _, s := range f.senders {
		s.Barrier(exchange.Mark{Checkpoint: id, Base: id - 1, Unaligned: true})
	}
	f.keeper.keep(f.Context(), capture{checkpoint: id, part: &checkpoint.Task{}, inFlight: c})
	if f.acked == nil {
		f.Fatalf("checkpoint %d is not acknowledged: %v", id, f.refused)
	}
	return f.acked.InFlight
}

// regained is what a task with some key groups takes in again, as "channel/key=value".
func (f *flightTest) regained(flight *checkpoint.InFlight, keyed bool, from, to graph.KeyGroup) (all []string, err error) {
	g := &regain{lanes: f.lanes, keyed: []bool{keyed, keyed, keyed}, groups: 128, from: from, to: to, network: f.network}
	defer g.release()
	err = g.read(f.Context(), f.keeper.store, 7, flight)
	for _, r := range g.batches {
		var b abi.Batch
		if err := b.Parse(r.Buffer.Bytes()); err != nil {
			f.Fatal(err)
		}
		for i := range b.N {
			all = append(all, fmt.Sprintf("%d/%s=%s", r.Channel, b.Key(i), b.Value(i)))
		}
	}
	return all, err
}

// However the key groups are dealt out, each record comes back at one task, on its input, behind those of its key that came
// before it on its channel.
func TestWhatWasInFlightComesBackOnce(t *testing.T) {
	f := newFlightTest(t)
	var sent []string
	for n := range 40 {
		for channel := range 3 {
			var records []string
			for k := range 1 + n%7 {
				r := fmt.Sprintf("key%d=%d", (n+3*k)%11, n)
				records = append(records, r)
				sent = append(sent, fmt.Sprintf("%d/%s", channel, r))
			}
			f.send(channel, records...)
			if n%5 == 0 {
				f.senders[channel].Watermark(int64(n), false)
			}
		}
	}
	flight := f.keep(7)
	if n := flight.Lanes; len(n) != 3 || n[1].Batches != 40 || n[1].Sender != 1 || n[2].Input != 1 || f.acked.Figures.InFlight != n[0].Bytes+n[1].Bytes+n[2].Bytes {
		t.Errorf("lanes %+v, %d bytes", n, f.acked.Figures.InFlight)
	}
	if left, _ := filepath.Glob(filepath.Join(f.root, "local/in-flight/*")); len(left) > 0 {
		t.Errorf("local copies stay: %q", left)
	}
	slices.Sort(sent)
	for _, cuts := range [][]graph.KeyGroup{{0, 128}, {0, 64, 128}, {0, 1, 2, 50, 100, 128}} {
		var all []string
		for i := range cuts[1:] {
			some, err := f.regained(flight, true, cuts[i], cuts[i+1])
			if err != nil {
				t.Fatal(err)
			}
			last := map[string]int{} // by channel and key
			for _, r := range some {
				name, value, _ := strings.Cut(r, "=")
				n := 0
				fmt.Sscan(value, &n)
				if n < last[name] {
					t.Errorf("%s=%d comes behind %d", name, n, last[name])
				}
				last[name] = n
			}
			all = append(all, some...)
		}
		if slices.Sort(all); !slices.Equal(all, sent) {
			t.Errorf("cut at %v: %d records came back (expected these %d)", cuts, len(all), len(sent))
		}
	}
	whole, err := f.regained(flight, false, 3, 3) // they do not go by key: the task is their heir
	if slices.Sort(whole); err != nil || !slices.Equal(whole, sent) {
		t.Errorf("%d records came back, %v (expected %d)", len(whole), err, len(sent))
	}
	flight.Lanes = flight.Lanes[2:]
	if some, err := f.regained(flight, true, 0, 128); err != nil || len(some) != len(sent)/3 || !strings.HasPrefix(some[0], "2/") {
		t.Errorf("%d records of one lane, %v (expected %d)", len(some), err, len(sent)/3)
	}
}

// What is left of what was in flight before goes ahead of what is in flight now, also where that came by a channel before it.
func TestWhatWasInFlightTwiceKeepsItsOrder(t *testing.T) {
	f := newFlightTest(t)
	f.send(1, "a=1")
	f.send(1, "a=2")
	first := f.keep(7)
	g := &regain{lanes: f.lanes, keyed: make([]bool, 3), groups: 128, network: f.network}
	if err := g.read(t.Context(), f.keeper.store, 7, first); err != nil {
		t.Fatal(err)
	}
	for { // another attempt
		if _, ok := f.gate.Next(); !ok {
			break
		}
	}
	f.gate.Restore(g.batches)
	f.send(0, "a=3")
	if e, ok := f.gate.Next(); !ok || e.Number != 0 {
		t.Fatalf("element %+v (expected a restored batch)", e)
	}
	again, err := f.regained(f.keep(8), true, 0, 128)
	if want := []string{"1/a=2", "0/a=3"}; err != nil || !slices.Equal(again, want) {
		t.Errorf("%q, %v (expected %q)", again, err, want)
	}
}

// Only what is complete is acknowledged.
func TestACaptureThatIsGivenUpIsNotAcknowledged(t *testing.T) {
	f := newFlightTest(t)
	f.send(0, "a=1")
	c := f.gate.Capture(7, []int{0, 1, 2})
	f.senders[0].Barrier(exchange.Mark{Checkpoint: 7, Unaligned: true})
	f.gate.GiveUpCaptureOf(7)
	f.keeper.keep(t.Context(), capture{checkpoint: 7, part: &checkpoint.Task{}, inFlight: c})
	if f.acked != nil || f.refused != nil {
		t.Errorf("acknowledged %+v, %v (expected nothing)", f.acked, f.refused)
	}
	f.gate.GiveUpCaptureOf(8)
	if f.keep(8); f.acked.InFlight.Lanes[0].Batches != 1 {
		t.Errorf("the next one: %+v", f.acked.InFlight)
	}
}

func TestDamageToWhatWasInFlightIsNamed(t *testing.T) {
	f := newFlightTest(t)
	for n := range 200 {
		f.send(n%3, fmt.Sprintf("key%d=%0300d", n, n))
	}
	flight := f.keep(7)
	path := filepath.Join(f.root, "store", flight.Name)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(file []byte) []byte{
		"a turned bit": func(file []byte) []byte { file[len(file)/3] ^= 4; return file },
		"cut off":      func(file []byte) []byte { return file[:len(file)/2] },
		"gone":         func([]byte) []byte { return nil },
	} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if file := damage(slices.Clone(whole)); file != nil {
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := f.regained(flight, true, 0, 128)
		if got, ok := err.(*wire.Failure); !ok || got.Kind != wire.KindState || got.File != flight.Name {
			t.Errorf("%s: %v (expected damage to %s)", name, err, flight.Name)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flight.Lanes[1].Batches++
	if _, err := f.regained(flight, true, 0, 128); err == nil || !strings.Contains(err.Error(), "batches") {
		t.Errorf("a batch is missing: %v", err)
	}
}
