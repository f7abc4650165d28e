package allocs

import "testing"

var kept []byte // what is allocated must be seen

func TestOthersAreNotCounted(t *testing.T) {
	n := 0
	disturbed := func() {
		if n++; n < 30 { // as if others allocated during the first tries
			kept = make([]byte, 100)
		}
	}
	if got := PerRun(10, disturbed); got != 0 {
		t.Errorf("%v allocations of a function without any", got)
	}
	if got := PerRun(10, func() { kept = make([]byte, 100) }); got != 1 {
		t.Errorf("%v allocations of a function with one", got)
	}
}
