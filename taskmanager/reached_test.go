package taskmanager

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/operator"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// stood is where a subtask stood that had some key groups.
type stood struct {
	from, to  graph.KeyGroup
	watermark int64 // abi.MinTime: none had come
	done      bool
	further   []ahead
}

// reachedOf is what a task with key groups from up to to finds of subtasks that stood there; plain: as older versions stored it.
func reachedOf(t *testing.T, from, to graph.KeyGroup, plain bool, all ...stood) (*reached, state.Store) {
	t.Helper()
	var content bytes.Buffer
	w := snapshot.NewWriter(&content, []snapshot.State{{Operator: "o", Name: snapshot.OwnPrefix + reachedName}})
	for _, part := range all {
		own := &own{Store: state.NewMemory()}
		r := reached{store: own, uid: "o", midway: !part.done}
		if err := r.save(part.watermark, part.further); err != nil {
			t.Fatal(err)
		}
		if plain && part.done {
			own.value = nil
		} else if plain {
			own.value = own.value[:8]
		}
		e := snapshot.Entry{Group: snapshot.Own, Key: snapshot.OwnKey(part.from, part.to), Op: snapshot.Put, Value: own.value}
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
	store, err := state.New(state.Config{Groups: 8, From: from, To: to, Restored: []*snapshot.Reader{file}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &reached{uid: "o", from: from, to: to}, store
}

// own takes the value of an operator's own scope.
type own struct {
	state.Store
	value []byte
}

func (o *own) SetOwn(_, _ string, value []byte) error {
	o.value = value
	return nil
}

// A step that stood in the middle of a watermark goes on to it. Where others that had its key groups have not come so far, it goes on to
// theirs, and the key groups that had come further are told.
func TestAStepGoesOnToTheWatermarkThatItStoodInTheMiddleOf(t *testing.T) {
	none := abi.MinTime
	for name, c := range map[string]struct {
		parts    []stood
		from, to graph.KeyGroup
		want     int64
		further  []ahead
	}{
		"nothing was restored":       {nil, 0, 8, none, nil},
		"alone":                      {[]stood{{0, 8, 70, false, nil}}, 0, 8, 70, nil},
		"done with it":               {[]stood{{0, 8, 70, true, nil}}, 0, 8, none, nil},
		"at the end":                 {[]stood{{0, 8, abi.MaxTime, false, nil}}, 0, 8, none, nil},
		"its own part":               {[]stood{{0, 4, 70, false, nil}, {4, 8, 70, true, nil}}, 0, 4, 70, nil},
		"of two":                     {[]stood{{0, 4, 70, false, nil}, {4, 8, 60, false, nil}}, 0, 8, 60, []ahead{{0, 4, 70}}},
		"of two, one done with it":   {[]stood{{0, 4, 70, false, nil}, {4, 8, 70, true, nil}}, 0, 8, 70, nil},
		"of two, both done":          {[]stood{{0, 4, 70, true, nil}, {4, 8, 60, true, nil}}, 0, 8, none, nil},
		"of two, one has ended":      {[]stood{{0, 4, 70, false, nil}, {4, 8, abi.MaxTime, true, nil}}, 0, 8, 70, nil},
		"of two, one behind it":      {[]stood{{0, 4, 70, false, nil}, {4, 8, 60, true, nil}}, 0, 8, 60, []ahead{{0, 4, 70}}},
		"of two, one that had none":  {[]stood{{0, 4, 70, false, nil}, {4, 8, none, true, nil}}, 0, 8, none, []ahead{{0, 4, 70}}},
		"of two, one farther":        {[]stood{{0, 4, 70, false, nil}, {4, 8, 80, true, nil}}, 0, 8, 70, nil},
		"a half":                     {[]stood{{0, 8, 70, false, nil}}, 4, 8, 70, nil},
		"parts of two":               {[]stood{{0, 4, 70, false, nil}, {4, 8, none, true, nil}}, 2, 6, none, []ahead{{2, 4, 70}}},
		"again, what was further":    {[]stood{{0, 8, none, true, []ahead{{0, 2, 70}, {5, 7, 60}}}}, 1, 6, none, []ahead{{1, 2, 70}, {5, 6, 60}}},
		"again, both":                {[]stood{{0, 8, 50, false, []ahead{{0, 2, 70}}}}, 0, 8, 50, []ahead{{0, 2, 70}}},
		"again, the others are done": {[]stood{{0, 8, 50, true, []ahead{{0, 2, 70}}}}, 0, 8, 50, []ahead{{0, 2, 70}}},
	} {
		r, store := reachedOf(t, c.from, c.to, false, c.parts...)
		got, further, err := r.restore(store)
		if err != nil || got != c.want || r.resumes() != (c.want != none) || !slices.Equal(further, c.further) {
			t.Errorf("%s: it goes on to %d, resumes %v, further %v, %v (expected %d, %v)", name, got, r.resumes(), further, err, c.want, c.further)
		}
	}
}

// Older versions stored only a watermark that was not done with.
func TestWhatOlderVersionsHadReached(t *testing.T) {
	for name, c := range map[string]struct {
		parts   []stood
		want    int64
		further []ahead
	}{
		"in the middle":   {[]stood{{0, 8, 70, false, nil}}, 70, nil},
		"done":            {[]stood{{0, 8, 70, true, nil}}, abi.MinTime, nil},
		"one in a middle": {[]stood{{0, 4, 70, false, nil}, {4, 8, 70, true, nil}}, abi.MinTime, []ahead{{0, 4, 70}}},
	} {
		r, store := reachedOf(t, 0, 8, true, c.parts...)
		got, further, err := r.restore(store)
		if err != nil || got != c.want || !slices.Equal(further, c.further) {
			t.Errorf("%s: it goes on to %d, further %v, %v (expected %d, %v)", name, got, further, err, c.want, c.further)
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

// Barriers that overtake stand on all channels behind the watermark that fires. The first makes the task take its part, and what is in
// flight on the others ends at theirs: nothing of what comes behind is captured.
func TestWhatIsCapturedWhileWindowsFireEndsAtTheBarriers(t *testing.T) {
	a := exchange.Attempt{Job: "j"}
	network := exchange.NewNetwork(nil, exchange.Config{})
	defer network.Close()
	if err := network.Attach(a); err != nil {
		t.Fatal(err)
	}
	const senders = 3
	to, wake := graph.TaskID{Chain: 1}, make(chan struct{}, 1)
	gate := network.Gate(a, to, []exchange.GateInput{{Senders: senders}}, wake)
	in := newGateInput(gate, []string{"0", "1", "2"}, &chain{}, newAlignment(make([]bool, senders), 0))
	for i := range senders {
		s := network.Sender(a, 0, graph.TaskID{Subtask: i}, to, "", wake)
		s.Watermark(70, false)
		s.Barrier(exchange.Mark{Checkpoint: 4, Unaligned: true})
		s.Send(network.NewBuffer(8))
		s.End()
	}
	for in.chain.watermark < 70 {
		if idle, _, err := in.next(t.Context(), time.Time{}); idle || err != nil {
			t.Fatalf("watermark %d, idle %v, %v", in.chain.watermark, idle, err)
		}
	}
	in.marks(time.Time{})
	if m := in.barrier(time.Time{}); m == nil || m.Checkpoint != 4 {
		t.Fatalf("takes its part at %+v (expected checkpoint 4)", m)
	}
	c := in.capture()
	in.resume()
	in.marks(time.Time{})
	<-c.Done()
	lanes, whole := c.Lanes()
	if !whole {
		t.Error("the capture was given up")
	}
	for _, l := range lanes {
		if len(l.Batches) > 0 {
			t.Errorf("%d batches of channel %d are captured that come behind its barrier", len(l.Batches), l.Channel)
		}
	}
	c.Release()
}
