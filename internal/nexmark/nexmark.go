// Package nexmark makes the events of the Nexmark benchmark: people who open auctions and bid in them, in the proportions,
// with the hot spots and the references to what does not exist yet that its definition gives. Every value is a function of
// the parameters, the event's number and the field, so any event can be made without those before it, in any process, and
// is the same to the byte. The package knows no clock, no disk and no connector.
package nexmark

// Kind is what happened; the number is the event_type of files.
type Kind uint8

const (
	Person  Kind = 0
	Auction Kind = 1
	Bid     Kind = 2
	Kinds        = 3
)

func (k Kind) String() string { return [...]string{"person", "auction", "bid"}[k] }

// Type is what a field holds.
type Type uint8

const (
	Number Type = iota
	Time        // milliseconds since the Unix epoch
	Text
)

// Field is one field of a kind of event.
type Field struct {
	Name string
	Type Type
}

// The fields of each kind, in the order of files; an event's value of one is found by its index.
const (
	PersonID = iota
	PersonName
	PersonEmail
	PersonCard
	PersonCity
	PersonState
	PersonTime
	PersonExtra
)

const (
	AuctionID = iota
	AuctionItem
	AuctionDescription
	AuctionInitial
	AuctionReserve
	AuctionTime
	AuctionExpires
	AuctionSeller
	AuctionCategory
	AuctionExtra
)

const (
	BidAuction = iota
	BidBidder
	BidPrice
	BidChannel
	BidURL
	BidTime
	BidExtra
)

const maxFields = 10

var fields = [Kinds][]Field{
	Person: {
		{"id", Number}, {"name", Text}, {"emailAddress", Text}, {"creditCard", Text}, {"city", Text}, {"state", Text},
		{"dateTime", Time}, {"extra", Text},
	},
	Auction: {
		{"id", Number}, {"itemName", Text}, {"description", Text}, {"initialBid", Number}, {"reserve", Number}, {"dateTime", Time},
		{"expires", Time}, {"seller", Number}, {"category", Number}, {"extra", Text},
	},
	Bid: {
		{"auction", Number}, {"bidder", Number}, {"price", Number}, {"channel", Text}, {"url", Text}, {"dateTime", Time},
		{"extra", Text},
	},
}

// Fields are the fields of events of a kind.
func (k Kind) Fields() []Field { return fields[k] }

// DateTime is the index of the field that is the event's time.
func (k Kind) DateTime() int {
	return [...]int{Person: PersonTime, Auction: AuctionTime, Bid: BidTime}[k]
}

// Wanted is a set of fields of one kind, a bit an index.
type Wanted uint16

const (
	All  Wanted = 1<<maxFields - 1 // every field
	Bare Wanted = 1 << 15          // none but the kind and the time
)

// Has says whether the field is in the set.
func (w Wanted) Has(field int) bool { return w&(1<<field) != 0 }

// Event is one event; it keeps its memory from one to the next. Fields that were not asked for hold what they held.
type Event struct {
	Kind    Kind
	Time    int64             // event time in milliseconds: the field dateTime
	Numbers [maxFields]int64  // by field, numbers and times
	Texts   [maxFields][]byte // by field; valid until the event is made or read again

	text []byte // where the texts of this event lie
}
