package state

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// What has outlived its TTL leaves the disk though nobody touches it, while other things are written and when nothing is.
func TestWhatHasEndedLeavesTheDisk(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprint("busy ", busy), func(t *testing.T) {
			dir := t.TempDir()
			s, err := New(Config{Groups: 8, To: 8, Budget: 1, Dir: filepath.Join(dir, "spill"), Space: &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}})
			check(t, err)
			defer s.Close()
			h := s.(*hot)
			briefly, err := s.Sorted(Spec{Operator: "o", Name: "briefly", Kind: Map, TTL: 1000})
			check(t, err)
			forEver, err := s.Sorted(Spec{Operator: "o", Name: "for ever", Kind: Map})
			check(t, err)
			put := func(m Sorted, first, n int) {
				for i := first; i < first+n; i++ {
					key := fmt.Appendf(nil, "key %d", i)
					check(t, m.Put(xxhash.Sum64(key), key, []byte("sub key"), []byte("a value")))
				}
			}
			trim := func() {
				check(t, s.Trim())
				check(t, h.cold.wait())
			}
			onDisk := func() (n int) {
				trim() // young becomes old
				trim()
				trim()
				v := h.cold.disk.files.View()
				defer v.Close()
				check(t, v.Scan(nil, nil, func(_, value []byte) bool { n++; return true }))
				return n
			}
			put(briefly, 0, 3000)
			put(forEver, 0, 500)
			trim()
			put(briefly, 3000, 100) // the first ones go to disk
			trim()
			put(briefly, 3100, 100)
			if n := onDisk(); n < 3000 {
				t.Fatalf("%d entries on disk (expected >= 3000): nothing is tested", n)
			}
			before := onDisk()
			for turn := range 40 {
				s.SetTime(int64(500 + 100*turn))
				if busy {
					put(forEver, 500+10*turn, 10)
				}
				trim()
				if turn == 3 && onDisk() < before {
					t.Errorf("%d entries on disk before any has ended (expected >= %d)", onDisk(), before)
				}
			}
			if n, most := onDisk(), 500+40*10; n > most || n < 400 {
				t.Errorf("%d entries on disk after the others have ended (expected 400 to %d)", n, most)
			}
			for i := range 500 {
				key := fmt.Appendf(nil, "key %d", i)
				if v, _, err := forEver.Get(xxhash.Sum64(key), key, []byte("sub key")); string(v) != "a value" || err != nil {
					t.Fatalf("%s has %q, %v (expected a value)", key, v, err)
				}
			}
		})
	}
}

// What is set once, and has ended, is not written, and not looked for where it lies.
func TestWhatIsSetOnceIsNotLookedForOnceItHasEnded(t *testing.T) {
	dir := t.TempDir()
	s, err := New(Config{Groups: 8, To: 8, Budget: 1, Dir: filepath.Join(dir, "spill"), Space: &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}})
	check(t, err)
	defer s.Close()
	h := s.(*hot)
	m, err := s.Sorted(Spec{Operator: "o", Name: "n", Kind: Map, TTL: 1000, Once: true})
	check(t, err)
	key := []byte("key")
	put := func(first int) {
		for i := first; i < first+100; i++ {
			check(t, m.Put(xxhash.Sum64(key), key, fmt.Appendf(nil, "%04d", i), []byte("a value")))
		}
	}
	table := m.(*sorted).t
	toDisk := func() {
		for range 2 { // young, then old
			if was := table.turn(); was != nil {
				check(t, h.cold.begin(h, []flushing{h.toDisk(table, was)}))
				check(t, h.cold.wait())
			}
		}
	}
	holds := func() (n int) {
		check(t, m.Scan(xxhash.Sum64(key), key, []byte{0}, func(_, _ []byte, _ uint16) bool { n++; return true }))
		return n
	}
	put(0)
	toDisk()
	if n := holds(); n != 100 || !table.onDisk() {
		t.Fatalf("%d elements, on disk: %v (expected 100, true)", n, table.onDisk())
	}
	s.SetTime(500)
	put(100) // they stay in memory
	s.SetTime(1000)
	if n := holds(); n != 100 || table.onDisk() {
		t.Errorf("%d elements, on disk: %v (expected the 100 in memory, and nothing is looked for)", n, table.onDisk())
	}
	toDisk()
	if n := holds(); n != 100 || !table.onDisk() {
		t.Errorf("%d elements, on disk: %v (expected 100, true)", n, table.onDisk())
	}
	put(200)
	s.SetTime(2000)
	toDisk()
	check(t, h.cold.disk.files.ScanVersion(dirtyVersion(h.gen), nil, func(k, _ []byte, deleted bool) error {
		if at := string(k[len(k)-4:]); at >= "0200" {
			t.Fatalf("element %s was written, deleted: %v (expected nothing of what had ended before)", at, deleted)
		}
		return nil
	}))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
