package main

import (
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/wire"
)

func TestTextOfOthersCannotDriveTheTerminal(t *testing.T) {
	for give, want := range map[string]string{
		"plain, größe, 世界": "plain, größe, 世界",
		"\x1b[2Jgone":      `\x1b[2Jgone`,
		"a\tb\nc\r":        `a\tb\nc\r`,
		"a\u202eb":         `a\u202eb`,
		"\xff!":            `\xff!`,
		`back\slash "q"`:   `back\slash "q"`,
	} {
		if got := printable(give); got != want {
			t.Errorf("%q is shown as %s, want %s", give, got, want)
		}
	}
	if got := oneParagraph("first\r\n\x1bsecond\n"); got != "first\n  \\x1bsecond" {
		t.Errorf("%q", got)
	}
}

func TestRepeatedFramesAreOneLine(t *testing.T) {
	stack := strings.Repeat("deeper\n", 4093) + "process\nmain\n\tmain.go:7\nmain\n"
	if got := strings.Join(stackLines(stack), "|"); got != "deeper (x 4,093)|process|main|  main.go:7|main" {
		t.Error(got)
	}
	if got := stackLines("once"); len(got) != 1 || got[0] != "once" {
		t.Error(got)
	}
}

func TestCausesLeaveColumnsAligned(t *testing.T) {
	now := time.Unix(1000, 0)
	jobs := []api.Job{
		{ID: "111111aaaaaa", Name: "a", State: api.JobFailed, Created: now, Failure: &wire.Failure{Message: "trap\nin \x1b[2Jparse"}},
		{ID: "222222aaaaaa", Name: "much-longer", State: api.JobRestarting, Restarts: 3, Created: now, Failure: &wire.Failure{Message: "lost"}},
		{ID: "333333aaaaaa", Name: "c\x1b", State: api.JobRunning, Created: now},
		{ID: "444444aaaaaa", Name: "d", State: api.JobFinishing, Created: now, Failure: &wire.Failure{Message: "commit"}},
	}
	const want = `ID      NAME         STATE           UP  SUBTASKS  RECORDS  CHECKPOINT
111111  a            FAILED          0s  0/0       0        -
        cause: trap
          in \x1b[2Jparse
222222  much-longer  RESTARTING (3)  0s  0/0       0        -
        cause: lost
333333  c\x1b        RUNNING         0s  0/0       0        -
444444  d            FINISHING       0s  0/0       0        -
        cause: commit
`
	var b strings.Builder
	if jobTable(&b, jobs, now); b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
