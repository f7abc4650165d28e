package state

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// A list that is read again and again is looked for on disk once, and is right whatever leaves the memory meanwhile.
func TestListsThatAreReadStayInMemory(t *testing.T) {
	dir := t.TempDir()
	s, err := New(Config{Groups: 8, To: 8, Budget: 1, Dir: filepath.Join(dir, "spill"), Space: &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}})
	check(t, err)
	defer s.Close()
	lists, err := s.Sorted(Spec{Operator: "o", Name: "lists", Kind: List})
	check(t, err)
	key := []byte("key")
	hash := xxhash.Sum64(key)
	n := 0
	add := func(count int) {
		for range count {
			check(t, lists.Append(hash, key, fmt.Append(nil, n)))
			n++
		}
	}
	leave := func() { // two rounds
		for i := range 3 {
			other := fmt.Appendf(nil, "other %d", i)
			check(t, lists.Append(xxhash.Sum64(other), other, other))
			check(t, s.Trim())
		}
	}
	read := func() {
		t.Helper()
		i := 0
		check(t, lists.Scan(hash, key, nil, func(_, value []byte, _ uint16) bool {
			if string(value) != fmt.Sprint(i) {
				t.Errorf("element %d is %q", i, value)
			}
			i++
			return true
		}))
		if i != n {
			t.Errorf("%d elements (expected %d)", i, n)
		}
	}
	where := func() markerAt {
		g := gathering{t: s.(*hot).states[stateName{"o", "lists"}].elements, marker: appendMarker(nil, key)}
		g.look()
		return g.at
	}
	add(100)
	leave()
	if where() != nowhere {
		t.Error("a list that nobody has read is marked as read")
	}
	read()
	if where() != inYoung {
		t.Error("a list that was read is not marked")
	}
	for range 5 {
		add(1)
		read()
		check(t, s.Trim())
		read()
		if where() != inYoung {
			t.Error("a list that is read all the time has left the memory")
		}
	}
	leave()
	if where() != nowhere {
		t.Error("a list that nobody reads any more has not left the memory")
	}
	add(1)
	read()
	check(t, lists.Clear(hash, key))
	n = 0
	read()
	add(gatherElements + 10)
	read()
	leave()
	read()
	if where() != nowhere {
		t.Error("a list that is too long is marked as if all of it were in memory")
	}
}
