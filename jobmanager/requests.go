package jobmanager

import (
	"errors"
	"fmt"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

// checkRequests sees whether what the operators of a graph ask the outside is granted.
func (jm *JobManager) checkRequests(g *graph.JobGraph) error {
	for i := range g.Operators {
		op := &g.Operators[i]
		if op.Requests == nil {
			continue
		}
		grants := jm.config.Grants[op.Requests.Client]
		if grants == nil {
			return api.Errorf(api.KindInvalid, "request %q: nothing is granted to the client %s here", op.Name, op.Requests.Client)
		}
		err := grants.Check(op.Requests.Hosts)
		var denied interface{ Hint() string }
		switch {
		case err == nil:
		case errors.As(err, &denied):
			return api.Errorf(api.KindInvalid, "request %q: %s", op.Name, err).WithHint("%s", denied.Hint())
		default:
			return asUser(api.KindInvalid, "", fmt.Errorf("request %q: %w", op.Name, err))
		}
	}
	return nil
}
