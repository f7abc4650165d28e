package conformance_test

import (
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host/hosttest"
)

// What a guest counts is taken back with the call that fails; what it logs is not, so that the cause can be read.
func TestGuestsLogAndCount(t *testing.T) {
	for name, wasm := range guests(t, usualGuest) {
		t.Run(name, func(t *testing.T) {
			g := hosttest.Open(t, wasm, map[string]string{"prefix": "-"})
			picky := g.Chain("picky")
			text := func(value string) hosttest.Record {
				return hosttest.Record{Timestamp: abi.NoTimestamp, Value: value}
			}
			picky.Process(text("good"), text("odd"))
			if _, err := picky.Try(text("odd"), text("bad")); err == nil {
				t.Error("a bad text was taken")
			}
			if texts, odd := g.Metric("texts"), g.Metric("odd"); texts != 2 || odd != 7 {
				t.Errorf("texts %d, odd %d (expected 2 and 7)", texts, odd)
			}
			if logs := strings.Join(g.Logs(), "\n"); strings.Count(logs, "an odd text") != 2 {
				t.Errorf("logs: %q", logs)
			}
		})
	}
}
