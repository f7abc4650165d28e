package jobmanager

import (
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func TestUnknownIDsAreShownShort(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		id := strings.Repeat("0", 9999)
		_, err := c.jm.GetJob(t.Context(), graph.JobID(id))
		isUserError(t, err, api.KindNotFound, `job "`+id[:64]+`…" is not known`, "")
		_, err = c.jm.GetModule(t.Context(), graph.ModuleID(id))
		isUserError(t, err, api.KindNotFound, "module "+id[:12]+" is not here", "upload it first")
	})
}
