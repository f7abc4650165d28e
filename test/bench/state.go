package main

import (
	"bytes"
	"fmt"
	"regexp"
	"text/tabwriter"
)

var largeLine = regexp.MustCompile(`large(?:_elements)?_test\.go:\d+: (.*): (.*)`)

// largeState measures a state that does not fit in memory; the test that does checks its counts.
func largeState(w *tabwriter.Writer, _ string) error {
	fmt.Fprintln(w, "STATE\tmeasured\taim")
	if err := largeFigures(w, "^TestLargeState$", 20_000_000, 256<<20, ">= 60,000 a second and core", "< 5 ms", ""); err != nil {
		return err
	}
	return largeFigures(w, "^TestLargeElements$", 6_000_000, 64<<20, "", "", "< 5 ms", "")
}

// largeFigures shows what a test measures.
func largeFigures(w *tabwriter.Writer, test string, keys, budget int, aims ...string) error {
	var out bytes.Buffer
	_, _, _, err := child(&out, "go", "test", "-count", "1", "-v", "-timeout", "20m", "-run", test, "./taskmanager/state", "-large-keys", fmt.Sprint(keys),
		"-large-budget", fmt.Sprint(budget), "-large-updates", "3000000", "-large-changed", "1000000", "-large-entries", "10000000")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out.String())
	}
	lines := largeLine.FindAllStringSubmatch(out.String(), -1)
	if len(lines) != len(aims) {
		return fmt.Errorf("large state: %d figures (expected %d) in\n%s", len(lines), len(aims), out.String())
	}
	for i, m := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\n", m[1], m[2], aims[i])
	}
	return nil
}
