package operator

import (
	"fmt"
	"math"

	"github.com/wasmill/wasmill/abi"
)

// matching makes results of what two timelines have of a key in a window: of each two records that meet there, or one of both
// lists.
type matching struct {
	kept   [2]timeline
	outer  [2]bool // records of the input come out without one of the other, too
	whole  bool    // a co-group: a function has both lists at once
	all    bool    // windows have all that there is, and no time
	pairs  *pairs  // nil: a function makes the results
	out    *abi.Builder
	calls  Joiner
	told   *Told          // says what change results are, nil: nobody asks, or none changes
	kind   abi.ChangeKind // of results that are made
	made   bool           // some of the bucket at hand
	read   [2]stretch
	groups abi.GroupsWriter
	shares []share // of the call at hand, a group each
	rest   Rest
}

// bucket is a key in a window.
type bucket struct {
	span
	key  []byte
	hash uint64
}

// share is a part of a bucket that a call carries: so many records of each input behind a place.
type share struct {
	bucket
	after [2][]byte // nil: from the beginning of the window
	n     [2]int
}

// listBytes bounds what a group of a call has of one input.
const listBytes = callBytes / 4

func newMatching(c *JoinConfig, kept [2]timeline) (m matching, err error) {
	m = matching{kept: kept, all: c.Window.Kind == abi.WindowAll, out: c.Results, calls: c.Joiner}
	if c.Tells {
		m.told = NewTold(c.UID, c.Window, c.Store)
	}
	m.outer = [2]bool{c.Outer == abi.OuterLeft || c.Outer == abi.OuterFull, c.Outer == abi.OuterRight || c.Outer == abi.OuterFull}
	if c.Function == nil {
		m.pairs, err = newPairs(c.Output)
		return m, err
	}
	m.whole = c.Function.Kind == abi.FunctionCoGroup
	return m, nil
}

// results puts out what each of n buckets amounts to. Their keys stay valid meanwhile.
func (m *matching) results(n int, of func(i int) bucket) error {
	m.begin()
	for i := range n {
		b := of(i)
		if err := m.bucket(&b); err != nil {
			return err
		}
	}
	return m.send()
}

// bucket makes results of one, told as the change that they are.
func (m *matching) bucket(b *bucket) error {
	if m.told == nil {
		return m.result(b)
	}
	kind, err := m.told.kind(b.span, b.hash, b.key)
	if err == nil && kind != m.kind {
		err = m.send()
	}
	if err != nil {
		return err
	}
	m.kind, m.made = kind, false
	if err := m.result(b); err != nil || !m.made {
		return err
	}
	m.told.has(b.span)
	return nil
}

func (m *matching) result(b *bucket) error {
	if m.whole {
		m.made = true
		return m.add(share{bucket: *b, n: [2]int{math.MaxInt, math.MaxInt}})
	}
	return m.meet(b)
}

func (m *matching) begin() {
	m.groups.Reset()
	m.shares = m.shares[:0]
}

// load reads the records of an input that a share has, or may have.
func (m *matching) load(s *share, input int) (more []byte, err error) {
	t := &m.kept[input]
	after := s.after[input]
	if after == nil {
		after = t.from(s.start)
	}
	return m.read[input].read(t, s.hash, s.key, after, s.end-1, s.n[input], listBytes)
}

// meet takes the records of a bucket that meet, in pieces of both lists.
func (m *matching) meet(b *bucket) error {
	s := share{bucket: *b}
	for left := true; left; {
		more, err := m.next(&s, 0)
		if err != nil || s.none(0) && !m.outer[1] {
			return err
		}
		s.after[1] = nil
		if err := m.meetRight(&s); err != nil || s.none(1) && !m.outer[0] {
			return err
		}
		s.after[0], left = more, more != nil
	}
	return nil
}

// meetRight is meet for a piece of the left list.
func (m *matching) meetRight(s *share) error {
	for {
		more, err := m.next(s, 1)
		if err != nil {
			return err
		}
		if m.met(s) {
			if err := m.take(s); err != nil {
				return err
			}
		}
		if more == nil {
			return nil
		}
		s.after[1] = more
	}
}

// next reads the next piece of a list.
func (m *matching) next(s *share, input int) (more []byte, err error) {
	s.n[input] = math.MaxInt
	more, err = m.load(s, input)
	s.n[input] = m.read[input].len()
	return more, err
}

// none says that a bucket has nothing of an input.
func (s *share) none(input int) bool { return s.after[input] == nil && s.n[input] == 0 }

// met says whether something comes out of a share.
func (m *matching) met(s *share) bool {
	return s.n[0] > 0 && s.n[1] > 0 || m.outer[0] && s.n[0] > 0 && s.none(1) || m.outer[1] && s.n[1] > 0 && s.none(0)
}

// take makes results of a share whose records were read, or a group of the call at hand.
func (m *matching) take(s *share) error {
	m.made = true
	if m.pairs != nil {
		return m.pair(s)
	}
	m.write(s, s.n)
	return m.noted(s)
}

// noted notes that a share is in the call at hand, which is made when it is large enough.
func (m *matching) noted(s *share) error {
	m.shares = append(m.shares, *s)
	if m.groups.Size() < callBytes {
		return nil
	}
	return m.send()
}

// pair puts out each two records of a share, or those that are alone.
func (m *matching) pair(s *share) error {
	for i := range max(s.n[0], 1) {
		if err := m.set(s, 0, i); err != nil {
			return err
		}
		for k := range max(s.n[1], 1) {
			if err := m.set(s, 1, k); err != nil {
				return err
			}
			m.pairs.append(m.out, s.key, m.timeOf(s.span), m.kind)
			if m.out.Len() >= fireRecords || m.out.Size() >= fireBytes {
				if err := m.calls.Pass(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// timeOf is the event time of what comes of a window.
func (m *matching) timeOf(s span) int64 {
	if m.all {
		return abi.NoTimestamp
	}
	return s.end - 1
}

func (m *matching) set(s *share, input, i int) error {
	if s.n[input] == 0 {
		m.pairs.none(input)
		return nil
	}
	return m.pairs.set(input, m.read[input].value(i))
}

// write writes the records that were read as a group, with how many there are in all.
func (m *matching) write(s *share, total [2]int) {
	g := abi.Group{Key: s.key}
	if !m.all {
		g.Flags, g.WindowStart, g.WindowEnd = abi.GroupHasWindow, s.start, s.end
	}
	m.groups.Begin(g)
	for input := range m.read {
		if r := &m.read[input]; total[input] > 0 {
			m.groups.List(abi.ListInput0+abi.ListTag(input), 0, total[input], r.times, r.all())
		}
	}
	m.groups.EndGroup()
}

// add writes a bucket of a co-group: the beginning of both lists, and how long they are.
func (m *matching) add(s share) error {
	if err := m.lists(&s); err != nil {
		return err
	}
	return m.noted(&s)
}

func (m *matching) lists(s *share) error {
	var total [2]int
	for input := range m.read {
		more, err := m.load(s, input)
		if err != nil {
			return err
		}
		total[input] = m.read[input].len()
		if more == nil {
			continue
		}
		err = m.kept[input].scan(s.hash, s.key, more, s.end-1, func(_, _ []byte) bool {
			total[input]++
			return true
		})
		if err != nil {
			return err
		}
	}
	m.write(s, total)
	return nil
}

// again makes the call at hand once more, of some of its groups.
func (m *matching) again(lo, hi int) error {
	m.groups.Reset()
	for i := lo; i < hi; i++ {
		s := &m.shares[i]
		if m.whole {
			if err := m.lists(s); err != nil {
				return err
			}
			continue
		}
		for input := range m.read {
			if _, err := m.load(s, input); err != nil {
				return err
			}
		}
		m.write(s, s.n)
	}
	return m.call(lo, hi)
}

func (m *matching) call(lo, hi int) error {
	if !m.whole {
		return m.calls.Join(&m.groups, m.kind)
	}
	m.rest.begin(m, m.shares[lo:hi])
	err := m.calls.CoGroup(&m.groups, &m.rest, m.kind)
	if m.rest.broken != nil {
		return m.rest.broken
	}
	return err
}

// send makes the call, if a function has something to do.
func (m *matching) send() error {
	if len(m.shares) == 0 {
		return nil
	}
	err := m.call(0, len(m.shares))
	if err != nil {
		err = m.calls.Retry(err, len(m.shares), m.again, func(unit int) Unit {
			s := &m.shares[unit]
			return Unit{Row: -1, Name: fmt.Sprintf("what meets from %d to %d of key", s.start, s.end), Data: s.key, Key: s.key, Time: s.end - 1}
		})
	}
	m.begin()
	return err
}
