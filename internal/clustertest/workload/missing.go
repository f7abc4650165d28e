package workload

import (
	"errors"
	"fmt"
)

// errMissing says that something did not come out, and that what did is right.
var errMissing = errors.New("the rest is as it must be")

func missing(format string, args ...any) error {
	return fmt.Errorf(format+" (%w)", append(args, errMissing)...)
}

// worst is the first error that is about what came out, or else the first.
func worst(errs ...error) (first error) {
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, errMissing) && !errors.Is(err, errMissing)) {
			first = err
		}
	}
	return first
}

// sameNumbers holds numbers that came out, in any order, against those that are wanted.
func sameNumbers(of string, want, got []int64) error {
	left := map[int64]int{}
	for _, n := range want {
		left[n]++
	}
	for _, n := range got {
		if left[n]--; left[n] < 0 {
			return fmt.Errorf("%s: %d records came out of %d, or others than went in, such as %d", of, len(got), len(want), n)
		}
	}
	if len(got) < len(want) {
		return missing("%s: %d records came out of %d", of, len(got), len(want))
	}
	return nil
}

// sameLines holds the lines of an output against how often each is wanted.
func sameLines(output string, want map[string]int, got []string, as func(string) string) error {
	if len(want) == 0 {
		return fmt.Errorf("%s: nothing is wanted, so nothing is tested", output)
	}
	for _, l := range got {
		if want[as(l)] == 0 {
			return fmt.Errorf("%s: %q came out, or came out again", output, l)
		}
		want[as(l)]--
	}
	for l, n := range want {
		if n > 0 {
			return missing("%s: %q did not come out", output, l)
		}
	}
	return nil
}

// itself is what a line is wanted as that is told exactly.
func itself(line string) string { return line }
