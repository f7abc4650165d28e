package wasmill

import "encoding/binary"

// migrate brings elements of a declared state from an older schema version to the newest: p is a batch of values, with
// keys for a map, and the reply is one of as many records.
func (g *instance) migrate(state, from uint32, p []byte) (status uint32) {
	record := uint32(none)
	defer g.recoveredTo(&status, func() uint32 { return record })
	id, position := int(state>>16), int(state&0xffff)
	if id >= len(g.functions) || position >= len(g.functions[id].states()) {
		return statusUnknownFunction
	}
	s := g.functions[id].states()[position]
	var in batch
	if s.migrate == nil {
		panic("a state of an older version, and no function that migrates it")
	}
	if !in.parse(p) {
		return statusBadInput
	}
	var out migrated
	for i := range in.n {
		record = uint32(i)
		var key []byte
		if in.keyOffs != nil {
			key = in.keys[in.keyOffs[i]:in.keyOffs[i+1]]
		}
		out.add(s.migrate(int(from), key, in.value(i)))
	}
	hostReply(out.encode(in.keyOffs != nil))
	return statusOK
}

// migrated collects what migration made of elements.
type migrated struct {
	keys, values       []byte
	keyEnds, valueEnds []uint32
	nulls              []byte // bit i%8 of byte i/8: element i is dropped
}

func (m *migrated) add(key, value []byte, keep bool) {
	i := len(m.valueEnds)
	if i%8 == 0 {
		m.nulls = append(m.nulls, 0)
	}
	m.keys = append(m.keys, key...)
	if keep {
		m.values = append(m.values, value...)
	} else {
		m.nulls[i/8] |= 1 << (i % 8)
	}
	m.keyEnds, m.valueEnds = append(m.keyEnds, uint32(len(m.keys))), append(m.valueEnds, uint32(len(m.values)))
}

func (m *migrated) encode(keyed bool) []byte {
	n := len(m.valueEnds)
	w := batchWriter{dst: aligned(batchHeaderBytes + 8*(n+2) + len(m.nulls) + len(m.keys) + len(m.values) + 6*8)}
	columns := uint32(columnValues | columnValueNulls)
	if keyed {
		columns |= columnKeys
	}
	w.header(columns, n, len(m.keys), len(m.values), 0)
	if keyed {
		w.offsets(m.keyEnds)
	}
	w.offsets(m.valueEnds)
	w.section(m.nulls)
	if keyed {
		w.section(m.keys)
	}
	w.section(m.values)
	binary.LittleEndian.PutUint32(w.dst[12:], uint32(w.at))
	return w.dst[:w.at]
}
