package operator

// stretch is records of a key that were read from a timeline, in its order. What it holds is valid until the next read.
type stretch struct {
	memory []byte
	ends   []int
	times  []int64
	values [][]byte
}

// read takes in the records of a key behind a place and up to a time: up to most of them, and about limit bytes. More is the
// place of the last one if there may be others.
func (s *stretch) read(t *timeline, hash uint64, key, after []byte, until int64, most, limit int) (more []byte, err error) {
	s.memory, s.ends, s.times = s.memory[:0], s.ends[:0], s.times[:0]
	err = t.scan(hash, key, after, until, func(place, value []byte) bool {
		if s.len() == most {
			return false
		}
		s.memory = append(s.memory, value...)
		s.ends, s.times = append(s.ends, len(s.memory)), append(s.times, timeAt(place))
		if len(s.memory)+16*s.len() >= limit {
			more = append([]byte(nil), place...)
			return false
		}
		return true
	})
	return more, err
}

func (s *stretch) len() int { return len(s.ends) }

// value is that of record i.
func (s *stretch) value(i int) []byte {
	start := 0
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.memory[start:s.ends[i]:s.ends[i]]
}

// all are the values, valid until the next call.
func (s *stretch) all() [][]byte {
	s.values = s.values[:0]
	for i := range s.ends {
		s.values = append(s.values, s.value(i))
	}
	return s.values
}
