package exchange

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// write makes an output of n batches, of which every fifth goes to all receivers, and answers what each is to get.
func writeOutput(t *testing.T, path string, receivers, n int) (want [][]string) {
	t.Helper()
	o, err := CreateOutput(path, receivers, func(int64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	want = make([][]string, receivers)
	r := rand.New(rand.NewPCG(uint64(n), 0))
	for i := range n {
		b := newBuffer(leastBatch + r.IntN(5000))
		clear(b.Bytes())
		copy(b.Bytes(), fmt.Sprint("batch ", i))
		first, count := r.IntN(receivers), 1
		if i%5 == 0 {
			first, count = 0, receivers
		}
		for k := range count {
			want[first+k] = append(want[first+k], string(b.Bytes()))
		}
		o.Send(first, count, b)
	}
	o.End()
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	return want
}

func readOutput(path string, receiver int) (got []string, err error) {
	r, err := OpenRecorded(path, receiver)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, string(b.Bytes()))
		b.Release()
	}
}

// Each receiver gets what was sent to it, in order, and again.
func TestOutputsAreReplayed(t *testing.T) {
	for _, n := range []int{0, 1, 300} {
		path := filepath.Join(t.TempDir(), "below", "output")
		want := writeOutput(t, path, 4, n)
		for range 2 {
			for receiver := range want {
				if got, err := readOutput(path, receiver); err != nil || !slices.Equal(got, want[receiver]) {
					t.Errorf("receiver %d of %d batches: %d (expected %d), %v", receiver, n, len(got), len(want[receiver]), err)
				}
			}
		}
	}
}

// A byte that has changed anywhere, and an end that is missing, are found by the receivers whose batches they are in, and what is
// read is what was written.
func TestADamagedOutputIsNotReplayed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "output")
	want := writeOutput(t, path, 2, 12)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 1 + len(whole)/400 {
		found := false
		for name, content := range map[string][]byte{"changed": slices.Clone(whole), "cut": whole[:at]} {
			if name == "changed" {
				content[at] ^= 0x41
			}
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			for receiver := range want {
				got, err := readOutput(path, receiver)
				found = found || err != nil
				if len(got) > len(want[receiver]) || !slices.Equal(got, want[receiver][:len(got)]) {
					t.Fatalf("%s at byte %d: receiver %d gets what was not sent", name, at, receiver)
				}
				if err == nil && !slices.Equal(got, want[receiver]) {
					t.Fatalf("%s at byte %d of %d: receiver %d misses %d batches without an error", name, at, len(whole), receiver, len(want[receiver])-len(got))
				}
			}
			if !found {
				t.Errorf("%s at byte %d: nobody has noticed", name, at)
			}
			found = false
		}
	}
}

// What a task has begun and not ended is removed, and a disk without room is told of.
func TestAnOutputWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "output")
	full := errors.New("the disk is full")
	if _, err := CreateOutput(path, 1, func(int64) error { return full }); !errors.Is(err, full) {
		t.Errorf("%v (expected %v)", err, full)
	}
	room := int64(2)
	o, err := CreateOutput(path, 1, func(int64) error {
		if room--; room < 0 {
			return full
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; o.Err() == nil && i < 1000; i++ {
		o.Send(0, 1, newBuffer(1<<20))
	}
	if !errors.Is(o.Err(), full) {
		t.Errorf("%v (expected %v)", o.Err(), full)
	}
	o.End()
	o.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}
