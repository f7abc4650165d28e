// Package reference computes the answers of the Nexmark queries from a file of events, in plain Go: the whole file in memory,
// a function a query, nothing clever. It is what the answers of jobs are held against, so it shares no code with the generator
// nor with any engine.
package reference

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Time is a point in time, in milliseconds since the Unix epoch.
type Time int64

// UnmarshalJSON reads a time such as "2026-01-01T00:00:00.050", which is UTC.
func (t *Time) UnmarshalJSON(p []byte) error {
	var text string
	if err := json.Unmarshal(p, &text); err != nil {
		return err
	}
	at, err := time.Parse("2006-01-02T15:04:05", text) // a fraction is read if there is one
	if err != nil {
		return err
	}
	*t = Time(at.UnixMilli())
	return nil
}

func (t Time) utc() time.Time { return time.UnixMilli(int64(t)).UTC() }
func (t Time) day() string    { return t.utc().Format("2006-01-02") }
func (t Time) minute() string { return t.utc().Format("15:04") }
func (t Time) hour() int      { return t.utc().Hour() }

// Person has come to the auctions.
type Person struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	EmailAddress string `json:"emailAddress"`
	CreditCard   string `json:"creditCard"`
	City         string `json:"city"`
	State        string `json:"state"`
	DateTime     Time   `json:"dateTime"`
	Extra        string `json:"extra"`
}

// Auction was opened.
type Auction struct {
	ID          int64  `json:"id"`
	ItemName    string `json:"itemName"`
	Description string `json:"description"`
	InitialBid  int64  `json:"initialBid"`
	Reserve     int64  `json:"reserve"`
	DateTime    Time   `json:"dateTime"`
	Expires     Time   `json:"expires"`
	Seller      int64  `json:"seller"`
	Category    int64  `json:"category"`
	Extra       string `json:"extra"`
}

// Bid was made for an auction.
type Bid struct {
	Auction  int64  `json:"auction"`
	Bidder   int64  `json:"bidder"`
	Price    int64  `json:"price"`
	Channel  string `json:"channel"`
	URL      string `json:"url"`
	DateTime Time   `json:"dateTime"`
	Extra    string `json:"extra"`
}

// Events are the events of a file by kind, each kind in the order of the file; and the table that q13 joins.
type Events struct {
	People   []Person
	Auctions []Auction
	Bids     []Bid
	Side     map[int64]string
}

// maxLine bounds a line of a file.
const maxLine = 16 << 20

// Read reads JSON lines: objects of event_type, person, auction and bid, in any order, those that do not apply absent or null.
// Side is the standard table.
func Read(r io.Reader) (*Events, error) {
	e := &Events{Side: StandardSide()}
	err := eachLine(r, func(_ int, line []byte) error {
		var event struct {
			Type    *int     `json:"event_type"`
			Person  *Person  `json:"person"`
			Auction *Auction `json:"auction"`
			Bid     *Bid     `json:"bid"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return err
		}
		switch {
		case event.Type == nil:
			return fmt.Errorf("no event_type")
		case *event.Type == 0 && event.Person != nil:
			e.People = append(e.People, *event.Person)
		case *event.Type == 1 && event.Auction != nil:
			e.Auctions = append(e.Auctions, *event.Auction)
		case *event.Type == 2 && event.Bid != nil:
			e.Bids = append(e.Bids, *event.Bid)
		default:
			return fmt.Errorf("event_type %d without its object (expected 0 with person, 1 with auction, 2 with bid)", *event.Type)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return e, nil
}

// StandardSide is the table that q13 joins unless another is given: 0 to 9999, and each number as text.
func StandardSide() map[int64]string {
	side := map[int64]string{}
	for key := range int64(10_000) {
		side[key] = fmt.Sprint(key)
	}
	return side
}

// ReadSide reads another table as JSON lines of key and value.
func ReadSide(r io.Reader) (map[int64]string, error) {
	side := map[int64]string{}
	err := eachLine(r, func(_ int, line []byte) error {
		var row struct {
			Key   int64  `json:"key"`
			Value string `json:"value"`
		}
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		side[row.Key] = row.Value
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read side input: %w", err)
	}
	return side, nil
}

// eachLine calls do for each line that is not empty; what it returns is told with the line's number, from 1.
func eachLine(r io.Reader, do func(n int, line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := do(n, lines.Bytes()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}
