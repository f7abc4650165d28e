package main

// What the operators of the scenarios do, as one would write it in Go for this one purpose: maps, one thread, no time but the
// numbers themselves.

func (w work) key(number int64) int64 { return int64(mix(uint64(number)) % uint64(w.keys)) }

// plainTumbling counts the numbers of each key in windows that follow each other.
func plainTumbling(w work, out func(int64, []int64)) {
	counts, row := map[int64]int64{}, make([]int64, 3)
	for start := int64(0); start < w.count; start += w.size {
		for n := start; n < min(start+w.size, w.count); n++ {
			counts[w.key(n)]++
		}
		for key, count := range counts {
			row[0], row[1], row[2] = start, key, count
			out(key, row)
		}
		clear(counts)
	}
}

// plainSliding counts in slices, adds those that come to a total, and takes off those that go.
func plainSliding(w work, out func(int64, []int64)) {
	slices := make([]map[int64]int64, w.size/w.slide)
	for i := range slices {
		slices[i] = map[int64]int64{}
	}
	totals, row, at := map[int64]int64{}, make([]int64, 3), 0
	for end := w.slide; end < w.count+w.size; end += w.slide {
		slice := slices[at]
		for n := end - w.slide; n < min(end, w.count); n++ {
			slice[w.key(n)]++
		}
		for key, count := range slice {
			totals[key] += count
		}
		for key, count := range totals {
			row[0], row[1], row[2] = end-w.size, key, count
			out(key, row)
		}
		at = (at + 1) % len(slices)
		for key, count := range slices[at] {
			if totals[key] -= count; totals[key] == 0 {
				delete(totals, key)
			}
		}
		clear(slices[at])
	}
}

// plainSessions counts the numbers of a key that are no further than size apart.
func plainSessions(w work, out func(int64, []int64)) {
	type session struct{ first, last, count int64 }
	open, row := map[int64]*session{}, make([]int64, 3)
	end := func(key int64, s *session) {
		row[0], row[1], row[2] = s.first, key, s.count
		out(key, row)
	}
	for n := range w.count {
		key := w.key(n)
		s := open[key]
		if s == nil {
			s = &session{first: n}
			open[key] = s
		} else if n-s.last > w.size {
			end(key, s)
			*s = session{first: n}
		}
		s.last = n
		s.count++
	}
	for key, s := range open {
		end(key, s)
	}
}

// plainPairs joins even numbers with the odd ones of their key that are nearer than size.
func plainPairs(w work, out func(int64, []int64)) {
	kept, row := map[int64]*[2][]int64{}, make([]int64, 2)
	for n := range w.count {
		key, side := w.key(n), n%2
		of := kept[key]
		if of == nil {
			of = new([2][]int64)
			kept[key] = of
		}
		other := of[1-side]
		for len(other) > 0 && n-other[0] >= w.size {
			other = other[1:]
		}
		of[1-side] = other
		for _, o := range other {
			row[side], row[1-side] = n, o
			out(key, row)
		}
		of[side] = append(of[side], n)
	}
}

// plainRunning counts the numbers of each key, and says each count.
func plainRunning(w work, out func(int64, []int64)) {
	counts, row := map[int64]*int64{}, make([]int64, 2)
	for n := range w.count {
		key := w.key(n)
		count := counts[key]
		if count == nil {
			count = new(int64)
			counts[key] = count
		}
		*count++
		row[0], row[1] = key, *count
		out(key, row)
	}
}
