package operator

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Told knows of which keys, and windows of them, an operator has put out a result, so that each result says what change it
// is: of one that nobody has seen yet, or of an earlier one.
type Told struct {
	store    state.Store
	spec     state.Spec
	windowed bool
	lateness int64

	rows    []uint32
	entries []state.Entry
	key     [1][]byte
	hash    [1]uint64
	entry   [1]state.Entry
	asked   state.Table // that the key of the last call lies in, as entry
	some    [2][]int    // scratch of emit
}

// NewTold makes that of an operator with a window, or nil.
func NewTold(uid string, window *abi.Window, store state.Store) *Told {
	t := &Told{store: store, spec: state.Spec{Operator: uid, Name: "$told", Kind: state.Words}}
	if timed(window) {
		t.windowed, t.lateness = true, window.LatenessMs
	}
	return t
}

// TellsItself says whether an operator tells its results' changes itself, with Config.Tells: those that a guest emits, and of sessions, of
// which two of a key may end at the same time. Of others Mark does.
func TellsItself(kind abi.OperatorKind, w *abi.Window, f *abi.Function) bool {
	return w != nil && (Triggered(kind, w) || w.Kind == SessionWindows || f != nil && EmitsItself(f))
}

// Mark sets the kinds of results, which have keys, and with windows the time of theirs.
func (t *Told) Mark(b *abi.Batch, hashes []uint64) error {
	for lo := 0; lo < b.N; {
		ns, hi := state.Global, b.N
		if t.windowed {
			for hi = lo + 1; hi < b.N && b.Timestamps[hi] == b.Timestamps[lo]; {
				hi++
			}
			ns = state.Namespace(b.Timestamps[lo])
		}
		if err := t.markRange(b, lo, hi, ns, hashes); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

func (t *Told) markRange(b *abi.Batch, lo, hi int, ns state.Namespace, hashes []uint64) error {
	table, err := t.store.Table(t.spec, ns)
	if err != nil {
		return err
	}
	t.rows = t.rows[:0]
	for i := lo; i < hi; i++ {
		t.rows = append(t.rows, uint32(i))
	}
	t.entries = append(t.entries[:0], make([]state.Entry, hi-lo)...)
	if err := table.Resolve(b, t.rows, hashes, t.entries); err != nil {
		return err
	}
	for i, e := range t.entries {
		seen := table.Word(e)
		b.Kinds[lo+i] = byte(abi.Insert)
		if *seen != 0 {
			b.Kinds[lo+i] = byte(abi.UpdateAfter)
		}
		*seen = 1
	}
	return nil
}

// kind is what change a result of a key would be, in a window.
func (t *Told) kind(of span, hash uint64, key []byte) (abi.ChangeKind, error) {
	word, err := t.word(of, hash, key)
	if err != nil || *word != wordOf(of) {
		return abi.Insert, err
	}
	return abi.UpdateAfter, nil
}

// tell is kind of a result that is put out now.
func (t *Told) tell(of span, hash uint64, key []byte) (abi.ChangeKind, error) {
	word, err := t.word(of, hash, key)
	switch {
	case err != nil:
		return abi.Insert, err
	case *word == wordOf(of):
		return abi.UpdateAfter, nil
	}
	*word = wordOf(of)
	return abi.Insert, nil
}

// emit has acc put out the result of each of n panes, those of one kind of change together; of nil, as they are.
func (t *Told) emit(acc merging, n int, of func(i int) piece, out *abi.Builder) error {
	if t == nil {
		return acc.emit(n, of, out)
	}
	first, newer := t.some[0][:0], t.some[1][:0]
	for i := range n {
		p := of(i)
		switch kind, err := t.tell(p.span, xxhash.Sum64(p.key), p.key); {
		case err != nil:
			return err
		case kind == abi.Insert:
			first = append(first, i)
		default:
			newer = append(newer, i)
		}
	}
	t.some = [2][]int{first, newer}
	if err := emitAs(abi.Insert, acc, first, of, out); err != nil {
		return err
	}
	return emitAs(abi.UpdateAfter, acc, newer, of, out)
}

// emitAs has acc put out the results of some panes, as changes of that kind: those that it adds to out, of which nothing leaves before the
// operator has returned. Those of a guest leave at once, and are told the kind before.
func emitAs(kind abi.ChangeKind, acc merging, some []int, of func(i int) piece, out *abi.Builder) error {
	if len(some) == 0 {
		return nil
	}
	if f, ok := acc.(*fold); ok {
		f.kind = kind
	}
	from := out.Len()
	if err := acc.emit(len(some), func(i int) piece { return of(some[i]) }, out); err != nil {
		return err
	}
	var b abi.Batch
	out.View(&b)
	for i := from; i < b.N; i++ {
		b.Kinds[i] = byte(kind)
	}
	return nil
}

// has takes note that the result has been put out that kind was last asked about.
func (t *Told) has(of span) { *t.asked.Word(t.entry[0]) = wordOf(of) }

// purged takes note that a key has no result any more that a later one could take the place of.
func (t *Told) purged(of span, hash uint64, key []byte) error {
	word, err := t.word(of, hash, key)
	if err == nil {
		*word = 0
	}
	return err
}

// wordOf is the word of a key whose window has had a result. Sessions that have become another one may end when one of them did.
func wordOf(of span) uint64 { return uint64(of.start)<<1 | 1 }

// word is valid until the next call.
func (t *Told) word(of span, hash uint64, key []byte) (*uint64, error) {
	ns := state.Global
	if t.windowed {
		ns = state.Namespace(of.end - 1)
	}
	var err error
	if t.asked, err = t.store.Table(t.spec, ns); err != nil {
		return nil, err
	}
	t.key[0], t.hash[0] = key, hash
	if err := t.asked.ResolveKeys(t.key[:], t.hash[:], false, t.entry[:]); err != nil {
		return nil, err
	}
	return t.asked.Word(t.entry[0]), nil
}

// Forget drops what is known of windows that no record can change behind the watermark.
func (t *Told) Forget(watermark int64) error {
	if !t.windowed {
		return nil
	}
	open, err := t.store.Namespaces(t.spec)
	for _, ns := range open {
		if err == nil && int64(ns) <= math.MaxInt64-t.lateness && int64(ns)+t.lateness <= watermark {
			err = t.store.Drop(t.spec, ns)
		}
	}
	return err
}
