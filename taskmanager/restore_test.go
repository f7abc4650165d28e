package taskmanager

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// A damaged local copy says nothing about the object: it is removed, and the job restarts. Without one the object is damaged.
func TestDamagedLocalCopyIsDistrusted(t *testing.T) {
	dir := t.TempDir()
	local := filepath.Join(dir, "job", "files", "1.snap")
	if err := os.MkdirAll(filepath.Dir(local), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(local, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	tm := New(Config{StateDir: dir, State: StateLimits{Budget: 1}, Files: durable.OS})
	one := &task{attempt: &attempt{tm: tm, key: exchange.Attempt{Job: "job"}}}
	found := wire.Failure{Kind: wire.KindState, File: "files/1.snap"}
	if f := one.distrust(found); f.Kind != wire.KindIO || f.File != "" {
		t.Errorf("a damaged copy is a failure of kind %d, file %q (expected %d)", f.Kind, f.File, wire.KindIO)
	}
	if f := one.distrust(found); f != found {
		t.Errorf("a damaged object is %+v (expected %+v)", f, found)
	}
}
