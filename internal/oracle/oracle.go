// Package oracle holds code against what it is defined to be, over random cases. It knows how to make the cases of a seed and
// how to make one that fails smaller; it refuses to know what a case is made of: that is whatever a test draws.
package oracle

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
)

// Check runs a test over so many random cases, one a seed, and stops at the first that fails: it prints the seed and what the
// test said, and does the same for the smallest case that it finds to fail, too. A test draws from r alone, in an order that
// depends on nothing else, and draws small numbers for small cases.
func Check(t *testing.T, cases int, test func(t testing.TB, r *rand.Rand)) {
	t.Helper()
	for seed := range uint64(cases) {
		drawn := &tape{more: rand.NewPCG(seed, 0)}
		first := attempt(t, drawn, test)
		if first == "" {
			continue
		}
		least, said := shrink(drawn.values, func(values []uint64) string { return attempt(t, &tape{values: values}, test) })
		if said == "" {
			t.Fatalf("seed %d: %s\n(it does not fail again: the test draws from more than r, or the code from more than its input)", seed, first)
		}
		t.Fatalf("seed %d: %s\nthe smallest such case (%d of %d draws) says: %s", seed, first, len(least), len(drawn.values), said)
	}
}

// tape is a source of numbers that it remembers: those it has, then more, or least where there are none.
type tape struct {
	values []uint64
	read   int
	more   rand.Source // nil: there are none
}

// least is the number from which rand.Rand makes the smallest of a range: its low half is what a power of two takes, its
// high half, for all else, is not 0, which would be drawn again for ever.
const least = 1 << 32

// endless is how many draws a case takes behind its end before it is given up: it draws for ever.
const endless = 10_000

// Uint64 implements rand.Source.
func (s *tape) Uint64() uint64 {
	s.read++
	switch {
	case s.read <= len(s.values):
		return s.values[s.read-1]
	case s.more == nil && s.read > len(s.values)+endless:
		panic(gaveUp{})
	case s.more == nil:
		return least
	}
	v := s.more.Uint64()
	s.values = append(s.values, v)
	return v
}

// try is the test of one case: it remembers the first that the case has failed by, and does not fail the test as a whole.
type try struct {
	testing.TB
	said string
}

// gaveUp is what a case panics with that is over.
type gaveUp struct{}

func (c *try) say(text string) {
	if c.said == "" {
		c.said = text
	}
}

func (c *try) Failed() bool                      { return c.said != "" }
func (c *try) Fail()                             { c.say("it failed") }
func (c *try) FailNow()                          { c.Fail(); panic(gaveUp{}) }
func (c *try) Error(args ...any)                 { c.say(fmt.Sprint(args...)) }
func (c *try) Errorf(format string, args ...any) { c.say(fmt.Sprintf(format, args...)) }
func (c *try) Fatal(args ...any)                 { c.Error(args...); c.FailNow() }
func (c *try) Fatalf(format string, args ...any) { c.Errorf(format, args...); c.FailNow() }

// attempt runs one case and returns what it has failed by, "" if it passes.
func attempt(t testing.TB, drawn *tape, test func(t testing.TB, r *rand.Rand)) (said string) {
	c := &try{TB: t}
	defer func() {
		switch p := recover().(type) {
		case nil, gaveUp: // of one that draws for ever nothing is said
		default:
			c.say(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
		}
		said = c.said
	}()
	test(c, rand.New(drawn))
	return
}

// tries is how many smaller cases are looked at, at most.
const tries = 3000

// shrink leaves out draws and makes those that are left smaller, as long as the case fails: the last that did, and by what.
func shrink(values []uint64, fails func([]uint64) string) (shrunk []uint64, said string) {
	s := &shrinking{values: values, fails: fails, said: fails(values), left: tries}
	for s.said != "" && (s.shorten() || s.lower()) && s.left > 0 {
	}
	return s.values, s.said
}

type shrinking struct {
	values []uint64 // the smallest case yet
	said   string   // what it fails by
	fails  func([]uint64) string
	left   int // tries
}

// try takes a case for the smallest if it fails.
func (s *shrinking) try(values []uint64) bool {
	if s.left--; s.left < 0 {
		return false
	}
	said := s.fails(values)
	if said != "" {
		s.values, s.said = values, said
	}
	return said != ""
}

// shorten leaves out runs of draws, long ones first.
func (s *shrinking) shorten() bool {
	before := len(s.values)
	for run := before; run > 0; run /= 2 {
		for at := 0; at+run <= len(s.values); {
			if !s.try(slices.Delete(slices.Clone(s.values), at, at+run)) {
				at += run
			}
		}
	}
	return len(s.values) < before
}

// lower looks for the least of each draw, by halves.
func (s *shrinking) lower() (any bool) {
	for at, v := range s.values {
		for low, high := uint64(least>>32), v>>32; low < high; {
			smaller := slices.Clone(s.values)
			middle := low + (high-low)/2
			if smaller[at] = middle << 32; s.try(smaller) {
				high, any = middle, true
			} else {
				low = middle + 1
			}
		}
	}
	return any
}
