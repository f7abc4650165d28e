package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
)

// hindered is a JobManager whose job has come to its end, and whose output cannot be committed though it is there.
func hindered(w http.ResponseWriter, r *http.Request) {
	const job = `{"id": "j", "name": "sums", "state": "FINISHING", "failure": {"kind": 7, "message": "no space left"}}`
	switch {
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"kind": "conflict", "status": 409, "detail": "it has come to its end"}`)
	case r.URL.Query().Get("watch") == "true":
		fmt.Fprintf(w, "data: %s\n\n", job)
		<-r.Context().Done()
	default:
		fmt.Fprint(w, job)
	}
}

// An interrupted job of this process whose end cannot be committed says why not, and one that is kept what becomes of it.
func TestAnInterruptedEndSaysWhatIsNotCommitted(t *testing.T) {
	for kept, want := range map[string]string{
		"":      "interrupted: job j (sums) has come to its end, but not all of its output is committed: no space left\n",
		"state": "stopped: job j (sums) is kept in state; it has come to its end, and the same command commits what is left of its output\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			client, err := api.NewClient("http://localhost", api.Direct(http.HandlerFunc(hindered)))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			r := &running{app: &app{err: &out}, client: client, embedded: true, kept: kept}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := r.interrupted(ctx, &api.Job{ID: "j", Name: "sums"}); !errors.Is(err, errInterrupted) || out.String() != want {
				t.Errorf("%v, said %q (expected %q)", err, &out, want)
			}
		})
	}
}

func TestWhereAKeptJobGoesOn(t *testing.T) {
	for want, job := range map[string]*api.Job{
		"its beginning":              {State: api.JobRunning},
		"its last checkpoint":        {State: api.JobRunning, Checkpoint: &api.Checkpoint{ID: checkpoint.ID(1)}},
		"what is left of its output": {State: api.JobFinishing, Checkpoint: &api.Checkpoint{ID: checkpoint.ID(1)}},
	} {
		if got := goesOn(job); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q (expected %s)", job.State, got, want)
		}
	}
}
