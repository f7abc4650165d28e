package nexmark

var (
	firstNames = [...]string{"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"}
	lastNames  = [...]string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
	cities     = [...]string{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"}
	states     = [...]string{"AZ", "CA", "ID", "OR", "WA", "WY"}
)

// The places of a person's dice.
const (
	personFirst = iota
	personLast
	personCard
	personCity
	personState
	personMailLengths
	personMail        // two
	personExtraLength = personMail + 2
	personExtra       = personExtraLength + 1
)

func (m *maker) makePerson(want Wanted) {
	e := m.e
	e.Numbers[PersonID] = int64(m.person) + firstPerson
	e.Numbers[PersonTime] = e.Time
	first, last := pick(m.dice, personFirst, firstNames[:]), pick(m.dice, personLast, lastNames[:])
	city, state := pick(m.dice, personCity, cities[:]), pick(m.dice, personState, states[:])
	lengths := m.dice.at(personMailLengths)
	user, domain := 3+scale(lengths, 4), 3+lengths&1
	const card = len("0000 0000 0000 0000")
	if want.Has(PersonName) {
		at := len(e.text)
		e.text = append(append(append(e.text, first...), ' '), last...)
		m.text(PersonName, at)
	}
	if want.Has(PersonEmail) {
		at := len(e.text)
		e.text = append(appendLetters(e.text, m.dice, personMail, user), '@')
		e.text = append(appendLetters(e.text, m.dice, personMail+1, domain), ".com"...)
		m.text(PersonEmail, at)
	}
	if want.Has(PersonCard) {
		at := len(e.text)
		e.text = appendCard(e.text, m.dice.below(personCard, 1e16))
		m.text(PersonCard, at)
	}
	if want.Has(PersonCity) {
		at := len(e.text)
		e.text = append(e.text, city...)
		m.text(PersonCity, at)
	}
	if want.Has(PersonState) {
		at := len(e.text)
		e.text = append(e.text, state...)
		m.text(PersonState, at)
	}
	if want.Has(PersonExtra) {
		size := 8 + uint64(len(first)+1+len(last)+card+len(city)+len(state)+len("@.com")) + user + domain
		m.extra(PersonExtra, personExtraLength, size, m.g.PersonSize)
	}
}

func pick(d dice, place uint64, of []string) string { return of[d.below(place, uint64(len(of)))] }

// appendCard writes sixteen digits in groups of four.
func appendCard(dst []byte, digits uint64) []byte {
	for unit := uint64(1e15); unit > 0; unit /= 10 {
		dst = append(dst, '0'+byte(digits/unit%10))
		if unit == 1e12 || unit == 1e8 || unit == 1e4 {
			dst = append(dst, ' ')
		}
	}
	return dst
}
