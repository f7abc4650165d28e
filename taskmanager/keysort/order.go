package keysort

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"
)

// How a bucket is sorted: by the first bits of the hash, a digit at a time, the last one first, each time keeping the order that
// there is; no records are compared for that. With enough bits for hashes that are spread, hardly two keys share them. What does is
// one key, in the order in which it came, as a rule; else it is sorted by comparing.
const (
	digitBits = 11
	fewRefs   = 512 // are sorted by comparing alone
)

// sort orders the records of a bucket.
func (s *Sorter) sort(k *bucket) error {
	if _, err := k.close(); err != nil {
		return err
	}
	s.at, s.refs = k, s.refs[:0]
	for i := range k.pages {
		p := &k.pages[i]
		for row, h := range p.Hashes {
			s.refs = append(s.refs, ref{hash: h << s.bits, time: timeOf(&p.Batch, row), page: uint32(i), row: uint32(row)})
		}
	}
	s.order()
	return nil
}

// order sorts refs.
func (s *Sorter) order() {
	n := len(s.refs)
	if n < fewRefs {
		s.compareAll(s.refs)
		return
	}
	digits := (bits.Len(uint(n)) + 4 + digitBits - 1) / digitBits
	s.byDigits(digits)
	rest := 64 - digits*digitBits
	for from := 0; from < n; {
		to := from + 1
		for to < n && s.refs[to].hash>>rest == s.refs[from].hash>>rest {
			to++
		}
		s.settle(s.refs[from:to])
		from = to
	}
}

// byDigits sorts by the first digits of the hash.
func (s *Sorter) byDigits(digits int) {
	if cap(s.spare) < len(s.refs) {
		s.spare = make([]ref, cap(s.refs))
	}
	from, to := s.refs, s.spare[:len(s.refs)]
	for d := digits; d > 0; d-- {
		shift := 64 - d*digitBits
		var place [1 << digitBits]uint32
		for i := range from {
			place[from[i].hash>>shift%(1<<digitBits)]++
		}
		sum := uint32(0)
		for i, n := range place {
			place[i] = sum
			sum += n
		}
		for i := range from {
			p := &place[from[i].hash>>shift%(1<<digitBits)]
			to[*p] = from[i]
			*p++
		}
		from, to = to, from
	}
	s.refs, s.spare = from, to
}

// settle orders records whose hashes begin alike, which are in the order in which they came.
func (s *Sorter) settle(run []ref) {
	if len(run) == 1 {
		return
	}
	key, inPlace := s.key(run[0]), true
	for i := 1; i < len(run); i++ {
		if run[i].hash != run[0].hash || !bytes.Equal(s.key(run[i]), key) {
			s.compareAll(run)
			return
		}
		run[i].again = true
		inPlace = inPlace && s.compareOfKey(run[i-1], run[i]) < 0
	}
	if !inPlace {
		slices.SortFunc(run, s.compareOfKey)
		run[0].again = false
		for i := range run[1:] {
			run[1+i].again = true
		}
	}
}

// compareAll sorts records of any keys.
func (s *Sorter) compareAll(run []ref) {
	slices.SortFunc(run, s.compare)
	for i := range run {
		run[i].again = i > 0 && run[i].hash == run[i-1].hash && bytes.Equal(s.key(run[i]), s.key(run[i-1]))
	}
}

func (s *Sorter) compare(a, b ref) int {
	if a.hash != b.hash {
		return cmp.Compare(a.hash, b.hash)
	}
	if c := bytes.Compare(s.key(a), s.key(b)); c != 0 {
		return c
	}
	return s.compareOfKey(a, b)
}

// compareOfKey orders records of one key.
func (s *Sorter) compareOfKey(a, b ref) int {
	if a.time != b.time {
		return cmp.Compare(a.time, b.time)
	}
	return cmp.Or(cmp.Compare(s.at.pages[a.page].lanes[a.row], s.at.pages[b.page].lanes[b.row]), cmp.Compare(a.page, b.page), cmp.Compare(a.row, b.row))
}

func (s *Sorter) key(r ref) []byte { return s.at.pages[r.page].Key(int(r.row)) }
