package operator

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// element is a record that a window keeps.
type element struct {
	time  int64 // its timestamp
	place int64 // when it came, on the clock of sessions: which one it belongs to
	at    int   // its place in the list that it was read from
	value []byte
}

// elements are the records that windows keep, in lists by key and window. The end of a list lies with the mark of its window, and is
// written anew with that; when it is long enough it becomes a piece, which nobody touches any more until elements leave. A window
// that is over has its pieces dropped whole.
type elements struct {
	store  state.Store
	spec   state.Spec
	limits listLimits
	arena  []byte // of ends of lists, until forget
	record []byte // scratch
	asked  []state.PieceKey
	owners []int // of these: in which list they are
	sifted []sifted
}

// listLimits are how much of lists is held together.
type listLimits struct {
	tail    int    // bytes of the end of a list that lies with its mark, at most
	piece   int    // about how long a piece may be, if much comes at once
	atOnce  uint32 // pieces that are read in one pass
	portion int    // bytes of elements that are in memory at a time, about
	large   int    // bytes of a window's from which on its function asks for them
}

var usualLimits = listLimits{tail: 1 << 10, piece: 16 << 10, atOnce: 64, portion: 1 << 20, large: callBytes}

// newElements says if a snapshot has them in another form.
func newElements(store state.Store, spec state.Spec) (*elements, error) {
	spec.Name, spec.Kind, spec.Version, spec.Value = "elements", state.Piece, 0, abi.CodecBytes
	_, err := store.Namespaces(spec)
	return &elements{store: store, spec: spec, limits: usualLimits}, err
}

// keptList is where the list of a key in a window is.
type keptList struct {
	ns   state.Namespace
	key  []byte
	hash uint64
	listNote
}

// listNote is what is noted of a list: how many elements it has, their bytes, the numbers of its pieces, first <= number < next, of which some
// may be gone, and the elements that are in none.
type listNote struct {
	records     int
	bytes       int
	first, next uint32
	tail        []byte
}

// A note in the state: u32 elements, u32 first, u32 next, u32 zero, u64 bytes, the tail. A list without elements has none.
const noteBytes = 24

func (k *listNote) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(k.records))
	dst = le.AppendUint32(dst, k.first)
	dst = le.AppendUint32(dst, k.next)
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint64(dst, uint64(k.bytes))
	return append(dst, k.tail...)
}

func (k *listNote) size() int {
	if k.records == 0 {
		return 0
	}
	return noteBytes + len(k.tail)
}

// readNote reads a note, whose memory it shares.
func readNote(v []byte) (k listNote, err error) {
	if len(v) == 0 {
		return k, nil
	}
	if len(v) < noteBytes {
		return k, errMark
	}
	le := binary.LittleEndian
	return listNote{records: int(le.Uint32(v)), first: le.Uint32(v[4:]), next: le.Uint32(v[8:]), bytes: int(le.Uint64(v[16:])), tail: v[noteBytes:]}, nil
}

// add appends elements to a list.
func (l *elements) add(p *keptList, n int, of func(i int) element) error {
	if n == 0 {
		return nil
	}
	l.record = append(l.record[:0], p.tail...)
	for i := range n {
		was := len(l.record)
		l.record = appendElement(l.record, of(i))
		p.bytes += len(l.record) - was
		if p.records++; len(l.record) < l.limits.tail || i < n-1 && len(l.record) < l.limits.piece {
			continue
		}
		pieces, err := l.store.Pieces(l.spec, p.ns)
		if err != nil {
			return err
		}
		if err := pieces.Put(p.piece(p.next), l.record); err != nil {
			return err
		}
		p.next++
		l.record = l.record[:0]
	}
	p.tail = keep(&l.arena, l.record)
	return nil
}

func (p *keptList) piece(number uint32) state.PieceKey {
	return state.PieceKey{Hash: p.hash, Key: p.key, Number: number}
}

// clear empties a list.
func (l *elements) clear(p *keptList) error {
	if p.first < p.next {
		pieces, err := l.store.Pieces(l.spec, p.ns)
		if err != nil {
			return err
		}
		for number := p.first; number < p.next; number++ {
			if err := pieces.Delete(p.piece(number)); err != nil {
				return err
			}
		}
	}
	p.listNote = listNote{}
	return nil
}

// drop removes the lists of a window, whole.
func (l *elements) drop(ns state.Namespace) error { return l.store.Drop(l.spec, ns) }

// forget frees the ends of lists.
func (l *elements) forget() { l.arena = l.arena[:0] }

// An element in a list: i64 timestamp, i64 place, u32 length of the value, the value.
const elementBytes = 20

func appendElement(dst []byte, e element) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(e.time))
	dst = le.AppendUint64(dst, uint64(e.place))
	return append(le.AppendUint32(dst, uint32(len(e.value))), e.value...)
}

func nextElement(v []byte) (e element, rest []byte, err error) {
	le := binary.LittleEndian
	if len(v) < elementBytes || int(le.Uint32(v[16:])) > len(v)-elementBytes {
		return e, nil, fmt.Errorf("%d bytes are left of the last", len(v))
	}
	n := elementBytes + int(le.Uint32(v[16:]))
	return element{time: int64(le.Uint64(v)), place: int64(le.Uint64(v[8:])), value: v[elementBytes:n:n]}, v[n:], nil
}
