package taskmanager

import (
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint"
)

func filesOfSizes(sizes ...int64) (files []checkpoint.File) {
	for _, s := range sizes {
		files = append(files, checkpoint.File{Size: s})
	}
	return files
}

func TestToFold(t *testing.T) {
	few := func(n int, rest ...int64) []int64 { return append(slices.Clone(rest), slices.Repeat([]int64{1}, n)...) }
	for _, c := range []struct {
		name  string
		sizes []int64
		from  int
	}{
		{"few files", few(22, 1), -1},
		{"changes that are as much as everything", few(23, 20), 0},
		{"small changes", few(23, 1000), 1},
		{"an earlier fold that is larger", few(22, 1000, 100), 2},
		{"earlier folds of about the same size", few(21, 1000, 20, 21), 1},
		{"many earlier folds", append([]int64{100000}, 2300, 2200, 2100, 2000, 1900, 1800, 1700, 1600, 1500, 1400, 1300, 1200, 1100, 1000, 900, 8, 7, 6, 5, 4, 3, 2, 1), 16},
	} {
		if from := toFold(filesOfSizes(c.sizes...)); from != c.from {
			t.Errorf("%s: from %d (expected %d)", c.name, from, c.from)
		}
	}
}

// However small the changes are, they are written few times on their way into the file of everything.
func TestFoldingWritesLittle(t *testing.T) {
	const everything, change = 1_000_000, 1000
	files, written, changed, most := filesOfSizes(everything), int64(0), int64(0), 0
	for range 5000 {
		if outgrown(files) { // as whole does, with keys that were there before
			files = filesOfSizes(everything)
			written += everything
		} else {
			files = append(files, checkpoint.File{Size: change})
			written += change
		}
		changed += change
		if from := toFold(files); from >= 0 {
			sum := sizeOf(files[from:])
			files = append(files[:from], checkpoint.File{Size: sum})
			written += sum
		}
		most = max(most, len(files))
	}
	if times := float64(written) / float64(changed); times > 5 || most > foldAt {
		t.Errorf("each byte is written %.1f times, of up to %d files (expected <= 5, %d)", times, most, foldAt)
	} else {
		t.Logf("each byte is written %.1f times", times)
	}
}
