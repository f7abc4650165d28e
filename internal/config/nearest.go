package config

// Nearest returns the word that is the fewest edits away from the one given; empty when there are no words.
func Nearest(word string, words []string) string {
	best, least := "", -1
	for _, w := range words {
		if d := edits(word, w); least < 0 || d < least {
			best, least = w, d
		}
	}
	return best
}

// edits counts the insertions, deletions and replacements that turn a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1) // row[j]: edits from what has been read of a to b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
