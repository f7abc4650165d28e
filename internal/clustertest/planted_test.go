//go:build failpoint

package clustertest

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/failpoint"
)

var (
	bugs  = flag.String("bugs", "", "planted bugs to look for, separated by commas; none: all that the simulation can meet")
	tries = flag.Int("tries", 100, "seeds to look in for each")
	first = flag.Uint64("first", 0, "the first of them")
)

// simulated are the bugs that the simulation meets, with what it takes to notice each. What a bug leaves out stands beside
// its name in package failpoint.
var simulated = []struct {
	bug   failpoint.Bug
	about string // every other fault has this in its name, so that the bug is found sooner
	shows string // what tells
	only  directed
}{
	{bug: failpoint.SkipFsync, about: "power cut", shows: "a decided checkpoint whose files the power cut has taken or torn cannot be restored"},
	{bug: failpoint.UnsyncedOutput, about: "power cut", shows: "committed lines are missing, or zeros"},
	{bug: failpoint.AckBeforeUpload, shows: "a decided checkpoint names a file that the store does not have"},
	{bug: failpoint.CommitBeforeDecide, shows: "output of a checkpoint that was given up is there, and again"},
	{bug: failpoint.NoFencing, shows: "a split given to a task of an attempt that is over is never read",
		only: directed{faults: named("requests of an attempt before, the JobManager killed twice"), workload: workload.HashChain, parallelism: 1, records: 1500}},
	{bug: failpoint.LoseTimer, about: "kill", shows: "enrich: a fact without a match never comes out", only: directed{workload: workload.Enrich}},
	{bug: failpoint.WrongKeyGroups, shows: "keys begin anew",
		only: directed{faults: slices.Repeat(named("kill TaskManager"), 8), workload: workload.WideChains(200), parallelism: 2, records: 3000}},
	{bug: failpoint.SkipAlignment, shows: "records that come behind the first barrier are in no state and are not read again",
		only: directed{faults: named("channels of different length, a TaskManager killed"), workload: workload.Ledger, parallelism: 2, records: 1200}},
	{bug: failpoint.ForgetPosition, shows: "records count twice"},
	{bug: failpoint.ReplayDoneSplit, shows: "a file counts twice",
		only: directed{faults: slices.Repeat(named("kill TaskManager"), 8), workload: workload.HashChain, parallelism: 1, records: 600}},
	{bug: failpoint.ForgetAborted, shows: "changes from before a failed checkpoint are lost with the next restore",
		only: directed{faults: slices.Repeat(named("disk full", "kill TaskManager"), 5), workload: workload.WideChains(200), parallelism: 1, records: 4500}},
	{bug: failpoint.DropPreparedAborted, shows: "output from before a failed checkpoint is missing"},
	{bug: failpoint.NoRecommit, shows: "output that was decided and not committed is missing",
		only: directed{faults: slices.Repeat(named("commits lost, then TaskManagers killed"), 3), workload: workload.Ledger, records: 900}},
	{bug: failpoint.AbortBeforeCommit, shows: "the same: it was removed as what a lost attempt had left",
		only: directed{faults: slices.Repeat(named("commits lost, then TaskManagers killed"), 3), workload: workload.Ledger, records: 900}},
	{bug: failpoint.TrustDamaged, shows: "state with a turned bit goes on",
		only: directed{faults: []Fault{stateDamaged}, workload: workload.WideChains(200), parallelism: 1, records: 1500}},
	{bug: failpoint.TrustLocal, shows: "a damaged copy goes on, where the store has the file whole",
		only: directed{faults: []Fault{copiesDamaged}, workload: workload.WideChains(200), parallelism: 1, records: 1500}},
	{bug: failpoint.RestoreOldest, shows: "what was committed since comes out again"},
	{bug: failpoint.DeleteNamed, shows: "the checkpoint to restore lacks a file"},
	{bug: failpoint.ReuseID, shows: "an older checkpoint with a higher number is restored, and output repeated"},
	{bug: failpoint.ForgetTombstone, shows: "what was deleted is there again"},
	{bug: failpoint.MutateFrozen, shows: "a restored value is newer than the position of its source",
		only: directed{faults: slices.Repeat(named("kill every process"), 10), workload: workload.HashChain, parallelism: 2, records: 2400}},
	{bug: failpoint.OverlayLeak, shows: "poison: what a call did that trapped is counted", only: directed{workload: workload.Poison}},
	{bug: failpoint.RepeatPassed, shows: "poison: lines beside the poison come out twice", only: directed{workload: workload.Poison}},
	{bug: failpoint.ForgetFinished, shows: "copy: the output of a subtask that has finished is missing",
		only: directed{faults: slices.Repeat(named("kill TaskManager"), 10), workload: workload.Copy, parallelism: 2, records: 900}},
	{bug: failpoint.ForgetInFlight, about: "kill", shows: "records that a barrier has overtaken are missing", only: directed{barriers: Barriers{Slow: true, Unaligned: true}}},
	{bug: failpoint.ForgetRequests, shows: "requests: lines that waited for an answer never come out",
		only: directed{faults: slices.Repeat(named("kill TaskManager"), 3), workload: workload.Asking}},
	{bug: failpoint.ForgetExchange, shows: "lines of a newer version of the module are followed by some of an older one",
		only: directed{faults: slices.Repeat(named("upgrade", "kill TaskManager"), 3), workload: workload.Versioned, records: 1200}},
	{bug: failpoint.FiredAgain, about: "kill", shows: "windows: a late line opens a window that had fired, which fires again", only: directed{workload: workload.Windows}},
	{bug: failpoint.ForgetPromised, shows: "unending windows: a split that gives nothing more holds windows back that are due",
		only: directed{faults: slices.Repeat(named("rescale"), 3), workload: workload.Unending, parallelism: 2, records: 900}},
	{bug: failpoint.StaleChange, shows: "of a rescaling and an upgrade at once both are said to be done, and one is not there",
		only: directed{faults: slices.Repeat(named("two changes at once"), 4), workload: workload.Ledger, records: 900}},
	{bug: failpoint.LoseElements, shows: "window function: a window has fewer lines than it was given",
		only: directed{faults: slices.Repeat(named("kill TaskManager"), 3), workload: workload.Framed}},
	{bug: failpoint.ForgetTrigger, shows: "window function: a window takes lines though it is full", only: directed{workload: workload.Framed}},
	{bug: failpoint.OneCopy, about: "kill", shows: "broadcast state: rules from before a restore are not known to facts of other subtasks",
		only: directed{workload: workload.Rules, parallelism: 2}},
	{bug: failpoint.DealtToAll, about: "kill", shows: "roster: lines that were held back come out of each subtask", only: directed{workload: workload.Roster, parallelism: 2}},
	{bug: failpoint.FoldedBehind, shows: "folds: values that were folded ahead are in no state and are not read again",
		only: directed{faults: slices.Repeat(named("kill TaskManager"), 5), workload: workload.Folds}},
	{bug: failpoint.DropSide, shows: "co-group: a window lacks lines that one before it has, too", only: directed{workload: workload.Together}},
	{bug: failpoint.ForgetRefresh, shows: "recent: a count begins anew though lines have come all the time", only: directed{workload: workload.Recent}},
	{bug: failpoint.ForgetEmitted, shows: "window function of many keys: what a window had put out before a checkpoint in the middle of it comes out again",
		only: directed{workload: workload.Crowded, barriers: Barriers{Slow: true, Unaligned: true}, faults: []Fault{killedAtTheEnd(800)}, records: 900}},
	{bug: failpoint.ForgetRead, shows: "in batch mode: lines that a task has read which has not run again come out twice",
		only: directed{workload: workload.Ledger, batch: true, barriers: Barriers{Slow: true}, faults: slices.Repeat([]Fault{stageSurvives}, 2), parallelism: 2}},
	{bug: failpoint.TrustLost, shows: "in batch mode: a job waits for ever for what a TaskManager had that is gone",
		only: directed{workload: workload.Ledger, batch: true, barriers: Barriers{Slow: true}, faults: slices.Repeat([]Fault{stageKilled}, 3), parallelism: 2}},
	{bug: failpoint.GiveUpUnstored, shows: "what was given up is waited for again, or is not named as lost",
		only: directed{faults: []Fault{outputGone, outputGone}, workload: workload.Ledger}},
	{bug: failpoint.UncutChain, about: "chain", shows: "an operator that was apart from its chain comes back with the state that its neighbours had when it left"},
}

// directed is what a bug needs to show, where it would in few of the scenarios that seeds choose.
type directed struct {
	faults               []Fault            // nil: those that seeds choose
	workload             *workload.Workload // nil: one after the other
	parallelism, records int                // 0: one and two in turn; 600
	barriers             Barriers
	batch                bool
}

// scenario is what is tried with a seed.
func (d directed) scenario(n uint64) Scenario {
	on := workload.All
	if d.workload != nil {
		on = []*workload.Workload{d.workload}
	}
	all := uint64(len(on))
	return Scenario{
		Seed: n, Faults: d.faults, Workload: on[n%all], Records: cmp.Or(d.records, 600), Parallelism: cmp.Or(d.parallelism, 1+int(n/all)%2), Barriers: d.barriers,
		Batch: d.batch, Among: d.among(),
	}
}

// among are the faults that seeds choose from, nil: all.
func (d directed) among() []Fault {
	if d.batch {
		return BatchFaults()
	}
	return nil
}

// named are faults by their names.
func named(names ...string) (all []Fault) {
	for _, name := range names {
		all = append(all, fault(name))
	}
	return all
}

// stateDamaged turns a bit in each file of state in the store, of which nobody has a copy.
var stateDamaged = Fault{Name: "state damaged", Do: func(x *Cluster) {
	x.whileDown(func() {
		x.turnBits(filepath.Join(x.checkpointDir(), "*", "files", "*.snap"), "checkpoint damaged")
		for i := range x.tms {
			_ = os.RemoveAll(x.stateDir(i))
		}
	})
}}

// copiesDamaged turns a bit in each copy that a machine has kept of a file of state.
var copiesDamaged = Fault{Name: "copies damaged", Do: func(x *Cluster) {
	x.whileDown(func() {
		for i := range x.tms {
			x.turnBits(filepath.Join(x.stateDir(i), "*", "files", "*.snap"), "copy damaged")
		}
	})
}}

// killedAtTheEnd kills TaskManagers behind each checkpoint from when most records are read until the job is done: windows fire then.
func killedAtTheEnd(most int64) Fault {
	return Fault{Name: "killed at the end", Do: func(x *Cluster) {
		const tries = 20
		for n := 0; n < tries; x.Sleep(50 * time.Millisecond) {
			switch j := x.Job(); {
			case j == nil || j.Progress.SourceOut < most && n == 0:
				continue
			case j.State.Terminal():
				return
			}
			n++
			x.awaitCheckpoint(x.newest() + 1)
			for i := range x.tms {
				x.killTaskManager(i, 0)
			}
		}
	}}
}

// whileDown does something while no TaskManager runs, when there is a third checkpoint.
func (x *Cluster) whileDown(do func()) {
	x.awaitCheckpoint(3)
	for i := range x.tms {
		x.KillTaskManager(i)
	}
	do()
	for i := range x.tms {
		x.StartTaskManager(i)
	}
}

// TestPlantedBugsAreNoticed leaves steps of the protocol out, one at a time: some seed must tell, and have nothing to tell when
// the step is there.
func TestPlantedBugsAreNoticed(t *testing.T) {
	defer failpoint.Plant("")
	cache := t.TempDir()
	chosen, err := choose(*bugs)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range simulated {
		bug := s.bug
		if !slices.Contains(chosen, bug) {
			continue
		}
		t.Run(string(bug), func(t *testing.T) {
			try := func(n uint64, planted failpoint.Bug) (err error) {
				c := s.only.scenario(n)
				c.Prefer, c.Guests, c.Cache, c.Discard = s.about, "../../test/guests", cache, true
				c.Connectors = fileConnectors
				failpoint.Plant(planted)
				t.Run("", func(t *testing.T) { _, err = Try(t, c) })
				return err
			}
			for n := *first; n < *first+uint64(*tries); n++ {
				if err := try(n, bug); err != nil && !errors.Is(err, errUntouched) {
					t.Logf("%s is noticed with seed %d: %v", bug, n, err)
					if err := try(n, ""); err != nil {
						t.Errorf("seed %d without %s: %v", n, bug, err)
					}
					return
				}
			}
			t.Errorf("%s was not noticed in %d seeds (expected: %s)", bug, *tries, s.shows)
		})
	}
}

// choose are the bugs of a list, or all of them.
func choose(list string) (chosen []failpoint.Bug, err error) {
	var known []failpoint.Bug
	for _, s := range simulated {
		known = append(known, s.bug)
	}
	if list == "" {
		return known, nil
	}
	for _, name := range strings.Split(list, ",") {
		bug := failpoint.Bug(name)
		if !slices.Contains(known, bug) {
			return nil, fmt.Errorf("-bugs: %q is none that the simulation looks for (expected some of %q)", name, known)
		}
		chosen = append(chosen, bug)
	}
	return chosen, nil
}

// Every bug is looked for, and a name that is none does not pass for one that was noticed.
func TestPlantedBugsAreKnown(t *testing.T) {
	all, err := choose("")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	if want := slices.Sorted(slices.Values(failpoint.Bugs)); !slices.Equal(all, want) {
		t.Errorf("%q are looked for (expected %q)", all, want)
	}
	if some, err := choose("skip-fsync,reuse-id"); err != nil || !slices.Equal(some, []failpoint.Bug{failpoint.SkipFsync, failpoint.ReuseID}) {
		t.Errorf("%q, %v", some, err)
	}
	for _, list := range []string{"no-such-bug", "no-such-bug,skip-fsync", "skip-fsync,"} {
		if some, err := choose(list); err == nil {
			t.Errorf("%q: %q is taken", list, some)
		}
	}
}
