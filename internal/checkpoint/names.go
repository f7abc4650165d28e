package checkpoint

import (
	"fmt"

	"github.com/wasmill/wasmill/internal/graph"
)

// FileName names snapshot file n of a task in an attempt, below the root of the job's checkpoints. An attempt's number is
// never used twice, so no other file ever has the name.
func FileName(attempt graph.Attempt, task graph.TaskID, n int) string {
	return fmt.Sprintf("files/%d-%d.%d-%d.snap", attempt, task.Chain, task.Subtask, n)
}

// ManifestName names the manifest of a checkpoint.
func ManifestName(id ID) string { return fmt.Sprintf("checkpoints/%d/MANIFEST", id) }
