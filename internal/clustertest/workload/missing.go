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
