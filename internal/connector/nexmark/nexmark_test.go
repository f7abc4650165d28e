package nexmark

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
	"github.com/wasmill/wasmill/internal/nexmark"
)

// source makes one of a configuration, and of the codec that stands in it as "output", none for all fields.
func source(t testing.TB, config map[string]string) *Source {
	t.Helper()
	s, err := open(config)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Source)
}

func open(config map[string]string) (connector.Source, error) {
	config = maps.Clone(config)
	codec := config["output"]
	delete(config, "output")
	s, err := NewSource(config)
	if err != nil {
		return nil, err
	}
	if codec == "" {
		codec = schemaOf(s.(*Source).kind)
	}
	return s.(connector.Typed).For(abi.Codec(codec))
}

func generatorOf(s *Source) *nexmark.Generator { return s.input.(*madeInput).generator }

// all reads every split of a source one after the other.
func all(t *testing.T, s *Source) (values []string) {
	t.Helper()
	splits, err := s.Enumerate(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range splits.Splits {
		values = append(values, connectortest.Read(t, s, split, 1000)...)
	}
	return values
}

func TestSource(t *testing.T) {
	for _, config := range []map[string]string{
		{"events": "400", "seed": "9"},
		{"events": "400", "kind": "bid", "output": "row(price: i64, url: utf8)"},
		{"events": "400", "kind": "person", "limit": "1000"},
		{"events": "401", "out-of-order": "40ms", "rate": "1000", "output": "row(bid: row(auction: i64)?, event_type: i64)"},
	} {
		s := source(t, config)
		connectortest.Source(t, s, all(t, s))
	}
}

// object is an event as it stands in a line of JSON.
func object(t *testing.T, g *nexmark.Generator, number uint64) (kind string, fields map[string]any) {
	t.Helper()
	var e nexmark.Event
	g.Make(&e, number, &[nexmark.Kinds]nexmark.Wanted{nexmark.All, nexmark.All, nexmark.All})
	var line map[string]any
	if err := json.Unmarshal(nexmark.AppendJSON(nil, &e), &line); err != nil {
		t.Fatal(err)
	}
	return e.Kind.String(), line[e.Kind.String()].(map[string]any)
}

// values are a row's fields as JSON has them.
func values(s *abi.Schema, row abi.Row) map[string]any {
	all := map[string]any{}
	for i, f := range s.Fields {
		switch f.Type {
		case abi.TypeI64:
			all[f.Name] = float64(row.I64(i))
		case abi.TypeMs:
			all[f.Name] = string(nexmark.AppendTime(nil, row.I64(i), 'T'))
		default:
			all[f.Name] = string(row.Bytes(i))
		}
	}
	return all
}

// The rows are canonical, and say what the lines of the command say.
func TestRowsAreTheEvents(t *testing.T) {
	whole := source(t, map[string]string{"events": "1000"})
	for number, value := range all(t, whole) {
		s := whole.rows.schema
		if err := abi.Validate(s, []byte(value)); err != nil {
			t.Fatal(err)
		}
		row := s.Row([]byte(value))
		kind, want := object(t, generatorOf(whole), uint64(number))
		for i, f := range s.Fields[1:] {
			if row.Null(1+i) != (f.Name != kind) {
				t.Fatalf("event %d is a %s, and its %s is null: %v", number, kind, f.Name, row.Null(1+i))
			}
			if f.Name != kind {
				continue
			}
			if got := values(f.Row, row.Row(1+i, f.Row)); !reflect.DeepEqual(got, want) || row.I64(0) != int64(i) {
				t.Errorf("event %d: %v\nexpected %v", number, got, want)
			}
		}
	}
	for kind := range everyKind {
		one := source(t, map[string]string{"events": "1000", "kind": kind.String()})
		part := source(t, map[string]string{"events": "1000", "kind": kind.String(), "output": "row(extra: utf8, dateTime: ms)"})
		rows, parts := all(t, one), all(t, part)
		at := 0
		for number := range uint64(1000) {
			name, want := object(t, generatorOf(one), number)
			if name != kind.String() {
				continue
			}
			if err := abi.Validate(one.rows.schema, []byte(rows[at])); err != nil {
				t.Fatal(err)
			}
			if got := values(one.rows.schema, one.rows.schema.Row([]byte(rows[at]))); !reflect.DeepEqual(got, want) {
				t.Errorf("event %d: %v\nexpected %v", number, got, want)
			}
			want = map[string]any{"extra": want["extra"], "dateTime": want["dateTime"]}
			if got := values(part.rows.schema, part.rows.schema.Row([]byte(parts[at]))); !reflect.DeepEqual(got, want) {
				t.Errorf("event %d: %v\nexpected %v", number, got, want)
			}
			at++
		}
		if at != len(rows) || at != len(parts) {
			t.Errorf("%d and %d of %v (expected %d)", len(rows), len(parts), kind, at)
		}
	}
}

// A row is the same, to the byte, as that which a file source makes of the event's line.
func TestRowsAreThoseOfLines(t *testing.T) {
	var e nexmark.Event
	for _, codec := range []string{schemaOf(everyKind), "row(bid: row(url: utf8, price: i64)?, auction: row(expires: ms)?, person: row(name: utf8)?)"} {
		s := source(t, map[string]string{"events": "500", "output": codec})
		decoder := jsonrow.NewDecoder(s.rows.schema)
		for number, value := range all(t, s) {
			generatorOf(s).Make(&e, uint64(number), &[nexmark.Kinds]nexmark.Wanted{nexmark.All, nexmark.All, nexmark.All})
			row, err := decoder.Decode(nil, nexmark.AppendJSON(nil, &e))
			if err != nil || string(row) != value {
				t.Fatalf("event %d: %v\n%x\nexpected\n%x", number, err, value, row)
			}
		}
	}
}

// Of the kinds that a codec names, or of all if it names none.
func TestRowsOfSomeKinds(t *testing.T) {
	for codec, want := range map[string][nexmark.Kinds]int{
		"row(event_type: i64)":                                               {20, 60, 920},
		"row(event_type: i64, auction: row(id: i64)?)":                       {0, 60, 0},
		"row(person: row(id: i64)?, event_type: i64, bid: row(price: i64)?)": {20, 0, 920},
	} {
		s := source(t, map[string]string{"events": "1000", "output": codec})
		var got [nexmark.Kinds]int
		for _, value := range all(t, s) {
			if err := abi.Validate(s.rows.schema, []byte(value)); err != nil {
				t.Fatal(err)
			}
			row := s.rows.schema.Row([]byte(value))
			kind := row.I64(s.rows.typeAt)
			got[kind]++
			for k, at := range s.rows.at {
				if at >= 0 && row.Null(at) != (int64(k) != kind) {
					t.Errorf("%s: event_type %d, and %s is null: %v", codec, kind, nexmark.Kind(k), row.Null(at))
				}
			}
		}
		if got != want {
			t.Errorf("%s: %d people, auctions and bids (expected %d)", codec, got, want)
		}
	}
}

// Splits of a bounded source are in order also when the events are not.
func TestSplitsAreInOrder(t *testing.T) {
	for _, parallelism := range []int{1, 2, 5} {
		s := source(t, map[string]string{"events": "20500", "out-of-order": "4s", "rate": "250"})
		splits, err := s.Enumerate(context.Background(), parallelism)
		if err != nil || !splits.Ordered || len(splits.Splits) < parallelism {
			t.Fatalf("%d splits, ordered: %v, %v", len(splits.Splits), splits.Ordered, err)
		}
		newest, disorder := int64(0), false
		for _, split := range splits.Splits {
			r, err := s.Open(context.Background(), split)
			if err != nil {
				t.Fatal(err)
			}
			b := abi.NewBuilder(s.Columns())
			for done := false; !done; {
				p, err := r.Poll(b, 100_000, 1<<30, time.Unix(0, 0))
				if err != nil {
					t.Fatal(err)
				}
				done = p.Done
			}
			batch := connectortest.Parse(t, b)
			most := int64(0)
			for _, at := range batch.Timestamps {
				if at < newest {
					t.Fatalf("split %s has an event at %d, and one before has one at %d", split.ID, at, newest)
				}
				disorder = disorder || at < most
				most = max(most, at)
			}
			newest = most
		}
		if !disorder {
			t.Error("the events are in order")
		}
	}
	many, err := source(t, map[string]string{"events": "10000000000"}).Enumerate(context.Background(), 64)
	if err != nil || len(many.Splits) > mostRanges {
		t.Errorf("ten billion events are %d splits (expected <= %d), %v", len(many.Splits), mostRanges, err)
	}
}

// Without an end, the splits have every event between them, and each goes on where it stood.
func TestUnboundedSplits(t *testing.T) {
	s := source(t, map[string]string{"kind": "bid", "output": "row(dateTime: ms)", "rate": "1000", "person-proportion": "1", "auction-proportion": "1", "bid-proportion": "98"})
	splits, err := s.Enumerate(context.Background(), 3)
	if err != nil || s.Bounded() || splits.Ordered || len(splits.Splits) != 3 {
		t.Fatalf("%+v, %v", splits, err)
	}
	seen := map[int64]int{}
	for _, split := range splits.Splits {
		for range 7 {
			r, err := s.Open(context.Background(), split)
			if err != nil {
				t.Fatal(err)
			}
			b := abi.NewBuilder(s.Columns())
			if p, err := r.Poll(b, 501, 1<<20, time.Unix(0, 0)); err != nil || p.Done || b.Len() != 501 {
				t.Fatalf("%d records, done: %v, %v", b.Len(), p.Done, err)
			}
			for _, at := range connectortest.Parse(t, b).Timestamps {
				seen[at-generatorOf(s).Start.UnixMilli()]++
			}
			split.Position = r.Position()
		}
	}
	for number := range int64(9 * blockEvents) { // each has three blocks and a part of the fourth
		want := 1
		if number%100 < 2 {
			want = 0
		}
		if seen[number] != want {
			t.Fatalf("event %d was read %d times (expected %d)", number, seen[number], want)
		}
	}
}

func TestLimit(t *testing.T) {
	s := source(t, map[string]string{"kind": "bid", "limit": "1000"})
	splits, err := s.Enumerate(context.Background(), 2)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(context.Background(), splits.Splits[1])
	if err != nil {
		t.Fatal(err)
	}
	b := abi.NewBuilder(s.Columns())
	begin := time.Unix(100, 0)
	for now := begin; now.Sub(begin) < 10*time.Second; now = now.Add(7 * time.Millisecond) {
		if _, err := r.Poll(b, 1024, 1<<20, now); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.Len(); n < 4950 || n > 5002 {
		t.Errorf("%d records in 10 s of half of 1,000 a second", n)
	}
}

func TestSourceRefuses(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"events", "x", `events: "x" (expected a whole number, 0 <= n <= 1125899906842624)`},
		{"event", "1", `unknown option "event" (known: kind, limit, path, ` + nexmark.Options[0].Name},
		{"kind", "bids", `kind: "bids" (expected person, auction or bid, or none for all events)`},
		{"limit", "-1", `limit: "-1" (expected events a second, a whole number >= 0)`},
		{"path", "x", `path beside seed (expected none: the events of a file are what they are)`},
		{"out-of-order-group", "953", `nexmark: out-of-order-group: 953 (expected no multiple of 953, by which events are mixed up)`},
		{"output", "utf8", `codec "utf8": not a row (expected some fields of row(event_type: i64, person: row(`},
		{"output", "row(price: i64)", `events have no field "price" (known: event_type, person, auction, bid)`},
		{"output", "row(bid: row(price: i64))", `bid is a row (expected a row that may be null, as in bid: row(auction: i64, bidder: i64,`},
		{"output", "row(bid: row(prise: i64)?)", `no field "bid.prise" in bid (known: auction: i64, bidder: i64, price: i64, channel: utf8, url: utf8, dateTime: ms, extra: utf8)`},
		{"output", "row(bid: row(price: f64)?)", `bid.price is a f64 (expected i64)`},
		{"output", "row(event_type: utf8)", `event_type is a utf8 (expected i64)`},
	} {
		config := map[string]string{c.name: c.value}
		if c.name == "path" {
			config["seed"] = "1"
		}
		if _, err := open(config); err == nil || !strings.HasPrefix(err.Error(), "nexmark source: "+c.want) {
			t.Errorf("%s=%s: %v\nexpected nexmark source: %s", c.name, c.value, err, c.want)
		}
	}
}

// cpu is the CPU time that this process has used: the machine may be shared.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkSource(b *testing.B) {
	for name, config := range map[string]map[string]string{
		"q0":     {"kind": "bid", "output": "row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)"},
		"q2":     {"kind": "bid", "output": "row(auction: i64, price: i64)"},
		"events": {},
	} {
		b.Run(name, func(b *testing.B) {
			s := source(b, config)
			r, err := s.Open(context.Background(), connector.Split{Data: fmt.Appendf(nil, `{"input":{"first":0,"end":%d}}`, int64(1)<<40)})
			if err != nil {
				b.Fatal(err)
			}
			batch := abi.NewBuilder(s.Columns())
			at := &r.(*reader).feed.(*madeFeed).at
			begin, from := cpu(b), at.Next
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				if _, err := r.Poll(batch, 1024, 64<<10, time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
			events := float64(at.Next - from)
			b.ReportMetric(float64((cpu(b)-begin).Nanoseconds())/events, "cpu-ns/event")
			b.ReportMetric(0, "ns/op")
		})
	}
}
