package operator

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// windower is windows of every kind, with any trigger, that have a window function or an accumulator: what the cheaper forms of
// windows (panes, slices, counts, sessions) do not do. Each window keeps what it has by itself: a record is kept in every one
// that it is in.
//
// What a batch brings goes in turns. In each, windows take records until they fire; then all that was taken is added to what
// they have, and those that fire do so together.
type windower struct {
	panes
	shape    shape
	trigger  trigger
	evictor  *evictor  // nil: nothing leaves
	acc      adding    // nil: windows keep their records
	elements *elements // of these, nil with acc
	function *windowFunction
	asks     Asks
	groups   abi.GroupsWriter // of what is asked
	timers   [2]state.Timers
	states   int  // of a mark
	holds    bool // a result stays here until its window ends, or a newer one takes its place
	quiet    bool // elements leave, and no function is called

	// of the batch or firing at hand
	batch     *abi.Batch
	now       int64
	keys      []sessionsOf
	cells     []*cell
	backs     []*cell  // sessions as they were once
	spare     []*cell  // to be used again
	rows      []uint32 // of the batch, those of a cell or key together
	gaps      []int64  // of the batch's records, by a gap function
	of        byKey
	some      []*cell // scratch
	evicting  []*cell // scratch
	questions []question
	listed    [][]byte
	accs      [][]byte // scratch
	arena     []byte
	record    []byte // scratch
	expired   []dueTimer
	dueKeys   [][]byte
	dueHashes []uint64
	entries   []state.Entry
	loaded    []byte      // elements of the windows that fire together
	lists     []*keptList // of these, scratch
	taken     []uint32    // scratch
}

// shape is how windows lie.
type shape struct {
	merging bool // sessions
	shared  bool // sliding ones that share the records of a key
	global  bool // one without end
	own     int  // the clock by which they end
}

// keyed says whether all windows of a key lie in one entry, and their records in one list.
func (s *shape) keyed() bool { return s.merging || s.shared }

// cell is one key in one window, with what concerns it of the batch or firing at hand.
type cell struct {
	span
	table   state.Table
	entry   state.Entry
	of      int // number of its key, of sessions
	mark    mark
	accs    [][]byte // accumulators; several: of sessions that have become one
	list    keptList // of its elements; those of sessions are the key's
	queue   []uint32 // of the batch, still to be taken
	rows    []uint32 // taken, and not in what the window has yet
	answer  []byte   // of the user's trigger, by row of the queue
	timing  uint32   // flags of the group of a result: early, late
	now     decision
	full    []element // what it has, while it fires
	large   *large    // nil: what it has is in full
	left    bool      // some of that has left it
	sifted  int       // so many of those that stay were met in its list
	back    bool      // it is as it was when it fired last: only upTo of its elements count
	upTo    int
	counted int            // its elements, while it is held
	kind    abi.ChangeKind // of its result, where each change is told
}

func (c *cell) key() []byte  { return c.table.Key(c.entry) }
func (c *cell) hash() uint64 { return c.table.Hash(c.entry) }

// newWindower makes the windows of c. acc adds up what windows keep, nil: they keep their records.
func newWindower(c *Config, p panes, acc adding) (w *windower, err error) {
	w = &windower{panes: p, acc: acc, asks: c.Asks}
	w.shape = shape{merging: c.Window.Kind == SessionWindows, global: c.Window.Kind == GlobalWindows || c.Window.Kind == CountWindows}
	if c.Window.Time == ProcessingWindows {
		w.shape.own = ProcessingTime
	}
	if w.trigger, err = newTrigger(c.Window, c.Value); err != nil {
		return nil, fmt.Errorf("trigger: %w", err)
	}
	if w.evictor, err = newEvictor(c.Window, c.Value); err != nil {
		return nil, fmt.Errorf("evictor: %w", err)
	}
	w.shape.shared = acc == nil && sharesRecords(c.Window, &w.trigger)
	w.spec.Name, w.spec.Kind, w.spec.Value = "windows", state.Bytes, abi.CodecBytes
	if acc == nil {
		w.spec.Version = 0
		if w.elements, err = newElements(p.store, w.spec); err != nil {
			return nil, err
		}
	}
	if c.Final {
		w.foldResults()
	}
	if c.Tells {
		w.told = NewTold(c.UID, c.Window, c.Store)
	}
	w.states = len(c.Asks.TriggerStates)
	if c.Kind == abi.OperatorWindow {
		if w.function, err = newWindowFunction(c, w.states); err != nil {
			return nil, err
		}
		w.function.process.records = w.recordsOf
		w.states += w.function.scoped
	}
	for clock, name := range []string{"$fires", "$fires-by-clock"} {
		if w.timers[clock], err = p.store.Timers(state.Spec{Operator: c.UID, Name: name, Kind: state.Timer, Key: c.Key}); err != nil {
			return nil, err
		}
	}
	if w.window != nil && !w.shape.shared {
		w.window.slice = w.window.size // a window is a pane
	}
	if w.shape.keyed() {
		if err := w.refusePanes(); err != nil {
			return nil, err
		}
		if err := w.add(0, abi.MinTime, abi.MaxTime, state.Global); err != nil {
			return nil, err
		}
		w.open[0].all = true
		return w, w.restorePassed(c.Groups)
	}
	err = w.restore(c.Groups)
	for _, p := range w.open {
		p.done = p.done && !w.trigger.foreign // see ending
	}
	return w, err
}

// refusePanes says if a snapshot has the windows of a key apart, in tables of their own.
func (w *windower) refusePanes() error {
	there, err := w.store.Namespaces(w.spec)
	if err == nil && slices.ContainsFunc(there, func(ns state.Namespace) bool { return ns != state.Global }) {
		err = fmt.Errorf("open state %s of %s: it has a table a window (expected one of all: another version of wasmill kept it so)", w.spec.Name, w.spec.Operator)
	}
	return err
}

// Process implements Operator.
func (w *windower) Process(b *abi.Batch, hashes []uint64, now int64, out *abi.Builder) error {
	if b.Timestamps == nil && w.shape.own == EventTime && !w.shape.global {
		return errNoTimestamp
	}
	defer w.forget()
	w.now = now
	if w.shape.own == ProcessingTime {
		w.now = w.clock(now)
	}
	if err := w.catchUp(b, hashes, out); err != nil {
		return err
	}
	w.batch, w.lateRows = b, w.lateRows[:0]
	if err := w.deal(b, hashes); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = w.turn(out); err != nil {
			return err
		}
	}
	if len(w.lateRows) > 0 {
		slices.Sort(w.lateRows)
		w.lateOut.AppendRows(b, w.lateRows, b.Hashes)
	}
	return w.save()
}

// deal gives the batch's records to those that take them.
func (w *windower) deal(b *abi.Batch, hashes []uint64) error {
	if err := w.askGaps(); err != nil {
		return err
	}
	if w.shape.keyed() {
		return w.dealSessions(b, hashes)
	}
	if err := w.dealPanes(b, hashes); err != nil {
		return err
	}
	return w.askRecords()
}

// turn has windows take records until they fire, and those fire. It answers whether there are more.
func (w *windower) turn(out *abi.Builder) (more bool, err error) {
	switch {
	case w.shape.merging:
		more, err = w.takeSessions()
	case w.shape.shared:
		more, err = w.takeShared()
	default:
		more, err = w.takePanes()
	}
	if err != nil {
		return false, err
	}
	if err := w.gather(); err != nil {
		return false, err
	}
	return more, w.conclude(out)
}

// judge is what becomes of a window that has taken a record, the one at number i of its queue, by a trigger of the host's or
// as the user's has answered.
func (w *windower) judge(c *cell, row uint32, answer decision) (decision, error) {
	passed := w.passedFor(c)
	c.timing = 0
	switch {
	case passed < c.end-1:
		c.timing = abi.GroupEarly
	default:
		c.timing = abi.GroupLate
	}
	if w.asks.Trigger != nil {
		if w.trigger.purging && answer&fires != 0 {
			answer |= purges
		}
		return answer, nil
	}
	return w.trigger.record(&c.mark, c.span, w.batch.Timestamp(int(row)), w.batch.Value(int(row)), moment{passed: passed, now: w.now})
}

// gather adds what was taken to what windows have.
func (w *windower) gather() error {
	if w.acc != nil {
		return w.fold()
	}
	switch {
	case w.shape.merging:
		return w.gatherSessions()
	case w.shape.shared:
		return w.gatherShared()
	}
	for _, c := range w.cells {
		if err := w.append(&c.list, c.rows); err != nil {
			return err
		}
		c.rows = c.rows[len(c.rows):]
	}
	return nil
}

// append adds records of the batch to a list.
func (w *windower) append(to *keptList, rows []uint32) error {
	return w.elements.add(to, len(rows), func(i int) element {
		row := int(rows[i])
		return element{time: w.batch.Timestamp(row), place: w.placeOf(row), value: w.batch.Value(row)}
	})
}

// placeOf is the time by which a record belongs to a session.
func (w *windower) placeOf(row int) int64 {
	if w.shape.own == ProcessingTime {
		return w.now
	}
	return w.batch.Timestamp(row)
}

// fold is gather of accumulators.
func (w *windower) fold() error {
	if err := w.merge(); err != nil {
		return err
	}
	w.some = w.some[:0]
	for _, c := range w.cells {
		if len(c.rows) > 0 {
			w.some = append(w.some, c)
		}
	}
	some := w.some
	err := w.acc.absorb(w.batch, len(some),
		func(i int) (piece, []uint32) { return w.piece(some[i]), some[i].rows },
		func(i int, acc []byte) error {
			some[i].accs = w.listing(w.keep(acc))
			return nil
		})
	for _, c := range some {
		c.rows = c.rows[len(c.rows):]
	}
	return err
}

// merge makes one of the accumulators of sessions that have become one.
func (w *windower) merge() error {
	w.some = w.some[:0]
	for _, c := range w.cells {
		if len(c.accs) > 1 {
			w.some = append(w.some, c)
		}
	}
	some := w.some
	return w.acc.merge(len(some), func(i int) piece { return w.piece(some[i]) }, func(i int, acc []byte) error {
		some[i].accs = w.listing(w.keep(acc))
		return nil
	})
}

func (w *windower) piece(c *cell) piece { return piece{c.span, c.key(), c.accs} }

// listing is a list of one.
func (w *windower) listing(acc []byte) [][]byte {
	w.listed = append(w.listed, acc)
	return w.listed[len(w.listed)-1 : len(w.listed) : len(w.listed)]
}

// keep copies bytes that are valid for a call only.
func (w *windower) keep(p []byte) []byte {
	at := len(w.arena)
	w.arena = append(w.arena, p...)
	return w.arena[at:len(w.arena):len(w.arena)]
}

// cellOf is a cell of an entry whose mark lies in v, nil for one that has just begun.
func (w *windower) cellOf(s span, t state.Table, e state.Entry, ns state.Namespace, v []byte) (c *cell, rest []byte, err error) {
	c = w.newCell()
	*c = cell{span: s, table: t, entry: e, mark: c.mark, full: c.full[:0]}
	if rest, err = c.mark.read(v, w.states); err != nil {
		return nil, nil, fmt.Errorf("windows of key %q: %w", t.Key(e), err)
	}
	if failpoint.Planted(failpoint.ForgetTrigger) {
		clear(c.mark.states[:len(w.asks.TriggerStates)])
	}
	if c.mark.folded != nil {
		c.accs = w.listing(c.mark.folded)
	}
	c.list = keptList{ns: ns, key: t.Key(e), hash: t.Hash(e), listNote: c.mark.list}
	w.cells = append(w.cells, c)
	return c, rest, w.checkHeld(c)
}

// newCell is one to be used, or used again.
func (w *windower) newCell() (c *cell) {
	n := len(w.spare)
	if n == 0 {
		return &cell{}
	}
	c, w.spare = w.spare[n-1], w.spare[:n-1]
	return c
}

// settleMark brings into the mark what is to be stored of a cell.
func (c *cell) settleMark() *mark {
	c.mark.list, c.mark.folded = c.list.listNote, nil
	if len(c.accs) > 0 {
		c.mark.folded = c.accs[0]
	}
	return &c.mark
}

// forget makes ready for the next call.
func (w *windower) forget() {
	for _, all := range [2][]*cell{w.cells, w.backs} {
		for _, c := range all {
			clear(c.full)
			w.spare = append(w.spare, c)
		}
	}
	clear(w.keys)
	if w.elements != nil {
		w.elements.forget()
	}
	w.cells, w.backs, w.keys, w.listed, w.arena, w.batch, w.gaps, w.rows = w.cells[:0], w.backs[:0], w.keys[:0], w.listed[:0], w.arena[:0], nil, w.gaps[:0], w.rows[:0]
	if w.shape.keyed() {
		p := w.open[0]
		p.entries = p.entries[:0]
		return
	}
	w.settle()
}
