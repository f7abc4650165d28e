package nexmark

import "fmt"

// Generator makes events. It does not change once it is made: any number of goroutines may use it, each with an Event of
// its own.
type Generator struct {
	Parameters

	timeline timeline
	disorder disorder
	total    uint64 // events of a round of the proportions
	horizon  uint64 // events until as many auctions as are in flight have been opened
	channels []channel
}

// NewGenerator checks the parameters.
func NewGenerator(p Parameters) (*Generator, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("nexmark: %w", err)
	}
	g := &Generator{Parameters: p, timeline: newTimeline(&p), disorder: newDisorder(&p), channels: newChannels(p.Seed)}
	g.total = p.PersonProportion + p.AuctionProportion + p.BidProportion
	g.horizon = p.InFlightAuctions * g.total / p.AuctionProportion
	return g, nil
}

// Group is how many events come in a mixed-up order among themselves, and in order with those of other groups: event 0 to
// Group-1, and so on.
func (g *Generator) Group() uint64 { return g.disorder.group }

// Number is the number of the event that comes at a place, counted from 0. Without disorder it is the place.
func (g *Generator) Number(place uint64) uint64 { return g.disorder.at(place) }

// Kind is what event number is.
func (g *Generator) Kind(number uint64) Kind {
	switch in := number % g.total; {
	case in < g.PersonProportion:
		return Person
	case in < g.PersonProportion+g.AuctionProportion:
		return Auction
	}
	return Bid
}

// Make makes the fields that are wanted of event number, by its kind, and leaves an event of which nothing is wanted as it
// is: then it returns false.
func (g *Generator) Make(e *Event, number uint64, wanted *[Kinds]Wanted) bool {
	round, in := number/g.total, number%g.total
	kind, person, auction := Bid, round*g.PersonProportion, round*g.AuctionProportion
	switch {
	case in < g.PersonProportion:
		kind, person = Person, person+in
	case in < g.PersonProportion+g.AuctionProportion:
		kind, person, auction = Auction, person+g.PersonProportion-1, auction+in-g.PersonProportion
	default:
		person, auction = person+g.PersonProportion-1, auction+g.AuctionProportion-1
	}
	want := wanted[kind]
	if want == 0 {
		return false
	}
	e.Kind, e.Time, e.text = kind, g.timeline.at(number), e.text[:0]
	m := maker{g: g, e: e, dice: diceOf(g.Seed, number), number: number, person: person, auction: auction}
	switch kind {
	case Person:
		m.makePerson(want)
	case Auction:
		m.makeAuction(want)
	default:
		m.makeBid(want)
	}
	return true
}

// maker makes one event. Texts are written one behind the other into the event's memory.
type maker struct {
	g      *Generator
	e      *Event
	dice   dice
	number uint64

	person, auction uint64 // the newest person and auction, counted from 0; the event's own if it is one
}

// anyPerson is one of the active people, or of those who are about to come.
func (m *maker) anyPerson(place uint64) uint64 {
	people := m.person + 1
	active := min(people, m.g.ActivePeople)
	return people - active + m.dice.below(place, active+lead)
}

// anyAuction is one of those in flight, or of those that are about to be opened.
func (m *maker) anyAuction(place uint64) uint64 {
	oldest := m.auction - min(m.auction, m.g.InFlightAuctions)
	return oldest + m.dice.below(place, m.auction-oldest+1+lead)
}

// hot is the first of the newest hundred.
func hot(newest uint64) uint64 { return newest / hotEvery * hotEvery }

// text takes what was written behind start as a field's text.
func (m *maker) text(field int, start int) {
	m.e.Texts[field] = m.e.text[start:len(m.e.text):len(m.e.text)]
}
