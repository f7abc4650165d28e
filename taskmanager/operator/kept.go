package operator

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Kept is the records of a subtask, kept until all of them are there. They lie in chunks, which are batches as they are sent, dealt
// out to the key groups of the subtask: at another parallelism they go where these go. A record costs no more than its bytes.
type Kept struct {
	list   state.Sorted
	places []keptPlace
	next   int          // place of the next chunk
	chunk  *abi.Builder // that is not stored yet
	room   []byte
	at     int    // place that is read next
	left   int    // places that have more to read
	read   []byte // of room: the chunk that was read
}

// keptPlace is a key that lies in a key group.
type keptPlace struct {
	key   []byte
	hash  uint64
	after []byte // what of it has been read
	done  bool
}

// A chunk has about this many records or bytes.
const (
	chunkRecords = 4096
	chunkSize    = 64 << 10
)

// NewKept opens what a subtask that owns the key groups from up to to, of groups, has kept. Records have the columns cols.
func NewKept(uid string, store state.Store, cols abi.Columns, from, to graph.KeyGroup, groups int) (*Kept, error) {
	k := &Kept{chunk: abi.NewBuilder(cols), places: make([]keptPlace, int(to)-int(from))}
	for n, missing := uint32(0), len(k.places); missing > 0; n++ {
		key := binary.LittleEndian.AppendUint32(nil, n)
		hash := xxhash.Sum64(key)
		if g := graph.KeyGroupOf(hash, groups); g >= from && g < to && k.places[g-from].key == nil {
			k.places[g-from] = keptPlace{key: key, hash: hash}
			missing--
		}
	}
	k.left = len(k.places)
	var err error
	k.list, err = store.Sorted(state.Spec{Operator: uid, Name: "records", Kind: state.List, Key: abi.CodecBytes, Value: abi.CodecBytes})
	return k, err
}

// Add keeps the records of a batch.
func (k *Kept) Add(b *abi.Batch) error {
	for lo := 0; lo < b.N; {
		hi, size := lo, k.chunk.Bytes()
		for ; hi < b.N && size < chunkSize && k.chunk.Len()+hi-lo < chunkRecords; hi++ {
			size += keptBytes(b, hi)
		}
		k.chunk.AppendRange(b, lo, hi, b.Hashes)
		if lo = hi; size < chunkSize && k.chunk.Len() < chunkRecords {
			return nil
		}
		if err := k.Save(); err != nil {
			return err
		}
	}
	return nil
}

func keptBytes(b *abi.Batch, i int) (n int) {
	for _, offs := range [...][]uint32{b.KeyOffs, b.ValueOffs, b.HeaderOffs} {
		if offs != nil {
			n += int(offs[i+1] - offs[i])
		}
	}
	return n
}

// Save stores what is not in a chunk yet.
func (k *Kept) Save() error {
	if k.chunk.Len() == 0 {
		return nil
	}
	p := &k.places[k.next]
	k.next = (k.next + 1) % len(k.places)
	err := k.list.Append(p.hash, p.key, k.chunk.Encode(k.fit(k.chunk.Size())))
	k.chunk.Reset()
	return err
}

// fit is memory for a chunk.
func (k *Kept) fit(n int) []byte {
	if len(k.room) < n {
		k.room = abi.AlignedBytes(2 * n)
	}
	return k.room[:n:n]
}

// Next sets b to some of the records that no call before it gave, valid until the next one; false: all have been given. Nothing is
// added any more.
func (k *Kept) Next(b *abi.Batch) (more bool, err error) {
	if err := k.Save(); err != nil {
		return false, err
	}
	for k.left > 0 {
		p := &k.places[k.at]
		k.at = (k.at + 1) % len(k.places)
		if p.done {
			continue
		}
		found := false
		err := k.list.Scan(p.hash, p.key, p.after, func(sub, value []byte, _ uint16) bool {
			p.after = append(p.after[:0], sub...)
			copy(k.fit(len(value)), value)
			found = true
			k.read = k.room[:len(value):len(value)]
			return false
		})
		switch {
		case err != nil:
			return false, err
		case !found:
			p.done, k.left = true, k.left-1
			continue
		}
		if err := b.Parse(k.read); err != nil {
			return false, fmt.Errorf("read records that are kept: %w", err)
		}
		return true, nil
	}
	return false, nil
}

// Clear forgets all records.
func (k *Kept) Clear() error {
	for i := range k.places {
		if err := k.list.Clear(k.places[i].hash, k.places[i].key); err != nil {
			return err
		}
	}
	return nil
}
