package nexmark

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/pace"
	"github.com/wasmill/wasmill/internal/nexmark"
)

// reader makes rows of the events of one split.
type reader struct {
	feed   feed
	event  nexmark.Event
	writer *writer
	pace   pace.Pace
}

// Open returns a reader at the split's first event, or at its position.
func (s *Source) Open(_ context.Context, split connector.Split) (connector.Reader, error) {
	var p portion
	if err := json.Unmarshal(split.Data, &p); err != nil {
		return nil, fmt.Errorf("%s: open split %s: %w", op, split.ID, err)
	}
	feed, err := s.input.open(p.Input, split.Position)
	if err != nil {
		return nil, err
	}
	return &reader{feed: feed, writer: newWriter(s.rows), pace: pace.Pace{Rate: s.limit / float64(max(p.Of, 1))}}, nil
}

// Position is where the next event comes from.
func (r *reader) Position() json.RawMessage {
	p, _ := json.Marshal(r.feed.position()) // a struct of numbers always marshals
	return p
}

// Close ends the reader.
func (r *reader) Close() error { return r.feed.close() }

// searched bounds how many events of other kinds are passed over in one call.
const searched = 1 << 16

// Poll appends what the limit allows at now.
func (r *reader) Poll(b *abi.Builder, most, mostBytes int, now time.Time) (connector.Progress, error) {
	allowed, wake := r.pace.Allowance(now, most)
	n, begin := 0, b.Bytes()
	for tried := 0; n < allowed && tried < searched && b.Bytes()-begin < mostBytes && !r.feed.done(); tried++ {
		is, err := r.feed.next(&r.event, &r.writer.wanted)
		if err != nil {
			return connector.Progress{}, err
		}
		if is {
			b.AppendValue(r.writer.append(b.Values(), &r.event), r.event.Time)
			n++
		}
	}
	r.pace.Made(n)
	p := connector.Progress{Done: r.feed.done(), Read: r.feed.read()}
	if n == 0 && !p.Done && allowed == 0 {
		p.Wake, p.CaughtUp = wake, true
	}
	return p, nil
}
