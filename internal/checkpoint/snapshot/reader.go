package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// file is what is known of an open file; many readers and iterators share it.
type file struct {
	footer
	r      io.ReaderAt
	size   int64
	loaded []atomic.Pointer[[]byte] // filters, read when first asked
}

// Reader reads a file, or its part of some key groups. Get is for one goroutine at a time; everything else may be called
// by many, meanwhile too. A reader holds the footer, the filters that were asked (10 bits a key), and a few blocks.
type Reader struct {
	f        *file
	from, to graph.KeyGroup // from <= group < to, and Own
	hidden   []bool         // by state: it is another reader's; nil: none is
	owner    []byte         // key of what counts of the operators' own scope; nil: all does
	cache    []cachedBlock  // at block number % len
	get      cursor
}

type cachedBlock struct {
	number int // -1: none
	data   []byte
}

// cachedBlocks is how many blocks a reader keeps: 256 KiB. Lookups come sorted, so most find the block of the one before.
const cachedBlocks = 8

// Open reads the footer of a file of size bytes. Faults of what is read are ErrDamaged or ErrUnsupported; those of r are
// passed on. r may be read by many goroutines at once, as long as any reader of the file is in use.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	if size < headerSize+trailerSize {
		return nil, fmt.Errorf("open a snapshot: %d bytes (expected >= %d): %w", size, headerSize+trailerSize, ErrDamaged)
	}
	f := &file{r: r, size: size}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("open a snapshot: %w", err)
	}
	return f.reader(0, Own), nil
}

func (f *file) open() error {
	var header [headerSize]byte
	if err := f.read(header[:], 0); err != nil {
		return err
	}
	if err := checkHeader(header[:]); err != nil {
		return err
	}
	var trailer [trailerSize]byte
	if err := f.read(trailer[:], f.size-trailerSize); err != nil {
		return err
	}
	length, err := checkTrailer(trailer[:], f.size)
	if err != nil {
		return err
	}
	begin := f.size - trailerSize - length
	b := make([]byte, length)
	if err := f.read(b, begin); err != nil {
		return err
	}
	sum := binary.LittleEndian.Uint32(trailer[8:])
	if sum != checksum(b) {
		return fmt.Errorf("footer: checksum: %w", ErrDamaged)
	}
	decoded, err := decodeFooter(b, begin)
	if err != nil {
		return err
	}
	f.footer = *decoded
	f.sum = sum
	f.loaded = make([]atomic.Pointer[[]byte], len(f.filters))
	return nil
}

// read fills b from an offset. A file that ends before is damaged.
func (f *file) read(b []byte, at int64) error {
	n, err := f.r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read %d bytes at %d: it ends after %d: %w", len(b), at, n, ErrDamaged)
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), at, err)
}

func (f *file) reader(from, to graph.KeyGroup) *Reader {
	return &Reader{f: f, from: from, to: to}
}

// Cut is the part of the reader in the key groups from <= group < to, and the operators' own scope. It shares what the
// reader holds but its blocks, so that another goroutine may use it.
func (r *Reader) Cut(from, to graph.KeyGroup) *Reader {
	from, to = max(from, r.from), min(to, r.to)
	c := r.f.reader(from, max(from, to))
	c.hidden, c.owner = r.hidden, r.owner
	return c
}

// Of is the part of the reader that is of some operators, by uid; nil: all of it.
func (r *Reader) Of(operators []string) *Reader {
	c := r.Cut(r.from, r.to)
	if operators == nil {
		return c
	}
	c.hidden = make([]bool, len(r.f.states))
	for i := range c.hidden {
		c.hidden[i] = !r.Shows(i) || !slices.Contains(operators, r.f.states[i].Operator)
	}
	return c
}

// OfOwner is the reader with only that of the operators' own scope that the subtask of these key groups has stored.
func (r *Reader) OfOwner(from, to graph.KeyGroup) *Reader {
	c := r.Cut(r.from, r.to)
	c.owner = OwnKey(from, to)
	return c
}

// Shows says whether a state of the file is one of the reader's.
func (r *Reader) Shows(state int) bool { return r.hidden == nil || !r.hidden[state] }

// Ahead is the reader for one goroutine that scans: it reads n bytes of the file at a time.
func (r *Reader) Ahead(n int) *Reader {
	f := &file{footer: r.f.footer, r: &ahead{r: r.f.r, size: r.f.size, buf: make([]byte, 0, n)}, size: r.f.size}
	f.loaded = make([]atomic.Pointer[[]byte], len(f.filters))
	c := f.reader(r.from, r.to)
	c.hidden, c.owner = r.hidden, r.owner
	return c
}

// AllAhead is readers for one goroutine that scans them together: it reads a quarter of a MiB of a file at a time, since
// each reading may be a request to a store.
func AllAhead(readers []*Reader) []*Reader {
	all := make([]*Reader, len(readers))
	for i, r := range readers {
		all[i] = r.Ahead(256 << 10)
	}
	return all
}

// ahead keeps the part of a file that it has read last.
type ahead struct {
	r    io.ReaderAt
	size int64
	at   int64
	buf  []byte
}

// ReadAt implements io.ReaderAt.
func (a *ahead) ReadAt(p []byte, at int64) (int, error) {
	if len(p) > cap(a.buf) {
		return a.r.ReadAt(p, at)
	}
	if at < a.at || at+int64(len(p)) > a.at+int64(len(a.buf)) {
		n, err := a.r.ReadAt(a.buf[:min(int64(cap(a.buf)), max(a.size-at, 0))], at)
		a.at, a.buf = at, a.buf[:n]
		if n < len(p) {
			return copy(p, a.buf), err
		}
	}
	return copy(p, a.buf[at-a.at:]), nil
}

// Name is what Writer.SetName was given.
func (r *Reader) Name() string { return r.f.name }

// Footer is the checksum of the file's footer: two files that differ anywhere differ in it.
func (r *Reader) Footer() uint32 { return r.f.sum }

// States are those of the file, in their order, also what the reader does not show. They are not to be changed.
func (r *Reader) States() []State { return r.f.states }

// State is the index of a state, -1 when the reader has nothing of it.
func (r *Reader) State(operator, name string) int {
	i, found := slices.BinarySearchFunc(r.f.states, State{Operator: operator, Name: name}, compareStates)
	if !found || !r.Shows(i) {
		return -1
	}
	return i
}

// Size is the size of the file.
func (r *Reader) Size() int64 { return r.f.size }

// Entries is how many entries the file has, in all key groups.
func (r *Reader) Entries() int64 { return r.f.entries }

// Stats says how much there is of each state in each key group of the reader, in the order of the file.
func (r *Reader) Stats() []Stat {
	return slices.DeleteFunc(r.f.stats(), func(s Stat) bool { return !r.owns(s.Group) || !r.Shows(s.State) })
}

// Namespaces lists, ascending, those in which the file has values of a state, in any key group. It answers false when
// they are too many to be listed.
func (r *Reader) Namespaces(state int) ([]int64, bool) {
	list := r.f.namespaces[state]
	return list, list != nil
}

func (r *Reader) owns(g graph.KeyGroup) bool { return g >= r.from && g < r.to || g == Own }

// DeletesNamespace says whether the file removes what older files have of a namespace.
func (r *Reader) DeletesNamespace(state int, group graph.KeyGroup, ns int64) bool {
	if !r.owns(group) || !r.Shows(state) {
		return false
	}
	_, found := slices.BinarySearchFunc(r.f.deleted, place{state, group, ns}, r.f.order.compare)
	return found
}

// Get finds the entry of a key. When there is none, and the file removes the namespace, it gives that DeleteNamespace: in
// both cases older files have nothing more to say. Key and Value are valid until the next Get.
func (r *Reader) Get(state int, group graph.KeyGroup, ns int64, key []byte) (Entry, bool, error) {
	if !r.owns(group) || !r.Shows(state) {
		return Entry{}, false, nil
	}
	p := place{state, group, ns}
	found, err := r.lookup(p, key)
	if err != nil {
		return Entry{}, false, fmt.Errorf("read snapshot %s: %w", r.f.name, err)
	}
	if found {
		return r.get.e, true, nil
	}
	if len(r.f.deleted) > 0 && r.DeletesNamespace(state, group, ns) {
		return Entry{State: state, Group: group, Namespace: ns, Op: DeleteNamespace}, true, nil
	}
	return Entry{}, false, nil
}

func (r *Reader) lookup(p place, key []byte) (bool, error) {
	f := r.f
	i := f.blockOf(p, key, true)
	if i < 0 {
		return false, nil
	}
	bloom, err := f.filter(i / blocksPerFilter)
	if err != nil || !bloomHas(bloom, keyHash(p, key)) {
		return false, err
	}
	data, err := r.cached(i)
	if err != nil {
		return false, err
	}
	if err := r.get.open(f.order, i, data); err != nil {
		return false, err
	}
	found, err := r.get.find(p, key)
	if found && r.get.e.Op == DeleteNamespace && f.order.compareKeys(p, key, r.get.e.place(), nil) == 0 {
		found, err = r.get.next() // the entry with the empty key stands behind it
	}
	if err != nil || !found {
		return false, err
	}
	e := &r.get.e
	return e.Op != DeleteNamespace && e.place() == p && bytes.Equal(e.Key, key), nil
}

// cached is a block, which is kept for a while.
func (r *Reader) cached(i int) ([]byte, error) {
	if r.cache == nil {
		r.cache = make([]cachedBlock, min(cachedBlocks, len(r.f.blocks)))
		for i := range r.cache {
			r.cache[i].number = -1
		}
	}
	c := &r.cache[i%len(r.cache)]
	if c.number != i {
		c.number = -1
		var err error
		if c.data, err = r.f.readBlock(i, c.data); err != nil {
			return nil, err
		}
		c.number = i
	}
	return c.data, nil
}

// blockOf is the last block that begins before a key, with at also one that may begin at it; -1 when there is none.
func (f *file) blockOf(p place, key []byte, at bool) int {
	return sort.Search(len(f.blocks), func(i int) bool {
		c := f.order.compareKeys(f.blocks[i].sep, f.blocks[i].sepKey, p, key)
		return c > 0 || c == 0 && !at
	}) - 1
}

// readBlock reads a block, into buf if that is large enough and not much too large.
func (f *file) readBlock(i int, buf []byte) ([]byte, error) {
	b := &f.blocks[i]
	if cap(buf) < b.length || cap(buf) > 8*blockTarget && cap(buf) > 2*b.length {
		buf = make([]byte, b.length)
	}
	buf = buf[:b.length]
	if err := f.read(buf, b.offset); err != nil {
		return nil, err
	}
	if checksum(buf) != b.sum && !failpoint.Planted(failpoint.TrustDamaged) {
		return nil, fmt.Errorf("block %d at byte %d: checksum: %w", i, b.offset, ErrDamaged)
	}
	return buf, nil
}

func (f *file) filter(i int) ([]byte, error) {
	if b := f.loaded[i].Load(); b != nil {
		return *b, nil
	}
	k := &f.filters[i]
	b := make([]byte, k.length)
	if err := f.read(b, k.offset); err != nil {
		return nil, err
	}
	if checksum(b) != k.sum || len(b)%bloomLine != 0 {
		return nil, fmt.Errorf("filter %d at byte %d: checksum: %w", i, k.offset, ErrDamaged)
	}
	f.loaded[i].Store(&b)
	return b, nil
}

// Check reads all of the file and holds every checksum, the order of the entries and their number.
func (r *Reader) Check() error {
	f := r.f
	if err := f.check(); err != nil {
		return fmt.Errorf("check snapshot %s: %w", f.name, err)
	}
	return nil
}

func (f *file) check() error {
	for i := range f.filters {
		if _, err := f.filter(i); err != nil {
			return err
		}
	}
	var (
		c       cursor
		buf     []byte
		err     error
		last    place
		lastKey []byte
		lastOp  Op
		entries int64
	)
	for i := range f.blocks {
		if buf, err = f.readBlock(i, buf); err != nil {
			return err
		}
		if err := c.open(f.order, i, buf); err != nil {
			return err
		}
		if err := c.restart(0); err != nil {
			return err
		}
		for {
			ok, err := c.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			o := f.order.compareKeys(last, lastKey, c.e.place(), c.e.Key)
			if entries > 0 && (o > 0 || o == 0 && (lastOp != DeleteNamespace || c.e.Op == DeleteNamespace)) {
				return c.damaged("entries are not in their order")
			}
			last, lastKey, lastOp = c.e.place(), append(lastKey[:0], c.e.Key...), c.e.Op
			entries++
		}
	}
	if entries != f.entries {
		return fmt.Errorf("%d entries (expected %d): %w", entries, f.entries, ErrDamaged)
	}
	return nil
}

// Sum is the checksum that the manifest gives of a file: it reads all of r, whose size it holds against size.
func Sum(r io.Reader, size int64) (string, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, r, make([]byte, min(max(size, 0)+1, 1<<20)))
	if err != nil {
		return "", fmt.Errorf("read a snapshot: %w", err)
	}
	if n != size {
		return "", fmt.Errorf("%d bytes (expected %d): %w", n, size, ErrDamaged)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// All is the State of a Range that has every state.
const All = -1

// Range is a part of a file.
type Range struct {
	State       int            // index, or All
	From, To    graph.KeyGroup // From <= group < To
	Own         bool           // and the operators' own scope
	First, Last int64          // First <= namespace <= Last
	Key         []byte         // of namespace First, only keys at or behind this one; nil: all, and its DeleteNamespace
}

// Everything is all of a file.
var Everything = Range{State: All, To: Own, Own: true, First: math.MinInt64, Last: math.MaxInt64}

// Iterator steps through the entries of a Range in the order of the file:
//
//	for it := r.Scan(...); it.Next(); { ... it.Entry() ... }
//	it.Err()
//
// One goroutine uses it. It has a block of its own and nothing to close.
type Iterator struct {
	f       *file
	hidden  []bool // by state, as the reader's
	rg      Range
	from    graph.KeyGroup
	to      graph.KeyGroup
	section int  // index; the entries given last, or to be given next, are of it
	there   bool // Entry is one
	placed  bool
	block   int // whose entries c walks, -1: none
	buf     []byte
	blocks  *Reader // whose cache it walks blocks of; nil: it has one of its own, in buf
	c       cursor
	err     error
}

// Scan begins at the beginning of the range.
func (r *Reader) Scan(rg Range) *Iterator {
	it := &Iterator{f: r.f, hidden: r.hidden}
	it.begin(r, rg)
	return it
}

func (it *Iterator) begin(r *Reader, rg Range) {
	it.rg, it.from, it.to = rg, max(rg.From, r.from), min(rg.To, r.to)
	it.there, it.placed, it.block, it.err = false, false, -1, nil
	first := 0
	if rg.State != All {
		first = sort.Search(len(it.f.sections), func(i int) bool { return it.compareSection(i, it.from) >= 0 })
	}
	it.section = it.wanted(first)
}

// compareSection orders a section against that of the range's state in a key group.
func (it *Iterator) compareSection(i int, group graph.KeyGroup) int {
	s := &it.f.sections[i]
	return it.f.order.compare(place{s.state, s.group, 0}, place{it.rg.State, group, 0})
}

// wanted is the first section of the range at or behind one.
func (it *Iterator) wanted(i int) int {
	for ; i < len(it.f.sections); i++ {
		s := &it.f.sections[i]
		group := s.group >= it.from && s.group < it.to && s.group != Own || s.group == Own && it.rg.Own
		if group && (it.rg.State == All || s.state == it.rg.State) && (it.hidden == nil || !it.hidden[s.state]) {
			return i
		}
		if it.rg.State != All && !it.rg.Own && it.compareSection(i, it.to) >= 0 {
			return len(it.f.sections)
		}
	}
	return i
}

// Next steps to the next entry. It answers false at the end, and when there is an error.
func (it *Iterator) Next() bool {
	if it.err != nil {
		return false
	}
	ok, err := it.next()
	it.there = ok
	if err != nil {
		it.err = fmt.Errorf("read snapshot %s: %w", it.f.name, err)
	}
	return ok
}

// Placed is what Next has answered last.
func (it *Iterator) Placed() bool { return it.there }

// Entry is where Next stepped to, valid until the next call of Next.
func (it *Iterator) Entry() *Entry { return &it.c.e }

// Err is what ended the iteration before its time.
func (it *Iterator) Err() error { return it.err }

func (it *Iterator) next() (bool, error) {
	for it.section < len(it.f.sections) {
		var ok bool
		var err error
		if it.placed {
			ok, err = it.step()
		} else {
			ok, err = it.find()
		}
		if err != nil || !ok {
			it.section = len(it.f.sections)
			return false, err
		}
		it.placed = true
		s, e := &it.f.sections[it.section], &it.c.e
		if e.State == s.state && e.Group == s.group {
			if e.Namespace <= it.rg.Last {
				return true, nil
			}
			it.nextSection()
			continue
		}
		it.nextSection()
		// Most often the next section begins here, and all of it is wanted.
		if it.section < len(it.f.sections) && it.rg.First == math.MinInt64 && it.rg.Last == math.MaxInt64 && it.rg.Key == nil {
			if s := &it.f.sections[it.section]; e.State == s.state && e.Group == s.group {
				it.placed = true
				return true, nil
			}
		}
	}
	return false, nil
}

func (it *Iterator) nextSection() {
	it.section, it.placed = it.wanted(it.section+1), false
}

// find goes to the first entry of the section that the range has, or behind it.
func (it *Iterator) find() (bool, error) {
	s := &it.f.sections[it.section]
	p := place{s.state, s.group, it.rg.First}
	i := max(it.f.blockOf(p, it.rg.Key, false), 0)
	if err := it.load(i); err != nil {
		return false, err
	}
	ok, err := it.c.find(p, it.rg.Key)
	if !ok && err == nil {
		ok, err = it.step()
	}
	if ok && it.rg.Key != nil && it.c.e.Op == DeleteNamespace && it.c.e.place() == p {
		ok, err = it.step()
	}
	return ok, err
}

func (it *Iterator) load(i int) error {
	if it.block != i {
		it.block = -1
		var err error
		if it.blocks != nil {
			it.buf, err = it.blocks.cached(i)
		} else {
			it.buf, err = it.f.readBlock(i, it.buf)
		}
		if err != nil {
			return err
		}
		if err := it.c.open(it.f.order, i, it.buf); err != nil {
			return err
		}
		it.block = i
	}
	return it.c.restart(0)
}

// step goes to the next entry, of the next block if need be.
func (it *Iterator) step() (bool, error) {
	for {
		ok, err := it.c.next()
		if err != nil || ok {
			return ok, err
		}
		if it.block+1 >= len(it.f.blocks) {
			return false, nil
		}
		if err := it.load(it.block + 1); err != nil {
			return false, err
		}
	}
}
