package operator

import (
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// BenchmarkRequests is what the host has to do about a record beside the request itself and the guest: answers are there at once.
func BenchmarkRequests(b *testing.B) {
	for _, order := range []string{graph.Ordered, graph.Unordered} {
		b.Run(order, func(b *testing.B) {
			c := &prompt{}
			r, err := NewRequests(RequestsConfig{UID: "ask", Groups: askedGroups, To: askedGroups, Store: &ownStore{}, Calls: c, Sender: c, Now: time.Now,
				Requests: abi.Requests{Client: abi.ClientHTTP, Order: order, Capacity: 100, TimeoutMs: 1000}})
			if err != nil {
				b.Fatal(err)
			}
			w := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
			for range 1024 {
				w.Append(abi.Record{Key: []byte("key"), Value: make([]byte, 100)})
			}
			var records abi.Batch
			w.View(&records)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := r.Process(&records, "lines", 1); err != nil {
					b.Fatal(err)
				}
				for r.Waiting() {
					if _, err := r.Tick(); err != nil {
						b.Fatal(err)
					}
				}
				n += records.N
			}
			if c.out != n {
				b.Fatalf("%d results of %d records", c.out, n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
		})
	}
}

// prompt answers at once.
type prompt struct {
	reply   []byte
	answers []Reply
	out     int
}

func (p *prompt) Request(groups *abi.GroupsWriter) ([]byte, error) {
	p.reply = p.reply[:0]
	q := abi.Request{Target: []byte(abi.ClientHTTP), Body: make([]byte, 100)}
	value := q.Append(nil)
	for i := range groups.Len() {
		p.reply = appendAction(p.reply, uint32(i), abi.ActionRequest, value)
	}
	return p.reply, nil
}

func (p *prompt) Response(groups *abi.GroupsWriter) error {
	p.out += groups.Len()
	return nil
}

func (p *prompt) Retry(err error, _ int, _ func(int, int) error, _ func(int) Unit) error { return err }

func (p *prompt) Send(number uint64, _ []byte, _ time.Time) {
	p.answers = append(p.answers, Reply{Number: number, Answer: abi.Answer{Code: 200}})
}

func (p *prompt) Pending() bool { return len(p.answers) > 0 }
func (p *prompt) Take() []Reply {
	taken := p.answers
	p.answers = nil
	return taken
}
func (p *prompt) Forget() { p.answers = nil }
