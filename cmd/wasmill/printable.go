package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printable is text that others have written as a terminal may show it: characters that would move the cursor, change
// the terminal or hide are written as Go writes them in strings, \x1b for escape.
func printable(s string) string {
	if isPrintable(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strconv.IsGraphic(r):
			b.WriteString(s[:n])
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[n:]
	}
	return b.String()
}

func isPrintable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsGraphic(r) {
			return false
		}
	}
	return true
}

// oneParagraph makes a message printable, and keeps lines that follow the first one visibly part of it.
func oneParagraph(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		lines[i] = printable(strings.TrimRight(lines[i], "\r"))
	}
	return strings.Join(lines, "\n  ")
}

// stackLines are the lines of a guest's stack; a function that calls itself over and over is one line: deeper (x 4,093)
func stackLines(stack string) []string {
	var lines []string
	last, times := "", int64(0)
	flush := func() {
		switch {
		case times == 1:
			lines = append(lines, last)
		case times > 1:
			lines = append(lines, fmt.Sprintf("%s (x %s)", last, count(times)))
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(stack), "\n") {
		line = strings.TrimRight(line, "\r\t ")
		if times > 0 && line == last {
			times++
			continue
		}
		flush()
		last, times = line, 1
	}
	flush()
	for i := range lines {
		indent := len(lines[i]) - len(strings.TrimLeft(lines[i], "\t"))
		lines[i] = strings.Repeat("  ", indent) + printable(lines[i][indent:])
	}
	return lines
}
