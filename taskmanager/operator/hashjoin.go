package operator

import (
	"bytes"
	"encoding/binary"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// hashJoin joins all that two inputs have, where one of them has come before the other, in batch mode: its records are kept by key, and
// those of the other, the probe, are looked up as they come and are not kept.
type hashJoin struct {
	build, probe int
	numbers      numbers
	keys         state.Table // of the build: whether one of the probe has met it
	match        matching
	probed       probed
	entries      []state.Entry
	found        []state.Entry // of the probe's groups
	hashes       []uint64
	names        [][]byte // scratch: keys
	cursor       uint64   // of the keys that nobody has met
	alone        []state.Entry
}

// What stands with a key of the build.
var (
	unmet = []byte{0}
	met   = []byte{1}
)

// anywhen is where all records lie: they have no time.
var anywhen = span{abi.NoTimestamp, abi.NoTimestamp + 1}

func newHashJoin(c *JoinConfig, kept [2]timeline) (j *hashJoin, err error) {
	j = &hashJoin{build: c.Build, probe: 1 - c.Build}
	kept[j.probe] = timeline{table: &j.probed}
	if j.match, err = newMatching(c, kept); err != nil {
		return nil, err
	}
	j.keys, err = c.Store.Table(state.Spec{Operator: c.UID, Name: "keys", Kind: state.Bytes, Key: c.Key, Value: abi.CodecBytes}, state.Global)
	return j, err
}

// Process implements Join.
func (j *hashJoin) Process(b *abi.Batch, hashes []uint64, _ int64, input int) error {
	if input == j.build {
		return j.keep(b, hashes)
	}
	j.probed.take(b, hashes)
	defer j.probed.drop()
	return j.look()
}

// keep takes records into the table.
func (j *hashJoin) keep(b *abi.Batch, hashes []uint64) error {
	j.entries = entriesFor(j.entries, b.N)
	if err := j.keys.Resolve(b, nil, hashes, j.entries); err != nil {
		return err
	}
	for i, e := range j.entries {
		if j.keys.Value(e) == nil {
			if err := j.keys.SetValue(e, unmet); err != nil {
				return err
			}
		}
		if err := j.match.kept[j.build].add(hashes[i], b.Key(i), anywhen.start, j.numbers.next(), b.Value(i)); err != nil {
			return err
		}
	}
	return nil
}

// look puts out what the records of the probe meet.
func (j *hashJoin) look() error {
	groups := j.probed.all
	j.names, j.hashes = j.names[:0], j.hashes[:0]
	for i := range groups {
		j.names, j.hashes = append(j.names, groups[i].key), append(j.hashes, groups[i].hash)
	}
	j.found = entriesFor(j.found, len(groups))
	if err := j.keys.ResolveKeys(j.names, j.hashes, true, j.found); err != nil {
		return err
	}
	n := 0
	for i, e := range j.found {
		if e == state.NoEntry && !j.match.outer[j.probe] {
			continue
		}
		if e != state.NoEntry && j.match.outer[j.build] && bytes.Equal(j.keys.Value(e), unmet) {
			if err := j.keys.SetValue(e, met); err != nil {
				return err
			}
		}
		j.names[n], j.hashes[n] = groups[i].key, groups[i].hash
		n++
	}
	return j.match.results(n, func(i int) bucket { return bucket{anywhen, j.names[i], j.hashes[i]} })
}

// Fire implements Join: at the end it puts out what of the build has met nothing, if that takes part.
func (j *hashJoin) Fire(watermark int64) (more bool, err error) {
	if watermark < abi.MaxTime || !j.match.outer[j.build] {
		return false, nil
	}
	j.entries = entriesFor(j.entries, fireRecords)
	n, next, err := j.keys.Scan(j.cursor, j.entries)
	if err != nil || n == 0 {
		return false, err
	}
	j.cursor, j.alone = next, j.alone[:0]
	for _, e := range j.entries[:n] {
		if bytes.Equal(j.keys.Value(e), unmet) {
			j.alone = append(j.alone, e)
		}
	}
	return true, j.match.results(len(j.alone), func(i int) bucket {
		return bucket{anywhen, j.keys.Key(j.alone[i]), j.keys.Hash(j.alone[i])}
	})
}

// Save implements Join: batch mode takes no snapshots.
func (j *hashJoin) Save() error { return nil }

// Late implements Join.
func (j *hashJoin) Late() int64 { return 0 }

// Due implements Join.
func (j *hashJoin) Due() (int64, bool) { return 0, false }

func entriesFor(entries []state.Entry, n int) []state.Entry {
	if cap(entries) < n {
		entries = make([]state.Entry, 2*n)
	}
	return entries[:n]
}

// probed is the records of a batch by key, as a timeline reads them.
type probed struct {
	state.Sorted // nothing but Scan is called
	batch        *abi.Batch
	all          []keyed
	order        []record
	starts       []uint32 // behind the last record of each key
	index        map[string]uint32
	place        [placeBytes]byte
}

// take makes the records of a batch those that are read.
func (p *probed) take(b *abi.Batch, hashes []uint64) {
	if p.index == nil {
		p.index = map[string]uint32{}
	}
	p.batch = b
	for i := range b.N {
		key := b.Key(i)
		g, seen := p.index[string(key)]
		if !seen {
			g = uint32(len(p.all))
			p.index[string(key)] = g
			p.all = append(p.all, keyed{key: key, hash: hashes[i]})
		}
		p.all[g].n++
		p.order = append(p.order, record{row: uint32(i), group: g})
	}
	at := uint32(0)
	for _, g := range p.all {
		p.starts = append(p.starts, at)
		at += g.n
	}
	p.order = together(p.order, p.starts) // which leaves in starts where each key ends
}

func (p *probed) drop() {
	clear(p.index)
	p.all, p.order, p.starts, p.batch = p.all[:0], p.order[:0], p.starts[:0], nil
}

// Scan implements state.Sorted: a record's sub key is its place, as that of a timeline.
func (p *probed) Scan(_ uint64, key, after []byte, yield func(sub, value []byte, version uint16) bool) error {
	g, ok := p.index[string(key)]
	if !ok {
		return nil
	}
	end := p.starts[g]
	for at := end - p.all[g].n; at < end; at++ {
		place := binary.BigEndian.AppendUint64(placeOf(p.place[:0], anywhen.start), uint64(at)+1)
		if bytes.Compare(place, after) <= 0 {
			continue
		}
		if !yield(place, p.batch.Value(int(p.order[at].row)), 0) {
			return nil
		}
	}
	return nil
}
