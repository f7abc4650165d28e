package main

import (
	"bytes"
	"fmt"
	"regexp"
	"text/tabwriter"
)

var largeLine = regexp.MustCompile(`large_test\.go:\d+: (.*): (.*)`)

// largeState measures a state that does not fit in memory; the test that does checks its counts.
func largeState(w *tabwriter.Writer, _ string) error {
	var out bytes.Buffer
	_, _, _, err := child(&out, "go", "test", "-count", "1", "-v", "-timeout", "20m", "-run", "^TestLargeState$", "./taskmanager/state",
		"-large-keys", "20000000", "-large-budget", fmt.Sprint(256<<20), "-large-updates", "3000000", "-large-changed", "1000000", "-large-entries", "10000000")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out.String())
	}
	aims := []string{">= 60,000 a second and core", "< 5 ms", ""}
	lines := largeLine.FindAllStringSubmatch(out.String(), -1)
	if len(lines) != len(aims) {
		return fmt.Errorf("large state: %d figures (expected %d) in\n%s", len(lines), len(aims), out.String())
	}
	fmt.Fprintln(w, "STATE\tmeasured\taim")
	for i, m := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\n", m[1], m[2], aims[i])
	}
	return nil
}
