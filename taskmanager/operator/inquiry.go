package operator

import (
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// inquiry is a record about which the outside is asked, from its coming to its result's going out.
type inquiry struct {
	key, value []byte
	time       int64  // event time, or abi.NoTimestamp
	from       string // what its number counts in
	number     int64

	request  []byte // that the function has made of it
	timeout  time.Duration
	deadline time.Time // of all tries
	again    time.Time // of the next one, while it rests
	tries    int
	started  bool // it counts for the capacity
	answered bool
	answer   abi.Answer

	segment uint64 // that it lies in
	gone    bool   // its result is out
}

func (q *inquiry) bytes() int { return len(q.key) + len(q.value) + len(q.request) + len(q.answer.Body) }

// inquiries has the records that were asked about in their order, and the watermarks between them. Two watermarks bound a
// segment: no result leaves its own. In order, results leave as the records came; otherwise, within a segment, as the answers
// came.
type inquiries struct {
	ordered  bool
	segments []segment // the oldest first; a watermark ends each but the last
	first    uint64    // number of segments[0]
	n        int
	done     []*inquiry // answered ones of the first segment that may leave, in the order in which they do; not used in order
}

type segment struct {
	all       []*inquiry
	head      int // those before are gone
	left      int // that are not gone
	watermark int64
}

func newInquiries(ordered bool) inquiries {
	return inquiries{ordered: ordered, segments: make([]segment, 1)}
}

func (s *inquiries) last() *segment { return &s.segments[len(s.segments)-1] }

// push adds a record behind all others.
func (s *inquiries) push(q *inquiry) {
	last := s.last()
	q.segment = s.first + uint64(len(s.segments)) - 1
	last.all = append(last.all, q)
	last.left++
	s.n++
}

// mark puts a watermark behind all records. It has passed at once if there is none.
func (s *inquiries) mark(watermark int64) (passed bool) {
	last := s.last()
	switch {
	case last.left > 0:
		last.watermark = watermark
		s.segments = append(s.segments, segment{})
	case len(s.segments) > 1:
		s.segments[len(s.segments)-2].watermark = watermark
	default:
		return true
	}
	return false
}

// pass drops the segments that have come to their end, and says which watermark has passed with them.
func (s *inquiries) pass() (watermark int64, passed bool) {
	for len(s.segments) > 1 && s.segments[0].left == 0 {
		watermark, passed = s.segments[0].watermark, true
		s.segments = slices.Delete(s.segments, 0, 1)
		s.first++
		if !s.ordered {
			for _, q := range s.segments[0].all[s.segments[0].head:] {
				if q.answered && !q.gone {
					s.done = append(s.done, q)
				}
			}
		}
	}
	return watermark, passed
}

// answered notes that a record has its answer.
func (s *inquiries) answered(q *inquiry) {
	q.answered = true
	if !s.ordered && q.segment == s.first {
		s.done = append(s.done, q)
	}
}

// ready appends to dst those that may leave now, up to most of them or about so many bytes.
func (s *inquiries) ready(dst []*inquiry, most, bytes int) []*inquiry {
	from := s.done
	if s.ordered {
		from = s.segments[0].all[s.segments[0].head:]
	}
	for _, q := range from {
		if q.gone {
			continue
		}
		if !q.answered || len(dst) >= most || bytes <= 0 {
			break
		}
		dst = append(dst, q)
		bytes -= q.bytes()
	}
	return dst
}

// any says whether one may leave now.
func (s *inquiries) any() bool {
	var one [1]*inquiry
	return len(s.ready(one[:0], 1, 1)) > 0
}

// leave takes a record out.
func (s *inquiries) leave(q *inquiry) {
	if q.gone {
		return
	}
	q.gone = true
	s.n--
	t := &s.segments[q.segment-s.first]
	t.left--
	for t.head < len(t.all) && t.all[t.head].gone {
		t.all[t.head] = nil
		t.head++
	}
	if dead := len(t.all) - t.left; dead > 64 && dead > t.left { // half of it is gone
		t.all, t.head = slices.DeleteFunc(t.all[t.head:], func(q *inquiry) bool { return q.gone }), 0
	}
	for len(s.done) > 0 && s.done[0].gone {
		s.done[0] = nil
		s.done = s.done[1:]
	}
}

// each calls yield for all that are there, in their order.
func (s *inquiries) each(yield func(q *inquiry)) {
	for i := range s.segments {
		for _, q := range s.segments[i].all[s.segments[i].head:] {
			if !q.gone {
				yield(q)
			}
		}
	}
}
