package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/wasmill/wasmill/internal/config"
)

// Only what guests log is printed beside an embedded run, with the subtask that it comes from.
func TestOnlyGuestsLinesArePrinted(t *testing.T) {
	c, err := config.Load(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := embeddedLog(c, &out)
	task := log.With("job", "j", "subtask", "1.0")
	task.Log(t.Context(), slog.LevelWarn, "no such book", "operator", "parse")
	task.Warn("slow")
	log.With("job", "j").Warn("output is given up", "operator", "files")
	if got, want := out.String(), "parse[1.0] WARN no such book\n"; got != want {
		t.Errorf("printed %q (expected %q)", got, want)
	}
}
