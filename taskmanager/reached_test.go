package taskmanager

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/operator"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// A step that stood in the middle of a watermark goes on to it, unless others that had its key groups may not have come so far.
func TestAStepGoesOnToTheWatermarkThatItStoodInTheMiddleOf(t *testing.T) {
	type part struct {
		from, to graph.KeyGroup
		value    int64 // 0: none
	}
	for name, c := range map[string]struct {
		parts    []part
		from, to graph.KeyGroup
		want     int64
	}{
		"nothing was restored":     {nil, 0, 8, abi.MinTime},
		"alone":                    {[]part{{0, 8, 70}}, 0, 8, 70},
		"done with it":             {[]part{{0, 8, 0}}, 0, 8, abi.MinTime},
		"its own part":             {[]part{{0, 4, 70}, {4, 8, 0}}, 0, 4, 70},
		"of two":                   {[]part{{0, 4, 70}, {4, 8, 60}}, 0, 8, 60},
		"of two, one done with it": {[]part{{0, 4, 70}, {4, 8, 0}}, 0, 8, abi.MinTime},
		"a half":                   {[]part{{0, 8, 70}}, 4, 8, 70},
	} {
		var content bytes.Buffer
		w := snapshot.NewWriter(&content, []snapshot.State{{Operator: "o", Name: snapshot.OwnPrefix + reachedName}})
		for _, p := range c.parts {
			e := snapshot.Entry{Group: snapshot.Own, Key: snapshot.OwnKey(p.from, p.to), Op: snapshot.Put}
			if p.value != 0 {
				e.Value = binary.LittleEndian.AppendUint64(nil, uint64(p.value))
			}
			if err := w.Add(&e); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := snapshot.Open(bytes.NewReader(content.Bytes()), int64(content.Len()))
		if err != nil {
			t.Fatal(err)
		}
		store, err := state.New(state.Config{Groups: 8, From: c.from, To: c.to, Restored: []*snapshot.Reader{file}})
		if err != nil {
			t.Fatal(err)
		}
		r := reached{uid: "o", from: c.from, to: c.to}
		got, err := r.restore(store)
		if err != nil || got != c.want || r.resumes() != (c.want != abi.MinTime) {
			t.Errorf("%s: it goes on to %d, resumes %v, %v (expected %d)", name, got, r.resumes(), err, c.want)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// dueOperator fires so many pieces.
type dueOperator struct {
	operator.Operator
	pieces    int
	watermark int64
}

func (o *dueOperator) Fire(watermark int64, _ *abi.Builder) (bool, error) {
	o.watermark = watermark
	o.pieces--
	return o.pieces > 0, nil
}

func (o *dueOperator) Save() error { return nil }
func (o *dueOperator) Late() int64 { return 0 }

// A barrier is taken between two pieces of a firing, and one from which the job goes on has the watermark; who goes on fires the
// rest before anything else, and has not passed the watermark before.
func TestABarrierLiesBetweenTwoPiecesOfAFiring(t *testing.T) {
	store, err := state.New(state.Config{Groups: 8, To: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	newChain := func(o *dueOperator) (*chain, *keyedStep) {
		s := &keyedStep{op: o, out: abi.NewBuilder(abi.ColumnValues), time: &taskTime{}, received: abi.MinTime, passed: abi.MinTime}
		s.reached = reached{uid: "o", to: 8, store: store}
		c := &chain{store: store, watermark: abi.MinTime}
		c.nodes = []node{{step: s, watermark: &c.watermark, seen: abi.MinTime}}
		return c, s
	}
	c, s := newChain(&dueOperator{pieces: 3})
	l := &loop{chain: c}
	c.watermark = 70
	if more, err := c.advance(); !more || err != nil || s.passed != abi.MinTime {
		t.Fatalf("more %v, passed %d, %v", more, s.passed, err)
	}
	for mark, want := range map[exchange.Mark]bool{{Checkpoint: 1}: true, {Checkpoint: 1, Unaligned: true}: true, {Checkpoint: 1, Stop: true}: true,
		{Checkpoint: 1, Stop: true, Drain: true}: false, {Checkpoint: 1, Exchange: 1}: true} {
		if got := l.mayDivide(&mark); got != want {
			t.Errorf("%+v may lie in the middle: %v (expected %v)", mark, got, want)
		}
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}

	rest := &dueOperator{pieces: 2}
	c, s = newChain(rest)
	s.received, s.midway = 70, true // as restore finds it
	c.nodes[0].resumes = s.resumes()
	if !c.resumes() {
		t.Fatal("nothing is to be brought to its end")
	}
	if more, err := c.advance(); !more || err != nil || rest.watermark != 70 || s.passed != abi.MinTime {
		t.Fatalf("more %v, fires to %d, passed %d, %v", more, rest.watermark, s.passed, err)
	}
	if more, err := c.advance(); more || err != nil || s.passed != 70 || c.resumes() {
		t.Fatalf("more %v, passed %d, resumes %v, %v", more, s.passed, c.resumes(), err)
	}
}

// While a watermark fires, what stands directly behind it is taken: the barriers of a checkpoint, and the ends of channels, which no
// barrier comes on any more.
func TestMarksBehindTheWatermarkThatFiresAreTaken(t *testing.T) {
	a := exchange.Attempt{Job: "j"}
	network := exchange.NewNetwork(nil, exchange.Config{})
	defer network.Close()
	if err := network.Attach(a); err != nil {
		t.Fatal(err)
	}
	to, wake := graph.TaskID{Chain: 1}, make(chan struct{}, 1)
	gate := network.Gate(a, to, []exchange.GateInput{{Senders: 2}}, wake)
	in := newGateInput(gate, []string{"0", "1"}, &chain{}, newAlignment(make([]bool, 2), 0))
	mark := exchange.Mark{Checkpoint: 4}
	for i := range 2 {
		s := network.Sender(a, 0, graph.TaskID{Subtask: i}, to, "", wake)
		s.Watermark(abi.MaxTime, false)
		if i == 0 {
			s.Barrier(mark)
		}
		s.End()
	}
	for in.chain.watermark < abi.MaxTime {
		if idle, _, err := in.next(t.Context(), time.Time{}); idle || err != nil {
			t.Fatalf("watermark %d, idle %v, %v", in.chain.watermark, idle, err)
		}
	}
	in.marks(time.Time{})
	if m := in.barrier(time.Time{}); m == nil || *m != mark {
		t.Fatalf("takes its part at %+v (expected %+v)", m, mark)
	}
	if in.ended() {
		t.Error("the end behind the barrier is taken before the part is")
	}
	in.resume()
	if in.marks(time.Time{}); !in.ended() {
		t.Error("the input has not ended")
	}
}
