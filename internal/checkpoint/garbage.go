package checkpoint

import (
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/internal/graph"
)

// ParseFileName takes a name that FileName has made apart.
func ParseFileName(name string) (attempt graph.Attempt, task graph.TaskID, n int, ok bool) {
	var tail string
	read, _ := fmt.Sscanf(name, "files/%d-%d.%d-%d%s", &attempt, &task.Chain, &task.Subtask, &n, &tail)
	return attempt, task, n, read == 5 && tail == ".snap" && name == FileName(attempt, task, n)
}

// Garbage are those of the names that nobody needs any more, when the manifests are those of all retained checkpoints, the
// newest last, and attempt is the one that runs. What a retained manifest names is never among them. A file of an older
// attempt that none names is garbage. One of the attempt that runs may still be on its way into a manifest, unless it is
// older than every file that the newest manifest names of its task: files are named in the order in which they are made,
// and a folded one is newer than what it replaces. What was in flight belongs to one checkpoint alone, as its manifest does.
func Garbage(names []string, manifests []*Manifest, attempt graph.Attempt) (garbage []string) {
	if len(manifests) == 0 {
		return nil
	}
	needed := map[string]bool{}
	for _, m := range manifests {
		needed[ManifestName(m.Checkpoint)] = true
		for _, f := range m.AllFiles() {
			needed[f.Name] = true
		}
	}
	newest := manifests[len(manifests)-1]
	oldest := map[graph.TaskID]int{} // number of the oldest file of the attempt that the newest manifest names
	for _, t := range newest.Tasks {
		for _, f := range t.Files {
			if a, task, n, ok := ParseFileName(f.Name); ok && a == attempt {
				if have, seen := oldest[task]; !seen || n < have {
					oldest[task] = n
				}
			}
		}
	}
	for _, name := range names {
		if needed[name] {
			continue
		}
		if a, task, n, ok := ParseFileName(name); ok {
			first, named := oldest[task]
			if a < attempt && newest.Attempt == attempt || a == attempt && named && n < first {
				garbage = append(garbage, name)
			}
			continue
		}
		if a, id, ok := parseInFlightName(name); ok {
			if a < attempt && newest.Attempt == attempt || a == attempt && id < newest.Checkpoint {
				garbage = append(garbage, name)
			}
			continue
		}
		if id, ok := manifestID(name); ok && id < newest.Checkpoint {
			garbage = append(garbage, name)
		}
	}
	return garbage
}

// manifestID takes the name of a manifest apart.
func manifestID(name string) (id ID, ok bool) {
	middle, ok := strings.CutSuffix(strings.TrimPrefix(name, "checkpoints/"), "/MANIFEST")
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscan(middle, &id)
	return id, err == nil && name == ManifestName(id)
}
