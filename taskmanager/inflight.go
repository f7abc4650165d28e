package taskmanager

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// What an unaligned barrier has overtaken on its way to a task stands in a snapshot file of its own, in the operator's own
// scope: a state for each input of the operator, and in it an entry for each batch. Its key is the batch's number in the
// file and the subtask that had sent it, so that batches stay in their order, whatever channel they came by.

// inFlightKind is the kind of such a state, of the numbers of package state the first that is not a state's.
const inFlightKind = 128

const inFlightKey = 12 // u64 number, u32 sender, big-endian

func inFlightState(l *checkpoint.Lane) snapshot.State {
	return snapshot.State{Operator: l.Operator, Name: strconv.Itoa(l.Input), Kind: inFlightKind}
}

// errOvertaken is why a part is not acknowledged: its checkpoint was given up while it was waiting for what is in flight.
var errOvertaken = errors.New("the checkpoint was given up")

// writeInFlight waits until all that was in flight is here, and makes a file of it.
func (k *keeper) writeInFlight(ctx context.Context, c *capture) error {
	if c.inFlight == nil {
		return nil
	}
	failpoint.Hit(failpoint.Aligning)
	select {
	case <-c.inFlight.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	captured, ok := c.inFlight.Lanes()
	if !ok {
		return errOvertaken
	}
	made := &checkpoint.InFlight{}
	var states []snapshot.State
	for i := range k.lanes {
		l := k.lanes[i]
		for _, part := range captured {
			if part.Channel != i {
				continue
			}
			for _, b := range part.Batches {
				l.Batches++
				l.Bytes += int64(len(b.Bytes()))
			}
		}
		if l.Batches == 0 {
			continue
		}
		c.part.Figures.InFlight += l.Bytes
		made.Lanes = append(made.Lanes, l)
		if s := inFlightState(&l); len(states) == 0 || states[len(states)-1] != s { // lanes of an input follow each other
			states = append(states, s)
		}
	}
	if len(states) == 0 {
		return nil
	}
	snapshot.SortStates(states)
	name := k.inFlight(c.checkpoint)
	var err error
	made.File, err = k.putAs(ctx, name, states, func(w *snapshot.Writer) error { return k.writeBatches(w, captured) })
	_ = k.on.Remove(filepath.Join(k.dir, filepath.FromSlash(name))) // who goes on reads it once, from the store
	if err == nil {
		c.part.InFlight = made
	}
	return err
}

// writeBatches writes what was captured, state by state.
func (k *keeper) writeBatches(w *snapshot.Writer, captured []exchange.Lane) error {
	for s, state := range w.States() {
		number := uint64(0)
		for _, part := range captured {
			l := &k.lanes[part.Channel]
			if inFlightState(l) != state {
				continue
			}
			for _, b := range part.Batches {
				number++
				key := binary.BigEndian.AppendUint64(make([]byte, 0, inFlightKey), number)
				key = binary.BigEndian.AppendUint32(key, uint32(l.Sender))
				if err := w.Add(&snapshot.Entry{State: s, Group: snapshot.Own, Key: key, Op: snapshot.Put, Value: b.Bytes()}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// regain is what a task takes in again of what was in flight.
type regain struct {
	lanes    []checkpoint.Lane // the task's channels
	keyed    []bool            // by channel: records go by key
	groups   int
	from, to graph.KeyGroup
	network  *exchange.Network
	batches  []exchange.Restored
}

// read reads one of the files, which is checked as it is read.
func (g *regain) read(ctx context.Context, store blob.Store, id checkpoint.ID, f *checkpoint.InFlight) error {
	object, err := store.Open(ctx, f.Name)
	if err != nil {
		return damaged(id, f.Name, err)
	}
	defer object.Close()
	reader, err := openSnapshot(object, f.File)
	if err != nil {
		return damaged(id, f.Name, err)
	}
	reader = snapshot.AllAhead([]*snapshot.Reader{reader})[0]
	missing := make([]int64, len(f.Lanes))
	for i := range f.Lanes {
		missing[i] = f.Lanes[i].Batches
	}
	for s := range reader.States() {
		if err := g.readState(reader, s, f, missing); err != nil {
			return damaged(id, f.Name, err)
		}
	}
	for i, n := range missing {
		if n != 0 {
			l := &f.Lanes[i]
			return damaged(id, f.Name, fmt.Errorf("%d batches from subtask %d to input %d of %q (expected %d): %w",
				l.Batches-n, l.Sender, l.Input, l.Operator, l.Batches, snapshot.ErrDamaged))
		}
	}
	return nil
}

func (g *regain) readState(r *snapshot.Reader, s int, f *checkpoint.InFlight, missing []int64) error {
	own := snapshot.Everything
	own.State, own.To = s, 0
	it := r.Scan(own)
	for it.Next() {
		e := it.Entry()
		if len(e.Key) != inFlightKey {
			return fmt.Errorf("a batch that was in flight: key of %d bytes (expected %d): %w", len(e.Key), inFlightKey, snapshot.ErrDamaged)
		}
		sender := int(binary.BigEndian.Uint32(e.Key[8:]))
		for i := range f.Lanes {
			l := &f.Lanes[i]
			if l.Sender != sender || inFlightState(l) != r.States()[s] {
				continue
			}
			missing[i]--
			if err := g.take(l, e.Value); err != nil {
				return err
			}
		}
	}
	return it.Err()
}

// take takes in what of a batch is the task's.
func (g *regain) take(l *checkpoint.Lane, encoded []byte) error {
	channel := g.channel(l)
	if channel < 0 {
		return fmt.Errorf("batches in flight to input %d of operator %q: the task has no such input", l.Input, l.Operator)
	}
	b := g.network.NewBuffer(len(encoded))
	copy(b.Bytes(), encoded)
	if !g.keyed[channel] {
		g.batches = append(g.batches, exchange.Restored{Channel: channel, Buffer: b})
		return nil
	}
	mine, err := g.mine(b)
	if mine != nil {
		g.batches = append(g.batches, exchange.Restored{Channel: channel, Buffer: mine})
	}
	return err
}

// channel is the one of those of the input that stands for the sender now: which, is of no account to the order, as what was
// in flight goes before all else.
func (g *regain) channel(l *checkpoint.Lane) int {
	first, n := -1, 0
	for i := range g.lanes {
		if g.lanes[i].Operator == l.Operator && g.lanes[i].Input == l.Input {
			if first < 0 {
				first = i
			}
			n++
		}
	}
	if n == 0 {
		return -1
	}
	return first + l.Sender%n
}

// mine is the records of a batch whose key groups the task owns, nil when there is none.
func (g *regain) mine(b *exchange.Buffer) (*exchange.Buffer, error) {
	var all batch
	if err := all.Parse(b.Bytes()); err != nil {
		b.Release()
		return nil, fmt.Errorf("a batch that was in flight: %w", err)
	}
	hashes, err := all.hashes()
	if err != nil {
		b.Release()
		return nil, err
	}
	var rows []uint32
	for i, h := range hashes {
		if group := graph.KeyGroup(h % uint64(g.groups)); group >= g.from && group < g.to {
			rows = append(rows, uint32(i))
		}
	}
	if len(rows) == all.N {
		return b, nil
	}
	defer b.Release()
	if len(rows) == 0 {
		return nil, nil
	}
	some := abi.NewBuilder(all.Columns)
	some.AppendRows(&all.Batch, rows, hashes)
	out := g.network.NewBuffer(some.Size())
	some.Encode(out.Bytes())
	return out, nil
}

// release frees what nobody has taken over.
func (g *regain) release() {
	for _, r := range g.batches {
		r.Buffer.Release()
	}
	g.batches = nil
}

// lanes are the channels of the task's gate as they are named in what is stored, and which of them go by key.
func (t *task) lanes() (lanes []checkpoint.Lane, keyed, ordered []bool) {
	a := t.attempt
	for _, i := range a.exec.Chains[t.id.Chain].Inputs {
		e := a.exec.Edges[i]
		first, n := a.senders(i, t.id.Subtask)
		for k := range n {
			lanes = append(lanes, checkpoint.Lane{Operator: a.graph.Operators[e.ToOperator].UID, Input: e.Input, Sender: first + k})
			keyed = append(keyed, e.Partition == graph.Hash)
			ordered = append(ordered, !e.Partition.Overtakable())
		}
	}
	return lanes, keyed, ordered
}

// regain gives the gate what was in flight to the task when the checkpoint was taken that it goes on from.
func (t *task) regain(ctx context.Context, store blob.Store) (err error) {
	if t.restore == nil || len(t.restore.InFlight) == 0 || failpoint.Planted(failpoint.ForgetInFlight) {
		return nil
	}
	a := t.attempt
	g := &regain{groups: a.graph.MaxParallelism, network: a.tm.config.Network}
	g.from, g.to = a.keyGroups(t.id)
	g.lanes, g.keyed, _ = t.lanes()
	for i := range t.restore.InFlight {
		if err := g.read(ctx, store, a.checkpoints.Restored, &t.restore.InFlight[i]); err != nil {
			g.release()
			return err
		}
	}
	t.gate.Restore(g.batches)
	return nil
}
