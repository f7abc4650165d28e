package spill_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

func open(t *testing.T, disk *spill.Disk, quota int64) (*spill.Map, string) {
	t.Helper()
	disk.Dir = t.TempDir()
	dir := filepath.Join(disk.Dir, "map")
	m, err := spill.Open(dir, &spill.Space{Disk: disk, Dir: disk.Dir, Quota: quota}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return m, dir
}

func write(t *testing.T, m *spill.Map, version uint64, puts map[string]string, deletes ...string) {
	t.Helper()
	b := m.Batch()
	for k, v := range puts {
		if err := b.Put([]byte(k), []byte(v), version); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range deletes {
		if err := b.Delete([]byte(k), version); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
}

func versionOf(t *testing.T, m *spill.Map, version uint64, prefix string) string {
	t.Helper()
	var all []string
	err := m.ScanVersion(version, []byte(prefix), func(key, value []byte, deleted bool) error {
		if deleted {
			value = []byte("-")
		}
		all = append(all, fmt.Sprintf("%s=%s", key, value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// What was written at a version is found by it, whatever is written later.
func TestVersionsStayApart(t *testing.T) {
	m, dir := open(t, &spill.Disk{}, 0)
	write(t, m, 2, map[string]string{"a1": "clean", "b1": "other"})
	write(t, m, 3, map[string]string{"a1": "first", "a2": "x"})
	write(t, m, 3, map[string]string{"a1": "second"}, "a3")
	write(t, m, 5, map[string]string{"a1": "later"}, "a2")
	for _, c := range []struct {
		version uint64
		want    string
	}{{2, "a1=clean"}, {3, "a1=second a2=x a3=-"}, {4, ""}, {5, "a1=later a2=-"}} {
		if got := versionOf(t, m, c.version, "a"); got != c.want {
			t.Errorf("version %d has %q (expected %q)", c.version, got, c.want)
		}
	}
	v := m.View()
	var got []string
	if err := v.Scan([]byte("a"), []byte("a"), func(k, val []byte) bool { got = append(got, string(k)+"="+string(val)); return true }); err != nil {
		t.Fatal(err)
	}
	v.Close()
	if s := strings.Join(got, " "); s != "a1=later" {
		t.Errorf("newest of a: %q (expected a1=later)", s)
	}
	if err := m.DeleteAll([]byte("a"), 7); err != nil {
		t.Fatal(err)
	}
	if got := versionOf(t, m, 7, ""); got != "a1=-" {
		t.Errorf("version 7 has %q (expected a1=-)", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

// Before the disk is full, writing is refused by an error that names the option.
func TestFullDiskIsRefused(t *testing.T) {
	free := int64(1 << 40)
	disk := &spill.Disk{Reserve: 1 << 20, Free: func(string) (int64, error) { return free, nil }}
	m, _ := open(t, disk, 0)
	defer m.Close()
	write(t, m, 1, map[string]string{"a": "1"})
	free = 1<<20 + 1
	b := m.Batch()
	err := b.Put([]byte("a"), []byte("2"), 1)
	b.Cancel()
	var full *spill.FullError
	if !errors.As(err, &full) || full.Option != "state.reserve" {
		t.Fatalf("a write on a full disk: %v (expected a FullError of state.reserve)", err)
	}
	if _, err := spill.Open(filepath.Join(disk.Dir, "other"), &spill.Space{Disk: disk, Dir: disk.Dir}, 1<<20); !errors.As(err, &full) {
		t.Errorf("open on a full disk: %v (expected a FullError)", err)
	}
	v := m.View()
	defer v.Close()
	if ok, err := v.Get([]byte("a"), func([]byte) error { return nil }); !ok || err != nil {
		t.Errorf("what was written before is not there: %v, %v", ok, err)
	}
}

func TestQuotaIsHeld(t *testing.T) {
	used := int64(0)
	m, _ := open(t, &spill.Disk{Used: func(string) (int64, error) { return used, nil }}, 64<<20)
	defer m.Close()
	write(t, m, 1, map[string]string{"a": "1"})
	used = 64<<20 - 1
	b := m.Batch()
	defer b.Cancel()
	var full *spill.FullError
	if err := b.Put([]byte("a"), []byte("2"), 1); !errors.As(err, &full) || full.Option != "state.quota" {
		t.Fatalf("a write past the quota: %v (expected a FullError of state.quota)", err)
	}
}

// Seek finds the first key at or behind a place, wherever the iterator was before.
func TestSeek(t *testing.T) {
	m, _ := open(t, &spill.Disk{}, 0)
	defer m.Close()
	write(t, m, 1, map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"})
	write(t, m, 2, nil, "b", "c")
	view := m.View()
	defer view.Close()
	it := view.Iterator(nil)
	defer it.Close()
	for _, c := range []struct{ from, want string }{
		{"b", "d"}, {"c", "d"}, {"cc", "d"}, {"d", "d"}, {"a", "a"}, {"b", "d"}, {"next", "e"}, {"d", "d"}, {"e", "e"},
		{"f", ""}, {"g", ""}, {"c", "d"}, {"next", "e"}, {"c", "d"}, {"f", ""}, {"a", "a"}, {"next", "d"}, {"a", "a"},
	} {
		there, err := false, error(nil)
		if c.from == "next" {
			there, err = it.Next()
		} else {
			there, err = it.Seek([]byte(c.from))
		}
		got := ""
		if there {
			got = string(it.Key())
		}
		if err != nil || got != c.want {
			t.Errorf("at %q is %q, %v (expected %q)", c.from, got, err, c.want)
		}
	}
}

// Values that are too large to be merged have a file each, which is there as long as somebody may ask for it.
func TestLargeValues(t *testing.T) {
	m, dir := open(t, &spill.Disk{}, 0)
	defer m.Close()
	large := func(c string, n int) string { return strings.Repeat(c, n) }
	short := func(version uint64) string {
		var all []string
		err := m.ScanVersion(version, nil, func(key, value []byte, deleted bool) error {
			switch {
			case deleted:
				all = append(all, string(key)+" deleted")
			default:
				all = append(all, fmt.Sprintf("%s=%d%c", key, len(value), value[len(value)-1]))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, " ")
	}
	files := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "value-*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	write(t, m, 3, map[string]string{"a": large("a", 2<<20), "b": large("b", 16<<20), "c": "small", "d": large("d", 64<<10+1), "e": large("e", 64<<10)})
	write(t, m, 3, map[string]string{"a": large("A", 3<<20)})
	write(t, m, 5, map[string]string{"a": large("x", 1<<20), "c": large("c", 1<<20), "d": "small"}, "b")
	for version, want := range map[uint64]string{3: "a=3145728A b=16777216b c=5l d=65537d e=65536e", 5: "a=1048576x b deleted c=1048576c d=5l"} {
		if got := short(version); got != want {
			t.Errorf("version %d has %q (expected %q)", version, got, want)
		}
	}
	if n := files(); n != 6 {
		t.Errorf("%d files (expected 6: nothing was forgotten)", n)
	}
	m.Forget(5)
	write(t, m, 7, map[string]string{"f": "small"})
	if n := files(); n != 2 {
		t.Errorf("%d files (expected 2: of a and c)", n)
	}
	v := m.View()
	var got []string
	if err := v.Scan(nil, nil, func(k, val []byte) bool { got = append(got, fmt.Sprintf("%s=%d", k, len(val))); return true }); err != nil {
		t.Fatal(err)
	}
	v.Close()
	if s := strings.Join(got, " "); s != "a=1048576 c=1048576 d=5 e=65536 f=5" {
		t.Errorf("the newest are %q", s)
	}
	if err := m.DeleteAll(nil, 9); err != nil {
		t.Fatal(err)
	}
	m.Forget(9)
	write(t, m, 11, map[string]string{"g": "small"})
	if n := files(); n != 0 {
		t.Errorf("%d files (expected none: all was deleted)", n)
	}
}

// A value may be replaced, and its file removed, while somebody reads it: what is read is one of the values.
func TestLargeValuesAreReplacedWhileTheyAreRead(t *testing.T) {
	m, _ := open(t, &spill.Disk{}, 0)
	defer m.Close()
	put := func(version uint64) {
		b := m.Batch()
		for _, k := range []string{"a", "b"} {
			if err := b.Put([]byte(k), []byte(strings.Repeat(string(rune('a'+version%26)), 100<<10)), version); err != nil {
				t.Error(err)
			}
		}
		if err := b.Flush(); err != nil {
			t.Error(err)
		}
		m.Forget(version)
	}
	put(1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for version := uint64(2); version < 300; version++ {
			put(version)
		}
	}()
	whole := func(v []byte) {
		if len(v) != 100<<10 || strings.Count(string(v), string(v[:1])) != len(v) {
			t.Error("a value is not whole")
		}
	}
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		v := m.View()
		there, err := v.Get([]byte("a"), func(value []byte) error { whole(value); return nil })
		if err != nil || !there {
			t.Fatalf("a is there: %v, %v", there, err)
		}
		n := 0
		if err := v.Scan(nil, nil, func(_, value []byte) bool { whole(value); n++; return true }); err != nil || n != 2 {
			t.Fatalf("%d keys, %v (expected 2)", n, err)
		}
		v.Close()
	}
}
