package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wasmill.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLaterSourcesWin(t *testing.T) {
	path := write(t, "taskmanager:\n  slots: 3\n  name: from-file\nguest:\n  memory: 512MiB\n  call-limit: 500ms\n")
	c, err := Load(Sources{
		File:  path,
		Env:   []string{"WASMILL_TASKMANAGER_SLOTS=4", "WASMILL_TASKMANAGER_NAME=from-env", "PATH=/bin", "WASMILL_CONFIG=ignored"},
		Flags: map[string]string{"taskmanager.slots": "5"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.TaskManager.Slots != 5 || c.TaskManager.Name != "from-env" || c.Guest.Memory != 512<<20 || c.Guest.CallLimit != 500*time.Millisecond {
		t.Errorf("got %+v %+v", c.TaskManager, c.Guest)
	}
	if c.Slots.Timeout != 30*time.Second {
		t.Errorf("slots.timeout = %v, want its default", c.Slots.Timeout)
	}
	for key, want := range map[string]string{
		"taskmanager.slots": "flag", "taskmanager.name": "environment WASMILL_TASKMANAGER_NAME",
		"guest.memory": "file " + path, "slots.timeout": "default",
	} {
		if _, origin := c.Value(Find(key)); origin != want {
			t.Errorf("origin of %s: %q, want %q", key, origin, want)
		}
	}
}

func TestErrorsNameTheFault(t *testing.T) {
	cases := []struct {
		name, yaml string
		env        []string
		flags      map[string]string
		want       string
	}{
		{name: "unknown key in file", yaml: "taskmanager:\n  slotz: 3\n", want: `unknown option "taskmanager.slotz" (nearest: taskmanager.slots)`},
		{name: "unknown section", yaml: "taksmanager:\n  slots: 3\n", want: `unknown option "taksmanager.slots" (nearest: taskmanager.slots)`},
		{name: "section without options", yaml: "taskmanager:\n", want: `unknown option "taskmanager"`},
		{name: "key without a value", yaml: "taskmanager:\n  slots:\n", want: "taskmanager.slots has no value"},
		{name: "not YAML", yaml: "a: [", want: "read configuration"},
		{name: "unknown variable", env: []string{"WASMILL_TASKMANAGER_SLOT=3"}, want: "unknown option WASMILL_TASKMANAGER_SLOT (nearest: WASMILL_TASKMANAGER_SLOTS)"},
		{name: "number", env: []string{"WASMILL_TASKMANAGER_SLOTS=many"}, want: `environment WASMILL_TASKMANAGER_SLOTS: taskmanager.slots: "many" (expected a number`},
		{name: "bounds", flags: map[string]string{"taskmanager.slots": "0"}, want: "taskmanager.slots: 0 (expected 1 <= n <= 1024)"},
		{name: "size bounds", flags: map[string]string{"guest.memory": "5GiB"}, want: "guest.memory: 5GiB (expected 1MiB <= n <= 4GiB)"},
		{name: "duration without unit", flags: map[string]string{"slots.timeout": "30"}, want: `slots.timeout: "30" (expected a duration with a unit`},
		{name: "word", flags: map[string]string{"log.level": "loud"}, want: `log.level: "loud" (expected debug, info, warn, error)`},
		{name: "truth", env: []string{"WASMILL_CHECKPOINT_UNALIGNED=maybe"}, want: `checkpoint.unaligned: "maybe" (expected true or false)`},
		{name: "one way to say true", flags: map[string]string{"checkpoint.unaligned": "1"}, want: `checkpoint.unaligned: "1" (expected false, true)`},
		{name: "negative", flags: map[string]string{"checkpoint.interval": "-1s"}, want: "checkpoint.interval: -1s (expected n >= 0s)"},
		{name: "list", yaml: "taskmanager:\n  slots: [1, 2]\n", want: "expected a number"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := Sources{Env: tc.env, Flags: tc.flags}
			if tc.yaml != "" {
				s.File = write(t, tc.yaml)
			}
			_, err := Load(s)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error: %v\nwant it to contain: %s", err, tc.want)
			}
		})
	}
}

// The options of checkpoints and state reach the fields that are named after them, from every source.
func TestCheckpointAndStateOptions(t *testing.T) {
	path := write(t, "checkpoint:\n  dir: s3://bucket/prefix?region=eu-west-1\n  unaligned: true\n  interval: 0s\nstate:\n  budget: 1TiB\n")
	c, err := Load(Sources{File: path, Env: []string{"WASMILL_CHECKPOINT_TOLERATED_FAILURES=0", "WASMILL_STATE_QUOTA=20GiB"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Checkpoint{Dir: "s3://bucket/prefix?region=eu-west-1", Timeout: 10 * time.Minute, Retained: 3, Unaligned: true, AlignmentTimeout: 10 * time.Second}
	if c.Checkpoint != want {
		t.Errorf("checkpoint: got %+v\nwant %+v", c.Checkpoint, want)
	}
	if want := (State{Dir: "/var/lib/wasmill/state", Budget: 1 << 40, Quota: 20 << 30, Reserve: 512 << 20}); c.State != want {
		t.Errorf("state: got %+v\nwant %+v", c.State, want)
	}
}

func TestTableIsSound(t *testing.T) {
	if len(Options) >= 80 {
		t.Errorf("%d options; there should be fewer than eighty: a knob that nobody turns is better a constant", len(Options))
	}
	names := map[string]string{}
	for i := range Options {
		o := &Options[i]
		if !strings.HasSuffix(o.Doc, ".") || !strings.Contains(o.Key, ".") {
			t.Errorf("option %s needs a section and a sentence: %q", o.Key, o.Doc)
		}
		if other := names[o.EnvName()]; other != "" {
			t.Errorf("options %s and %s have the same environment variable", o.Key, other)
		}
		names[o.EnvName()] = o.Key
		c := new(Config)
		if err := o.set(c, o.Default); err != nil {
			t.Errorf("default of %s: %v", o.Key, err)
		}
		if got := show(o.field(c)); got != o.Default {
			t.Errorf("option %s: default %q is shown as %q", o.Key, o.Default, got)
		}
	}
}

func TestDocsNameEveryOption(t *testing.T) {
	var b strings.Builder
	if err := WriteDocs(&b); err != nil {
		t.Fatal(err)
	}
	for i := range Options {
		if !strings.Contains(b.String(), "| `"+Options[i].Key+"` |") {
			t.Errorf("reference does not have %s", Options[i].Key)
		}
	}
}

func TestSizesAreWrittenAsTheyAreRead(t *testing.T) {
	for text, want := range map[string]Size{"256MiB": 256 << 20, "64KiB": 64 << 10, "10MB": 10_000_000, "4096": 4096, "1 GiB": 1 << 30, "2TiB": 2 << 40, "0": 0} {
		var s Size
		if err := parse(&s, text); err != nil || s != want {
			t.Errorf("%q: %d, %v; want %d", text, s, err, want)
		}
		var again Size
		if err := parse(&again, s.String()); err != nil || again != s {
			t.Errorf("%q is written %q", text, s)
		}
	}
}
