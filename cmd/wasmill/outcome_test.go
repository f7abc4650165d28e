package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/api"
)

// dying is a JobManager that answers what is only looked at, and ends in the middle of what it is to do.
func dying(w http.ResponseWriter, r *http.Request) {
	job := `{"id": "7f3a9c000000", "name": "n", "state": "RUNNING", "attempt": 1}`
	switch {
	case r.Method == http.MethodGet:
		fmt.Fprint(w, job)
		return
	case strings.HasSuffix(r.URL.Path, "/modules"):
		fmt.Fprint(w, `{"id": "ab"}`)
		return
	case strings.HasSuffix(r.URL.Path, "/upgrade"):
		body := new(bytes.Buffer)
		if _, err := body.ReadFrom(r.Body); err == nil && strings.Contains(body.String(), `"dryRun":true`) {
			fmt.Fprintf(w, `{"job": %s, "module": "ab", "way": "inPlace"}`, job)
			return
		}
	}
	panic(http.ErrAbortHandler) // the connection ends without an answer
}

// A command whose JobManager ends meanwhile says where its outcome is seen; one that has reached nobody, how to start one.
func TestWhatBecameOfACommandIsSeenSomewhere(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(dying))
	defer s.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	module := filepath.Join(t.TempDir(), "m.wasm")
	if err := os.WriteFile(module, []byte("wasm"), 0o666); err != nil {
		t.Fatal(err)
	}
	for command, hint := range map[string]string{
		"rescale 7f3a9c --parallelism 2": "`last changes` of `wasmill info 7f3a9c000000` says",
		"upgrade 7f3a9c " + module:       "`last changes` of `wasmill info 7f3a9c` says",
		"savepoint take 7f3a9c":          "`wasmill savepoint list 7f3a9c` has it if it was completed, and `wasmill info 7f3a9c` says",
		"stop 7f3a9c":                    "`wasmill savepoint list 7f3a9c` has it",
		"checkpoint 7f3a9c":              "`wasmill checkpoints 7f3a9c` has it",
		"cancel 7f3a9c":                  "`wasmill info 7f3a9c` says whether the job has ended",
		"give-up 7f3a9c":                 "`wasmill info 7f3a9c` names what was given up",
	} {
		for url, want := range map[string]string{s.URL: "  hint: when the JobManager is back, " + hint, gone.URL: "  hint: start a cluster with "} {
			var out, err bytes.Buffer
			a := &app{out: &answerWriter{Writer: &out}, err: &err}
			if code := a.run(t.Context(), append(strings.Fields(command), "--jobmanager", url)); code != exitFailed || !strings.Contains(err.String(), want) {
				t.Errorf("%s: status %d,\n%s(expected %q)", command, code, &err, want)
			}
		}
	}
}

// What was accepted has its outcome somewhere, though nobody answers any more; what was refused is not in doubt.
func TestOnlyWhatIsInDoubtHasItsOutcomeElsewhere(t *testing.T) {
	refused := &api.UnreachableError{URL: "http://x", Err: errors.New("connection refused")}
	lost := &api.UnreachableError{URL: "http://x", Err: errors.New("EOF"), Sent: true}
	for _, c := range []struct {
		err      error
		accepted bool
		doubt    bool
	}{
		{refused, false, false},
		{refused, true, true},
		{lost, false, true},
		{fmt.Errorf("follow it: %w", api.ErrWatchBroken), true, true},
		{api.Errorf(api.KindUnavailable, "the JobManager is stopping"), false, true},
		{api.Errorf(api.KindUnavailable, "no TaskManager is registered").WithHint("start a TaskManager"), false, false},
		{api.Errorf(api.KindConflict, "job x is FAILED"), false, false},
		{errors.New("no such file"), true, false},
	} {
		if got := outcomeIn(c.err, c.accepted, changeSeenIn, "7f3a9c"); strings.Contains(hintOf(got), "last changes") != c.doubt || !errors.Is(got, c.err) || !c.doubt && hintOf(got) != hintOf(c.err) {
			t.Errorf("%v, accepted %t: hint %q (expected one: %t)", c.err, c.accepted, hintOf(got), c.doubt)
		}
	}
}
