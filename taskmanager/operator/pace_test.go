package operator

import (
	"testing"
	"time"
)

// So many keys fire in a call as take about the time that a barrier may wait, whether one takes a microsecond or a second.
func TestPaceIsWhatABarrierMayWaitFor(t *testing.T) {
	for _, c := range []struct {
		key         time.Duration
		least, most int
	}{
		{time.Microsecond, fireRecords, fireRecords},
		{200 * time.Microsecond, 240, 260},
		{2 * time.Millisecond, 24, 26},
		{time.Second, 1, 1},
	} {
		var p pace
		for range 20 {
			p.keys(p.of(fireRecords))
			p.n = p.next(time.Duration(p.fired) * c.key)
			p.fired = 0
		}
		if n := p.of(fireRecords); n < c.least || n > c.most {
			t.Errorf("%v a key: %d fire in a call (expected %d to %d)", c.key, n, c.least, c.most)
		}
	}
}

// A call in which few keys are due says nothing about how many more would take.
func TestPaceGrowsWithWhatHasFired(t *testing.T) {
	p := pace{n: 64}
	p.end()
	if p.n != 64 {
		t.Errorf("nothing has fired, and %d keys fire in a call (expected 64)", p.n)
	}
	p.keys(1)
	if n := p.next(10 * time.Millisecond); n != 5 {
		t.Errorf("one key took 10 ms, and %d fire in a call (expected 5)", n)
	}
}

// Nobody knows what a key takes before one has fired: the first call is of one. Cheap ones soon go out by the thousand.
func TestPaceBeginsWithOneKey(t *testing.T) {
	for _, c := range []struct {
		key  time.Duration
		want []int // keys of each call
	}{
		{0, []int{1, 16, 256, fireRecords}},
		{10 * time.Microsecond, []int{1, 16, 256, fireRecords}},
		{200 * time.Microsecond, []int{1, 16, 62, 124, 248, 250}},
		{3 * time.Millisecond, []int{1, 4, 8, 16, 16}},
		{20 * time.Millisecond, []int{1, 2, 2}},
		{time.Second, []int{1, 1, 1}},
	} {
		var p pace
		for i, want := range c.want {
			n := p.of(fireRecords)
			if n != want {
				t.Errorf("%v a key: call %d is of %d (expected %d)", c.key, i, n, want)
			}
			p.keys(n)
			p.n = p.next(time.Duration(n) * c.key)
			p.fired = 0
		}
	}
}
