package taskmanager

import "github.com/wasmill/wasmill/internal/checkpoint"

// A state is a file of everything, and files of what has changed since. Each file makes restoring slower, what is written
// anew makes checkpoints dearer. Both are bounded by sizes: a change is written once, then about once more when the files
// of changes together are as large as the first, and small ones a few times on the way there.
const (
	// foldAt is how many files make up a state before some are folded.
	foldAt = 24
	// foldLeast is how many files are folded at least: fewer at a time would be folded over and over.
	foldLeast = 8
)

// outgrown says whether what has changed, file by file, is as much as everything was.
func outgrown(files []checkpoint.File) bool {
	if len(files) < 2 {
		return false
	}
	return sizeOf(files[1:]) >= files[0].Size
}

// replaces says whether a file of everything is about as large as one of the changes of a checkpoint, and so may take its
// place. A larger one is written behind the checkpoint, which would be late otherwise.
func replaces(files []checkpoint.File) bool {
	return files[0].Size <= 4*files[len(files)-1].Size
}

// toFold answers from which file on they are to be folded into one, -1 for none.
func toFold(files []checkpoint.File) int {
	n := len(files)
	switch {
	case n < foldAt:
		return -1
	case outgrown(files):
		return 0
	}
	from := n - foldLeast
	sum := sizeOf(files[from:])
	for from > 1 && files[from-1].Size <= sum {
		from--
		sum += files[from].Size
	}
	return from
}

func sizeOf(files []checkpoint.File) (sum int64) {
	for _, f := range files {
		sum += f.Size
	}
	return sum
}
