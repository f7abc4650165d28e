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

// InFlightName names the file of what an unaligned checkpoint of an attempt has overtaken on its way to a task.
func InFlightName(attempt graph.Attempt, id ID, task graph.TaskID) string {
	return fmt.Sprintf("in-flight/%d-%d-%d.%d.snap", attempt, id, task.Chain, task.Subtask)
}

// parseInFlightName takes such a name apart.
func parseInFlightName(name string) (attempt graph.Attempt, id ID, ok bool) {
	var task graph.TaskID
	var tail string
	read, _ := fmt.Sscanf(name, "in-flight/%d-%d-%d.%d%s", &attempt, &id, &task.Chain, &task.Subtask, &tail)
	return attempt, id, read == 5 && name == InFlightName(attempt, id, task)
}
