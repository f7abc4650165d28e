package file

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

const bids = 50_000

// bidRows are bids as JSON, about 280 bytes each, of which 5 of 7 fields are wanted.
func bidRows() (lines []string) {
	for i := range bids {
		lines = append(lines, fmt.Sprintf(`{"auction":%d,"bidder":%d,"price":%d,"channel":"channel-%d","url":"https://www.nexmark.com/aaaa/bbbb/cccc/item.htm?query=1&channel_id=%d","dateTime":"2026-01-01T00:%02d:%02d.050","extra":"%s"}`,
			1000+i%1000, i%700, i*7919, i%10000, i*31, i/60%60, i%60, strings.Repeat("qwertzuiop", 7)))
	}
	return lines
}

const (
	bidCodec abi.Codec = "row(auction: i64, bidder: i64, price: i64, channel: utf8, url: utf8, dateTime: ms, extra: utf8)"
	fewCodec abi.Codec = "row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)"
)

// BenchmarkRead reads a file of bids to its end, into batches: from the disk's cache, with the time of each bid.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		name   string
		config map[string]string
		codec  abi.Codec
		made   func(b *testing.B) string
	}{
		{"lines", map[string]string{}, abi.CodecUTF8, plainBids},
		{"json", map[string]string{"format": "json", "timestamps": "dateTime"}, fewCodec, plainBids},
		{"json of an event", map[string]string{"format": "json", "timestamps": "bid.dateTime"}, "row(bid: row(auction: i64, bidder: i64, price: i64, dateTime: ms, extra: utf8)?)", events},
		{"csv", map[string]string{"format": "csv", "header": "true", "timestamps": "dateTime"}, fewCodec, writtenBids("csv")},
		{"avro", map[string]string{"format": "avro", "timestamps": "dateTime"}, fewCodec, writtenBids("avro")},
		{"parquet", map[string]string{"format": "parquet", "timestamps": "dateTime"}, fewCodec, writtenBids("parquet")},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.config["path"] = c.made(b)
			made, err := NewSource(c.config)
			if err != nil {
				b.Fatal(err)
			}
			typed, err := made.(*Source).For(c.codec)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if n := count(b, typed.(*Source)); n != bids {
					b.Fatalf("%d records (expected %d)", n, bids)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/bids, "ns/record")
		})
	}
}

func count(b *testing.B, s *Source) (n int) {
	splits, err := s.Enumerate(context.Background(), 1)
	if err != nil {
		b.Fatal(err)
	}
	batch := abi.NewBuilder(s.Columns())
	for _, split := range splits.Splits {
		r, err := s.Open(context.Background(), split)
		if err != nil {
			b.Fatal(err)
		}
		for done := false; !done; {
			batch.Reset()
			p, err := r.Poll(batch, 1024, 256<<10, time.Time{})
			if err != nil {
				b.Fatal(err)
			}
			n += batch.Len()
			done = p.Done
		}
		r.Close()
	}
	return n
}

func plainBids(b *testing.B) string {
	return write(b, filepath.Join(b.TempDir(), "bids.json"), []byte(strings.Join(bidRows(), "\n")+"\n"))
}

func events(b *testing.B) string {
	lines := bidRows()
	for i := range lines {
		lines[i] = `{"event_type":2,"person":null,"auction":null,"bid":` + lines[i] + `}`
	}
	return write(b, filepath.Join(b.TempDir(), "events.json"), []byte(strings.Join(lines, "\n")+"\n"))
}

func writtenBids(format string) func(b *testing.B) string {
	return func(b *testing.B) string {
		config := map[string]string{"format": format}
		if format == "csv" {
			config["header"] = "true"
		}
		return written(b, bidCodec, config, bidRows())
	}
}

// BenchmarkWrite writes bids to a file.
func BenchmarkWrite(b *testing.B) {
	batch := connectortest.Parse(b, builderOf(b, bidCodec, bidRows()[:1024]))
	for _, format := range formats {
		b.Run(format, func(b *testing.B) {
			sink, err := NewSink(map[string]string{"format": format, "path": b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			w, err := sink.Open(context.Background(), connector.SinkTask{Job: "j", Attempt: 1, Value: bidCodec})
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			for b.Loop() {
				if _, err := w.Write(batch, time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch.N), "ns/record")
		})
	}
}
