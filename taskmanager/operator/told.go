package operator

import (
	"math"

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
}

// NewTold makes that of an operator with a window, or nil.
func NewTold(uid string, window *abi.Window, store state.Store) *Told {
	t := &Told{store: store, spec: state.Spec{Operator: uid, Name: "$told", Kind: state.Words}}
	if timed(window) {
		t.windowed, t.lateness = true, window.LatenessMs
	}
	return t
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

// kind is what change a result of a key is, in a window.
func (t *Told) kind(of span, hash uint64, key []byte) (abi.ChangeKind, error) {
	word, err := t.word(of, hash, key)
	if err != nil || *word != wordOf(of) {
		return abi.Insert, err
	}
	return abi.UpdateAfter, nil
}

// note takes note that a key has a result, or has none any more that a later one could take the place of.
func (t *Told) note(of span, hash uint64, key []byte, has bool) error {
	word, err := t.word(of, hash, key)
	if err != nil {
		return err
	}
	if *word = 0; has {
		*word = wordOf(of)
	}
	return nil
}

// wordOf is the word of a key whose window has had a result. Sessions that have become another one may end when one of them did.
func wordOf(of span) uint64 { return uint64(of.start)<<1 | 1 }

// word is valid until the next call.
func (t *Told) word(of span, hash uint64, key []byte) (*uint64, error) {
	ns := state.Global
	if t.windowed {
		ns = state.Namespace(of.end - 1)
	}
	table, err := t.store.Table(t.spec, ns)
	if err != nil {
		return nil, err
	}
	t.key[0], t.hash[0] = key, hash
	if err := table.ResolveKeys(t.key[:], t.hash[:], false, t.entry[:]); err != nil {
		return nil, err
	}
	return table.Word(t.entry[0]), nil
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
