//go:build faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// breach is one way to break what a job has saved.
type breach struct {
	what  string
	files []string // names in the store
	do    func(path func(name string) string) error
}

const blockSize = 4096

// blocks are all blocks of all files: one bit of each is another one.
func blocks(x *run, root string, names []string) (all []breach) {
	for _, name := range names {
		for at := int64(0); at < x.sizeOf(root, name); at += blockSize {
			at := at + x.random.Int64N(min(blockSize, x.sizeOf(root, name)-at))
			all = append(all, breach{fmt.Sprintf("flipped at %d of %s", at, name), []string{name}, func(path func(string) string) error {
				return change(path(name), func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
			}})
		}
	}
	return all
}

// lengths cut files, or add to them.
func lengths(x *run, root string, names []string) (all []breach) {
	for _, name := range names {
		n := x.random.Int64N(x.sizeOf(root, name))
		all = append(all,
			breach{fmt.Sprintf("truncated to %d %s", n, name), []string{name}, func(path func(string) string) error { return os.Truncate(path(name), n) }},
			breach{"emptied " + name, []string{name}, func(path func(string) string) error { return os.Truncate(path(name), 0) }},
			breach{"extended " + name, []string{name}, func(path func(string) string) error {
				return change(path(name), func(b []byte) []byte { return append(b, b[len(b)/2:]...) })
			}})
	}
	return all
}

// swaps exchange files of one size.
func swaps(x *run, root string, names []string) (all []breach) {
	for i, a := range names {
		for _, b := range names[i+1:] {
			if x.sizeOf(root, a) == x.sizeOf(root, b) {
				all = append(all, breach{fmt.Sprintf("swapped %s and %s", a, b), []string{a, b}, func(path func(string) string) error {
					return swap(path(a), path(b))
				}})
			}
		}
	}
	return all
}

// removals take files away.
func removals(_ *run, _ string, names []string) (all []breach) {
	for _, name := range names {
		all = append(all, breach{"removed " + name, []string{name}, func(path func(string) string) error { return os.Remove(path(name)) }})
	}
	return all
}

func (x *run) sizeOf(root, name string) int64 {
	x.t.Helper()
	info, err := os.Stat(filepath.Join(root, name))
	if err != nil {
		x.t.Fatal(err)
	}
	return info.Size()
}

func change(path string, how func(b []byte) []byte) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, how(b), 0o600)
}

func swap(a, b string) error {
	for _, r := range [][2]string{{a, a + "~"}, {b, a}, {a + "~", b}} {
		if err := os.Rename(r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

// spoil flips a bit, cuts, or zeroes a part.
func spoil(b []byte, r *rand.Rand) []byte {
	if len(b) == 0 {
		return b
	}
	at := r.IntN(len(b))
	switch r.IntN(3) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
	case 1:
		b = b[:at]
	case 2:
		clear(b[at:])
	}
	return b
}
