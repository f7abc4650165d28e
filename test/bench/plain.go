package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sort"
)

// plainCount counts the words of a file the way a careful Go programmer would without any engine: one thread, blocks of
// bytes, one map whose counters are found without making a string.
func plainCount(path string) (map[string]*int64, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	counts := make(map[string]*int64, 1<<15)
	var words int64
	var word []byte
	add := func() {
		if c := counts[string(word)]; c != nil {
			*c++
		} else {
			one := int64(1)
			counts[string(word)] = &one
		}
		words++
		word = word[:0]
	}
	var lower [256]byte // a letter's lower case, 0 for what is not a letter
	for c := 'a'; c <= 'z'; c++ {
		lower[c], lower[c-'a'+'A'] = byte(c), byte(c)
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := f.Read(buf)
		for _, c := range buf[:n] {
			if l := lower[c]; l != 0 {
				word = append(word, l)
			} else if len(word) > 0 {
				add()
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if len(word) > 0 {
		add()
	}
	return counts, words, nil
}

// writeCounts writes word<TAB>count lines in the order of the words.
func writeCounts(w io.Writer, counts map[string]*int64) error {
	words := make([]string, 0, len(counts))
	for word := range counts {
		words = append(words, word)
	}
	sort.Strings(words)
	out := bufio.NewWriter(w)
	for _, word := range words {
		fmt.Fprintf(out, "%s\t%d\n", word, *counts[word])
	}
	return out.Flush()
}
