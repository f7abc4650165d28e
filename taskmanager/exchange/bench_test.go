package exchange_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

const recordBytes = 100

// fill encodes one batch of about 64 KiB of 100-byte records, and says how many there are.
func fill() (encoded []byte, records int) {
	b := abi.NewBuilder(abi.ColumnValues)
	for value := make([]byte, recordBytes); b.Size() < 64<<10; records++ {
		b.Append(abi.Record{Value: value})
	}
	return b.Encode(abi.AlignedBytes(b.Size())), records
}

// pump is a sending task: it sends the batch when there is room.
func pump(n *exchange.Network, s *exchange.Sender, wake <-chan struct{}, encoded []byte, batches int) {
	for range batches {
		for s.Full() {
			<-wake
		}
		b := n.NewBuffer(len(encoded))
		copy(b.Bytes(), encoded)
		s.Send(b)
	}
}

// drain is a receiving task: it takes as many batches, and says how many records were in them.
func drain(k *task, batches int) (records int) {
	for batches > 0 {
		e, ok := k.gate.Next()
		if !ok {
			<-k.wake
			continue
		}
		if e.Kind != exchange.Batch {
			k.t.Errorf("element of kind %d: %v", e.Kind, e.Err)
			return records
		}
		records += int(binary.LittleEndian.Uint32(e.Buffer.Bytes()[8:])) // a batch's header has n there
		e.Buffer.Release()
		batches--
	}
	return records
}

// BenchmarkChannel is the cost of a 100-byte record on its way from one task to another in batches of 64 KiB, both ends.
func BenchmarkChannel(b *testing.B) {
	for _, name := range []string{"local", "quic"} {
		b.Run(name, func(b *testing.B) {
			w := wires[name](b, exchange.Config{})
			attach(b, attempt1, w.from, w.to)
			k, out := w.receiver(b, 1), newTask(b)
			s := w.sender(0, out)
			encoded, records := fill()
			move := func(batches int) int {
				go pump(w.from, s, out.wake, encoded, batches)
				return drain(k, batches)
			}
			move(100)
			b.ReportAllocs()
			b.SetBytes(int64(len(encoded)))
			b.ResetTimer()
			received := move(b.N)
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
			if received != b.N*records {
				b.Errorf("%d records received (expected the %d sent)", received, b.N*records)
			}
			go pump(w.from, s, out.wake, encoded, 1)
			last := k.expect(exchange.Batch)
			if last.Number != uint64(100+b.N+1) || !bytes.Equal(last.Buffer.Bytes(), encoded) {
				b.Errorf("batch %d came last (expected %d), or with other bytes than were sent", last.Number, 100+b.N+1)
			}
			last.Buffer.Release()
		})
	}
}

func TestSteadyStateAllocatesNothingPerBatch(t *testing.T) {
	encoded, _ := fill()
	w := wires["local"](t, exchange.Config{})
	attach(t, attempt1, w.from, w.to)
	k := w.receiver(t, 1)
	s := w.sender(0, newTask(t))
	per := allocs.PerRun(1000, func() {
		b := w.from.NewBuffer(len(encoded))
		copy(b.Bytes(), encoded)
		s.Send(b)
		s.Watermark(1, false)
		for range 2 {
			if e, ok := k.gate.Next(); ok && e.Kind == exchange.Batch {
				e.Buffer.Release()
			}
		}
	})
	if per >= 1 && !raceEnabled { // the race detector empties pools at random
		t.Errorf("%.2f allocations per batch (expected none)", per)
	}
}
