package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
)

// pieces is a namespace of a state of kind Piece.
type pieces struct {
	t      *tiered
	key    []byte // scratch
	joined []byte // keys of the pieces that are read
	misses []miss
	memory []byte // what was read of them
	values []pieceValue
}

// pieceValue is a piece that was asked for: in memory where it lies, or a part of what was read.
type pieceValue struct {
	stored   []byte
	from, to int
	there    bool
}

// Pieces implements Store.
func (h *hot) Pieces(s Spec, ns Namespace) (Pieces, error) {
	if s.Kind != Piece {
		return nil, fmt.Errorf("open state %s of %s: kind %d is none of pieces", s.Name, s.Operator, s.Kind)
	}
	t, err := h.table(s, ns)
	if err != nil {
		return nil, err
	}
	if t.pieces == nil {
		t.pieces = &pieces{t: t}
	}
	return t.pieces, nil
}

func joinPiece(dst, key []byte, number uint32) []byte {
	return binary.BigEndian.AppendUint32(snapshot.KeyPrefix(dst, key), number)
}

// Put implements Pieces.
func (p *pieces) Put(at PieceKey, value []byte) error {
	p.key = joinPiece(p.key[:0], at.Key, at.Number)
	defer p.t.count()
	return p.t.SetValue(p.t.place(hashOf(p.key), p.key), value)
}

// Delete implements Pieces.
func (p *pieces) Delete(at PieceKey) error {
	p.key = joinPiece(p.key[:0], at.Key, at.Number)
	defer p.t.count()
	return p.t.remove(p.key)
}

// Read implements Pieces.
func (p *pieces) Read(all []PieceKey, yield func(i int, value []byte) bool) error {
	p.joined, p.misses, p.memory, p.values = p.joined[:0], p.misses[:0], p.memory[:0], p.values[:0]
	for i := range all {
		begin := len(p.joined)
		p.joined = joinPiece(p.joined, all[i].Key, all[i].Number) // those before stay where they were
		key := p.joined[begin:len(p.joined):len(p.joined)]
		hash := hashOf(key)
		stored, found := p.t.look(hash, key)
		p.values = append(p.values, pieceValue{stored: stored, there: stored != nil})
		if !found && p.t.layered() {
			p.misses = append(p.misses, miss{at: i, hash: hash, group: p.t.store.group(all[i].Hash), key: key})
		}
	}
	if err := p.readMisses(); err != nil {
		return err
	}
	for i := range p.values {
		v := &p.values[i]
		switch {
		case !v.there:
			continue
		case v.stored == nil:
			v.stored = p.memory[v.from:v.to]
		}
		if !yield(i, v.stored) {
			return nil
		}
	}
	return nil
}

// look is the value of a key in memory, without its header, nil for none; false: it may lie deeper.
func (t *tiered) look(hash uint64, key []byte) (value []byte, found bool) {
	for i, tier := range [...]*table{t.table, t.old, t.flushing} {
		if tier == nil {
			continue
		}
		e := tier.find(hash, key, false)
		if e == NoEntry || i > 0 && tier.pages[e>>pageBits].moved.has(e) {
			continue
		}
		if stored := tier.stored(e); stored != nil && !tier.expired(e) {
			value = stored[tier.headerBytes():]
		}
		return value, true
	}
	return nil, false
}

// readMisses reads what is not in memory, in one sorted pass.
func (p *pieces) readMisses() error {
	if len(p.misses) == 0 {
		return nil
	}
	slices.SortFunc(p.misses, func(a, b miss) int {
		if c := cmp.Compare(a.group, b.group); c != 0 {
			return c
		}
		return bytes.Compare(a.key, b.key)
	})
	get := p.t.reader()
	defer get.close()
	for i := range p.misses {
		m := &p.misses[i]
		v := &p.values[m.at]
		take := func(value []byte) {
			v.there, v.from = true, len(p.memory)
			p.memory = append(p.memory, value...)
			v.to = len(p.memory)
		}
		err := get.lookUp(m, func(stored []byte) error {
			if stored[0] == diskPut {
				take(stored[1+p.t.headerBytes():])
			}
			return nil
		}, func(e *snapshot.Entry) error {
			if e.Op == snapshot.Put && !e.Expired(p.t.clock.Now) {
				take(e.Value)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
