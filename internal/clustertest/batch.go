package clustertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// BatchFaults are those that a job in batch mode can meet: it takes no checkpoints, and cannot be changed.
func BatchFaults() []Fault {
	not := []string{"rescale", "upgrade", "change", "chain", "stop", "checkpoint", "channels of different length", "commits lost"}
	all := slices.DeleteFunc(slices.Clone(Faults), func(f Fault) bool {
		return slices.ContainsFunc(not, func(s string) bool { return strings.Contains(f.Name, s) })
	})
	return append(all, outputsDamaged, resultsLost, stageKilled, stageSurvives)
}

// awaitStage waits until a task has finished, or not much longer than that should take.
func (x *Cluster) awaitStage() {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); x.Sleep(50 * time.Millisecond) {
		if j := x.Job(); j != nil && j.Subtasks.Finished > 0 {
			return
		}
	}
}

// stageKilled kills a TaskManager when there are results.
var stageKilled = Fault{Name: "TaskManager killed behind a stage", Do: func(x *Cluster) {
	x.awaitStage()
	x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second))
}}

// stageSurvives kills the JobManager when there are results: the next one goes on with them.
var stageSurvives = Fault{Name: "JobManager killed behind a stage", Do: func(x *Cluster) {
	x.awaitStage()
	x.killJobManager(x.someTime(2 * time.Second))
}}

// outputsDamaged turns a bit in each file of what tasks have sent on a machine.
var outputsDamaged = Fault{Name: "outputs damaged", Do: func(x *Cluster) {
	x.turnBits(filepath.Join(x.stateDir(x.random.IntN(len(x.tms))), "*", "output-*"), "output damaged")
}}

// resultsLost kills the JobManager and, while there is none, a TaskManager: the next one has to find out which results are left.
var resultsLost = Fault{Name: "JobManager killed, then a TaskManager", Do: func(x *Cluster) {
	x.KillJobManager()
	x.trace.Effect("kill JobManager")
	x.Sleep(x.someTime(time.Second))
	x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second))
	x.StartJobManager()
}}

// turnBits turns a bit in each file, in its first half: behind that is the index, too.
func (x *Cluster) turnBits(pattern, effect string) {
	files, _ := filepath.Glob(pattern)
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil || len(data) < 2 {
			continue
		}
		data[x.random.IntN(len(data)/2)] ^= 1 << x.random.IntN(8)
		_ = os.Chmod(path, 0o666)
		if os.WriteFile(path, data, 0o666) == nil {
			x.trace.Effect(effect)
		}
	}
}
