//go:build failpoint

package clustertest

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/file"
	"github.com/wasmill/wasmill/internal/failpoint"
)

var (
	bugs  = flag.String("bugs", "", "planted bugs to look for, separated by commas; none: all that the simulation can meet")
	tries = flag.Int("tries", 150, "seeds to look in for each")
)

// simulated are the bugs that the simulation meets, with what it takes to notice each. What a bug leaves out stands beside
// its name in package failpoint.
var simulated = []struct {
	bug   failpoint.Bug
	about string // every other fault has this in its name, so that the bug is found sooner
	shows string // what tells
}{
	{failpoint.SkipFsync, "power cut", "a decided checkpoint whose files the power cut has taken or torn cannot be restored"},
	{failpoint.UnsyncedOutput, "power cut", "committed lines are missing, or zeros"},
	{failpoint.AckBeforeUpload, "", "a decided checkpoint names a file that the store does not have"},
	{failpoint.CommitBeforeDecide, "", "output of a checkpoint that was given up is there, and again"},
	{failpoint.NoFencing, "killed twice", "a split given to a task of an attempt that is over is never read"},
	{failpoint.LoseTimer, "kill", "enrich: a fact without a match never comes out"},
	{failpoint.WrongKeyGroups, "kill", "keys begin anew"},
	{failpoint.SkipAlignment, "", "records behind one channel's barrier count twice"},
	{failpoint.ForgetPosition, "", "records count twice"},
	{failpoint.ReplayDoneSplit, "", "a file counts twice"},
	{failpoint.ForgetAborted, "disk", "changes from before a failed checkpoint are lost with the next restore"},
	{failpoint.DropPreparedAborted, "", "output from before a failed checkpoint is missing"},
	{failpoint.NoRecommit, "", "output that was decided and not committed is missing"},
	{failpoint.AbortBeforeCommit, "", "the same: it was removed as what a lost attempt had left"},
	{failpoint.TrustDamaged, "damaged", "state with a turned bit goes on"},
	{failpoint.TrustLocal, "power cut", "a torn copy fails a job whose store has the file whole"},
	{failpoint.RestoreOldest, "", "what was committed since comes out again"},
	{failpoint.DeleteNamed, "", "the checkpoint to restore lacks a file"},
	{failpoint.ReuseID, "", "an older checkpoint with a higher number is restored, and output repeated"},
	{failpoint.ForgetTombstone, "", "what was deleted is there again"},
	{failpoint.MutateFrozen, "", "a restored value is newer than the position of its source"},
	{failpoint.OverlayLeak, "", "poison: what a call did that trapped is counted"},
	{failpoint.RepeatPassed, "", "poison: lines beside the poison come out twice"},
	{failpoint.ForgetFinished, "", "copy: the output of a subtask that has finished is missing"},
	{failpoint.ForgetInFlight, "kill", "records that a barrier has overtaken are missing"},
	{failpoint.FiredAgain, "kill", "windows: a late line opens a window that had fired, which fires again"},
}

// needs is what some bugs need to show: one of the workloads, or checkpoints that overtake.
var needs = map[failpoint.Bug]struct {
	workload *workload.Workload
	barriers Barriers
}{
	failpoint.LoseTimer:      {workload: workload.Enrich},
	failpoint.TrustLocal:     {workload: workload.Enrich},
	failpoint.SkipAlignment:  {workload: workload.Ledger},
	failpoint.OverlayLeak:    {workload: workload.Poison},
	failpoint.RepeatPassed:   {workload: workload.Poison},
	failpoint.ForgetFinished: {workload: workload.Copy},
	failpoint.FiredAgain:     {workload: workload.Windows},
	failpoint.ForgetInFlight: {barriers: Barriers{Slow: true, Unaligned: true}},
}

// TestPlantedBugsAreNoticed leaves steps of the protocol out, one at a time: some seed must tell.
func TestPlantedBugsAreNoticed(t *testing.T) {
	defer failpoint.Plant("")
	cache := t.TempDir()
	for _, s := range simulated {
		bug := s.bug
		if *bugs != "" && !slices.Contains(strings.Split(*bugs, ","), string(bug)) {
			continue
		}
		t.Run(string(bug), func(t *testing.T) {
			failpoint.Plant(bug)
			on := workload.All
			if w := needs[bug].workload; w != nil {
				on = []*workload.Workload{w}
			}
			for n := range uint64(*tries) {
				var err error
				t.Run("", func(t *testing.T) {
					err = Try(t, Scenario{
						Seed: n, Prefer: s.about, Workload: on[n%uint64(len(on))], Records: 600, Parallelism: 1 + int(n/uint64(len(on)))%2,
						Barriers: needs[bug].barriers, Guests: "../../test/guests", Cache: cache, Discard: true,
						Connectors: &connector.Registry{
							Sources: map[string]func(map[string]string) (connector.Source, error){"file": file.NewSource},
							Sinks:   map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink},
						},
					})
				})
				if err != nil && !errors.Is(err, errUntouched) {
					t.Logf("%s is noticed: %v", bug, err)
					return
				}
			}
			t.Errorf("%s was not noticed in %d seeds (expected: %s)", bug, *tries, s.shows)
		})
	}
}
