package operator

// payoff decides whether folding ahead of an exchange pays: it does if an accumulator stands for enough records, and is no larger
// than they are. Else records go on as they are, for longer each time, until it is tried again. It is pure.
type payoff struct {
	fewer        int64  // records, at least, for an accumulator
	taken, made  volume // since it was decided last
	pass, passed int64  // records that are still to go on as they are, and how many that was in the beginning
}

// volume is records, and about what they take on their way.
type volume struct{ records, bytes int64 }

// Tried is at least so many records; when it does not pay, between 1/32 and 1/2,048 of them are tried.
const (
	triedRecords = 8 << 10
	firstPass    = 32 * triedRecords
	longestPass  = 64 * firstPass
)

// passes says whether n records are to go on as they are.
func (p *payoff) passes(n int) bool {
	if p.pass == 0 {
		return false
	}
	p.pass = max(p.pass-int64(n), 0)
	return true
}

// folded takes note of what records were folded into.
func (p *payoff) folded(taken, made volume) {
	p.taken.records, p.taken.bytes = p.taken.records+taken.records, p.taken.bytes+taken.bytes
	p.made.records, p.made.bytes = p.made.records+made.records, p.made.bytes+made.bytes
	if p.taken.records < triedRecords {
		return
	}
	if p.fewer*p.made.records <= p.taken.records && p.made.bytes <= p.taken.bytes {
		p.passed = 0
	} else {
		p.passed = min(max(2*p.passed, firstPass), longestPass)
	}
	p.pass, p.taken, p.made = p.passed, volume{}, volume{}
}
