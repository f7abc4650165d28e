package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const events = `{"event_type":2,"bid":{"auction":1230,"bidder":1,"price":7,"channel":"a","url":"u","dateTime":"2026-03-01T10:00:00.000","extra":""}}
{"event_type":2,"bid":{"auction":1107,"bidder":1,"price":8,"channel":"a","url":"u","dateTime":"2026-03-01T10:00:01.000","extra":""}}
`

func TestCommand(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"events.json": events, "side.json": `{"key":1230,"value":"x"}`, "out/part-0": `{"auction":1107,"price":8}` + "\n"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		side, args, want, err string
	}{
		{"", "answer q2 events.json", "{\"auction\":1107,\"price\":8}\n{\"auction\":1230,\"price\":7}\n", ""},
		{"side.json", "answer q13 events.json", `{"auction":1230,"bidder":1,"price":7,"dateTime":"2026-03-01 10:00:00.000","value":"x"}` + "\n", ""},
		{"", "compare q2 events.json out", "q2: 1 rows (expected 2): 1 are missing, 0 should not be there\n- {\"auction\":1230,\"price\":7}\n", "the rows differ"},
		{"", "compare q12 events.json out", "", `add up the windows: out/part-0: line 1: no column "bidder" (expected bidder, bid_count, starttime, endtime)`},
		{"", "answer q2 side.json", "", "side.json: read events: line 1: no event_type"},
		{"", "answer q99 events.json", "", `query "q99" (expected q0 to q23)`},
		{"", "answer q2", "", usage},
	} {
		var out bytes.Buffer
		err := run(&out, c.side, strings.Fields(c.args))
		if out.String() != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: %v\n%s\nexpected %s\n%s", c.args, err, out.String(), c.err, c.want)
		}
	}
	var out bytes.Buffer
	if err := run(&out, "", []string{"queries"}); err != nil || strings.Count(out.String(), "\n") != 24 {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := run(&out, "", nil); !errors.Is(err, errUsage) {
		t.Error(err)
	}
}
