package exchange

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		rate int // bytes a second
		want int // bytes that may wait
	}{
		"1 Mbit/s":    {125_000, 25_000},
		"1 MB/s":      {1_000_000, 200_000},
		"next to nil": {100, leastQueue},
	} {
		var p pace
		limit := 0
		for range 100 {
			if l, known := p.wrote(64<<10, time.Duration(64<<10)*time.Second/time.Duration(c.rate)); known {
				limit = l
			}
		}
		if limit < c.want*99/100 || limit > c.want*101/100 {
			t.Errorf("%s: %d bytes may wait (expected %d)", name, limit, c.want)
		}
	}
}

// A link that was slow is known to be fast after a few megabytes.
func TestPaceComesBack(t *testing.T) {
	var p pace
	p.wrote(64<<10, 5*time.Second)
	written, limit := 0, 0
	for limit < defaultQueueBytes {
		written += 64 << 10
		if l, known := p.wrote(64<<10, 100*time.Microsecond); known {
			limit = l
		}
		if written > 16<<20 {
			t.Fatalf("after %d bytes at 640 MB/s only %d may wait", written, limit)
		}
	}
}

// A limit that falls below what waits makes the queue full, and one that rises wakes the producer.
func TestLimitChanges(t *testing.T) {
	q := newQueue(1 << 20)
	wake := make(chan struct{}, 1)
	q.produce(wake, nil)
	for range 4 {
		if err := q.push(item{kind: Batch, buffer: newBuffer(1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if q.full.Load() {
		t.Fatal("full below its limit")
	}
	q.setLimit(1000)
	if !q.full.Load() {
		t.Error("not full above its limit")
	}
	q.setLimit(1 << 20)
	select {
	case <-wake:
	default:
		t.Error("the producer was not woken")
	}
	if q.full.Load() {
		t.Error("full below its limit")
	}
}
