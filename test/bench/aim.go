package main

import (
	"fmt"
	"os"
)

// aim is what a figure is to be, at least or at most; 0 is no bound.
type aim struct{ least, most float64 }

// verdict says the aim, and whether a figure reaches it.
func (a aim) verdict(got float64) string {
	word := "reached"
	if got < a.least || a.most > 0 && got > a.most {
		word = "MISSED"
	}
	switch {
	case a.least > 0:
		return fmt.Sprintf(">= %.4g: %s", a.least, word)
	case a.most > 0:
		return fmt.Sprintf("<= %.4g: %s", a.most, word)
	}
	return ""
}

// times is Flink's figure, and how many times that ours is.
func times(k, flink float64) string {
	if flink == 0 {
		return "\t"
	}
	return fmt.Sprintf("%.0f\t%.1f", flink, k/flink)
}

// withoutCheckpoints has jobs take no checkpoints, and gives them as much memory for state as Flink had, until undo is called.
func withoutCheckpoints() (undo func()) {
	set := map[string]string{"WASMILL_STATE_BUDGET": "2GiB", "WASMILL_CHECKPOINT_INTERVAL": "0"}
	for name, value := range set {
		exitOn(os.Setenv(name, value))
	}
	return func() {
		for name := range set {
			os.Unsetenv(name)
		}
	}
}
