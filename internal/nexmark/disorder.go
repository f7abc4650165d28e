package nexmark

// disorder is how events come: in groups, and event i of a group is number i·stride of it, modulo the group. Group and stride
// have no common factor, so each comes once.
type disorder struct {
	group, stride uint64
	whole         uint64 // events in groups that are whole; those behind come in order
}

// stride is the definition's, for groups of so many events.
const stride = 953

func newDisorder(p *Parameters) disorder {
	d := disorder{group: p.OutOfOrderGroup, stride: stride}
	if g := p.inTime(); g > 1 {
		d = disorder{group: g, stride: golden(g)}
	}
	events := p.Events
	if events == 0 {
		events = maxEvents
	}
	d.whole = events / d.group * d.group
	return d
}

// inTime is how many events there may be between two that change places.
func (p *Parameters) inTime() uint64 {
	slowest := p.Rate
	if p.NextRate > 0 {
		slowest = min(slowest, p.NextRate)
	}
	return slowest * uint64(p.OutOfOrder.Milliseconds()) / 1000
}

// golden is a stride that spreads a group of any size: the nearest to the golden ratio, from above downwards, that has no factor in common with it.
func golden(group uint64) uint64 {
	s := group*618/1000 + 1
	for gcd(group, s) > 1 {
		s--
	}
	return s
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// at is the number of the event that comes at a place, counted from 0.
func (d *disorder) at(place uint64) uint64 {
	if d.group == 1 || place >= d.whole {
		return place
	}
	in := place % d.group
	return place - in + in*d.stride%d.group
}
