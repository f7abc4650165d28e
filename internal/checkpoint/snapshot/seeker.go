package snapshot

// Seeker scans ranges of one state of several files, one after the other. What that takes is kept between scans: a scan that
// reads a few entries here and there would take longer to begin than to read. Blocks lie in the readers' caches, so a seeker is
// for the goroutine that calls Get of these.
type Seeker struct {
	merged  *Merged
	sources []*source // of the files that have the state, the oldest first
	readers []*Reader // of these
	states  []int     // the state, as each of them numbers it
}

// NewSeeker makes one for a state of the readers, the oldest first.
func NewSeeker(readers []*Reader, operator, name string) *Seeker {
	s := &Seeker{merged: newMerged(readers)}
	for age, r := range readers {
		state := r.State(operator, name)
		if state < 0 {
			continue
		}
		of := s.merged.source(r, age)
		of.it = &Iterator{f: r.f, hidden: r.hidden, blocks: r}
		s.sources, s.readers, s.states = append(s.sources, of), append(s.readers, r), append(s.states, state)
	}
	return s
}

// Scan begins at the beginning of a range, whose State is not looked at. What it answers is valid until the next Scan, and until
// a reader's next Get.
func (s *Seeker) Scan(rg Range) *Merged {
	m := s.merged
	m.winner, m.deleted, m.err, m.fault = nil, deletion{}, nil, ""
	m.sources = m.sources[:0]
	for i, of := range s.sources {
		rg.State = s.states[i]
		of.it.begin(s.readers[i], rg)
		if m.advance(of) {
			m.sources = append(m.sources, of)
		}
	}
	return m
}
