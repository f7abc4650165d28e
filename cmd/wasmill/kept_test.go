package main

import (
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/wire"
)

// What is in the way in a state directory is said in the words of the command line.
func TestDifferencesOfJobs(t *testing.T) {
	one, two := 1, 2
	base := func() *api.Submit {
		return &api.Submit{Module: "m1", Params: map[string]string{"count": "1", "output": "out"}, Parallelism: &one, Directory: "/work"}
	}
	there := &api.Job{Module: "m1", Name: "sums", Params: map[string]string{"count": "1", "output": "out"}, Parallelism: 1, Directory: "/work"}
	for want, change := range map[string]func(*api.Submit){
		"the module":                                      func(s *api.Submit) { s.Module = "m2" },
		`--param count (there "1", here "2")`:             func(s *api.Submit) { s.Params["count"] = "2" },
		`--param count (there "1", here none)`:            func(s *api.Submit) { delete(s.Params, "count") },
		`--param rate (there none, here "")`:              func(s *api.Submit) { s.Params["rate"] = "" },
		"--parallelism (there 1, here 2)":                 func(s *api.Submit) { s.Parallelism = &two },
		"--name (there sums, here mine)":                  func(s *api.Submit) { s.Name = "mine" },
		"--from":                                          func(s *api.Submit) { s.From = "/backup" },
		"the working directory (there /work, here /home)": func(s *api.Submit) { s.Directory = "/home" },
		"--name, --allow-dropped-state or what it has been given since it began": func(s *api.Submit) { s.AllowDroppedState = true },
		"the module; --param output (there \"out\", here \"o\")":                 func(s *api.Submit) { s.Module, s.Params["output"] = "m3", "o" },
	} {
		s := base()
		change(s)
		if got := strings.Join(differences(there, s), "; "); got != want {
			t.Errorf("differences: %s (expected %s)", got, want)
		}
	}
}

// A job that has ended is in nobody's way; its own request finds it.
func TestInDirectory(t *testing.T) {
	jobs := []api.Job{{ID: "a", Request: "run-1", State: api.JobRestarting}, {ID: "b", Request: "run-2", State: api.JobFinished}}
	for request, want := range map[string][2]string{"run-1": {"a", ""}, "run-2": {"b", "a"}, "run-3": {"", "a"}} {
		var got [2]string
		before, other := inDirectory(jobs, wire.RequestID(request))
		for i, j := range []*api.Job{before, other} {
			if j != nil {
				got[i] = string(j.ID)
			}
		}
		if got != want {
			t.Errorf("%s: %v (expected %v)", request, got, want)
		}
	}
}
