// Package keysort puts the records of batches in the order of their keys, in bounded memory: what does not fit is written to
// files as sorted runs, and merged when all has come. It knows batches and a disk; it knows nothing of operators, channels or
// what is done with a key.
package keysort

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"

	"github.com/wasmill/wasmill/abi"
)

// Config is what a Sorter is made of.
type Config struct {
	Columns abi.Columns             // that are kept; with ColumnKeys and ColumnHashes
	Memory  int                     // bytes that records may take before a run is written
	Dir     string                  // of the runs: made when it is needed, removed by Close
	Check   func(bytes int64) error // answers an error when so many bytes more might not fit
}

// Sorter takes batches, and gives their records back by key: records of one key by time, those of one time by lane, and those of
// one lane in the order in which they came. Keys are in the order of their hashes. One goroutine uses it.
//
// Records are dealt into buckets by the first bits of their hashes as they come, and each bucket is sorted and read by itself: it is small
// enough for a processor's cache, where all records together are not, and each would be fetched from memory several times.
type Sorter struct {
	config  Config
	buckets []bucket
	bits    int        // of a hash that say which bucket
	dealt   [][]uint32 // scratch: rows of a batch by bucket
	touched []uint32   // of dealt
	bytes   int        // of records in buckets
	most    int        // records of one bucket
	at      *bucket    // that was sorted last
	refs    []ref      // its records
	spare   []ref      // for sorting
	runs    []run      // the oldest records first, and so the highest levels
	named   int
	made    bool  // Dir
	written int64 // bytes of runs, also of those that are gone
}

// run is a file of sorted records.
type run struct {
	path  string
	level int // how often its records have been written again
}

// ref is a record of the bucket that is sorted.
type ref struct {
	hash  uint64 // without the bits that the bucket has in common
	time  int64
	page  uint32
	row   uint32
	again bool // once sorted: the record before it has its key
}

// refBytes is what a ref takes, and its place in spare.
const refBytes = 2 * 32

// Bounds of a merge.
const (
	maxRuns    = 64 // that are merged at once
	blockBytes = 64 << 10
	blockRows  = 4096
)

// Buckets have bucketBytes, more or less, when the memory is full; there are no more than 1 << maxBits of them, since each is written to in turn.
const (
	bucketBytes = 256 << 10
	maxBits     = 8
)

// New returns an empty sorter.
func New(c Config) *Sorter {
	s := &Sorter{config: c, bits: min(max(bits.Len(uint(c.Memory/bucketBytes))-1, 0), maxBits)}
	s.buckets, s.dealt = make([]bucket, 1<<s.bits), make([][]uint32, 1<<s.bits)
	for i := range s.buckets {
		s.buckets[i].open = abi.NewBuilder(c.Columns)
	}
	return s
}

// Add takes the records of a batch, with a hash of each key, that came by a lane. They are copied.
func (s *Sorter) Add(b *abi.Batch, hashes []uint64, lane uint32) error {
	for i, h := range hashes[:b.N] {
		k := h >> (64 - s.bits)
		if len(s.dealt[k]) == 0 {
			s.touched = append(s.touched, uint32(k))
		}
		s.dealt[k] = append(s.dealt[k], uint32(i))
	}
	for _, k := range s.touched {
		bytes, err := s.buckets[k].add(b, s.dealt[k], hashes, lane)
		if err != nil {
			return err
		}
		s.bytes += bytes
		s.most = max(s.most, s.buckets[k].n)
		s.dealt[k] = s.dealt[k][:0]
	}
	s.touched = s.touched[:0]
	if s.bytes+s.most*refBytes < s.config.Memory {
		return nil
	}
	return s.spill()
}

func timeOf(b *abi.Batch, i int) int64 {
	if b.Timestamps == nil {
		return abi.NoTimestamp
	}
	return b.Timestamps[i]
}

// spill writes what is held as a run.
func (s *Sorter) spill() error {
	if s.most == 0 {
		return nil
	}
	path, err := s.write(s.inMemory())
	if err != nil {
		return err
	}
	for i := range s.buckets {
		s.buckets[i].clear()
	}
	s.bytes, s.most = 0, 0
	s.runs = append(s.runs, run{path: path})
	for from := s.level(); len(s.runs)-from >= maxRuns; from = s.level() {
		if err := s.fold(from); err != nil {
			return err
		}
	}
	return nil
}

// level is where the runs of the lowest level begin. Only those are merged, when there are enough of them: to merge all that there
// is each time would write the oldest records again with every maxRuns runs. So a record is written once a level, and there are as
// many as the logarithm of all runs to the base of maxRuns.
func (s *Sorter) level() int {
	from := len(s.runs) - 1
	for from > 0 && s.runs[from-1].level == s.runs[from].level {
		from--
	}
	return from
}

// few folds runs of the lowest levels until no more are left than are merged at once.
func (s *Sorter) few() error {
	for n := len(s.runs); n > maxRuns; n = len(s.runs) {
		if err := s.fold(n - min(maxRuns, n-maxRuns+1)); err != nil {
			return err
		}
	}
	return nil
}

// fold merges the runs from one on into one of the next level.
func (s *Sorter) fold(from int) error {
	old := s.runs[from:]
	m, err := openMerge(old)
	if err != nil {
		return err
	}
	path, err := s.write(m)
	if err = errors.Join(err, m.close()); err != nil {
		return err
	}
	for _, r := range old {
		err = errors.Join(err, os.Remove(r.path))
	}
	s.runs = append(s.runs[:from], run{path, old[0].level + 1})
	return err
}

// write makes a run of sorted records.
func (s *Sorter) write(from source) (path string, err error) {
	if !s.made {
		if err := os.MkdirAll(s.config.Dir, 0o755); err != nil {
			return "", fmt.Errorf("sort by key: %w", err)
		}
		s.made = true
	}
	path = filepath.Join(s.config.Dir, fmt.Sprintf("run-%d", s.named))
	s.named++
	w, err := createRun(path, s.config.Columns, s.config.Check)
	if err != nil {
		return "", err
	}
	for {
		r, ok, err := from.next()
		if err == nil && ok {
			err = w.add(r)
		}
		if err != nil {
			return "", errors.Join(err, w.file.Close())
		}
		if !ok {
			err = w.end()
			s.written += w.written
			return path, err
		}
	}
}

// Close removes what the sorter has written.
func (s *Sorter) Close() error {
	s.release()
	if !s.made {
		return nil
	}
	return os.RemoveAll(s.config.Dir)
}

// release frees the memory.
func (s *Sorter) release() { s.buckets, s.dealt, s.at, s.refs, s.spare = nil, nil, nil, nil, nil }

// Record is a record in its place.
type Record struct {
	Batch *abi.Batch // that it is in, valid until the next call
	Row   int
	Lane  uint32
	Again bool // the record before it has its key
}

func (r Record) key() []byte { return r.Batch.Key(r.Row) }

// source gives records in their order.
type source interface {
	next() (r Record, ok bool, err error)
}

// memory gives what a sorter holds, and sorts a bucket when it comes to it.
type memory struct {
	sorter *Sorter
	bucket int // that is sorted next
	row    int // of the refs of the one before it
}

func (s *Sorter) inMemory() *memory {
	s.refs = s.refs[:0]
	return &memory{sorter: s}
}

func (m *memory) next() (Record, bool, error) {
	s := m.sorter
	for m.row >= len(s.refs) {
		if m.bucket == len(s.buckets) {
			return Record{}, false, nil
		}
		if err := s.sort(&s.buckets[m.bucket]); err != nil {
			return Record{}, false, err
		}
		m.row, m.bucket = 0, m.bucket+1
	}
	r := &s.refs[m.row]
	m.row++
	p := &s.at.pages[r.page]
	return Record{&p.Batch, int(r.row), p.lanes[r.row], r.again}, true, nil
}

// Sorted gives the records of a sorter in order.
type Sorted struct {
	from  source
	close func() error
}

// Sorted ends the taking: Add is not called any more.
func (s *Sorter) Sorted() (*Sorted, error) {
	if len(s.runs) == 0 {
		return &Sorted{from: s.inMemory(), close: func() error { return nil }}, nil
	}
	if err := s.spill(); err != nil {
		return nil, err
	}
	s.release()
	if err := s.few(); err != nil {
		return nil, err
	}
	m, err := openMerge(s.runs)
	if err != nil {
		return nil, err
	}
	return &Sorted{from: m, close: m.close}, nil
}

// Next is the next record, valid until the next call; false: there is none.
func (s *Sorted) Next() (Record, bool, error) { return s.from.next() }

// Close ends the reading.
func (s *Sorted) Close() error { return s.close() }
