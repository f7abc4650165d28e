//go:build failpoint

package clustertest

import (
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
	only  directed
}{
	{bug: failpoint.SkipFsync, about: "power cut", shows: "a decided checkpoint whose files the power cut has taken or torn cannot be restored"},
	{bug: failpoint.UnsyncedOutput, about: "power cut", shows: "committed lines are missing, or zeros"},
	{bug: failpoint.AckBeforeUpload, shows: "a decided checkpoint names a file that the store does not have"},
	{bug: failpoint.CommitBeforeDecide, shows: "output of a checkpoint that was given up is there, and again"},
	{bug: failpoint.NoFencing, shows: "a split given to a task of an attempt that is over is never read",
		only: directed{fault: "requests of an attempt before", workload: workload.HashChain, parallelism: 1, records: 1500}},
	{bug: failpoint.LoseTimer, about: "kill", shows: "enrich: a fact without a match never comes out"},
	{bug: failpoint.WrongKeyGroups, about: "kill", shows: "keys begin anew"},
	{bug: failpoint.SkipAlignment, shows: "records that come behind the first barrier are in no state and are not read again",
		only: directed{fault: "channels of different length", workload: workload.Ledger, parallelism: 2, records: 1200}},
	{bug: failpoint.ForgetPosition, shows: "records count twice"},
	{bug: failpoint.ReplayDoneSplit, shows: "a file counts twice"},
	{bug: failpoint.ForgetAborted, about: "disk", shows: "changes from before a failed checkpoint are lost with the next restore"},
	{bug: failpoint.DropPreparedAborted, shows: "output from before a failed checkpoint is missing"},
	{bug: failpoint.NoRecommit, shows: "output that was decided and not committed is missing"},
	{bug: failpoint.AbortBeforeCommit, shows: "the same: it was removed as what a lost attempt had left"},
	{bug: failpoint.TrustDamaged, about: "damaged", shows: "state with a turned bit goes on"},
	{bug: failpoint.TrustLocal, about: "power cut", shows: "a torn copy fails a job whose store has the file whole"},
	{bug: failpoint.RestoreOldest, shows: "what was committed since comes out again"},
	{bug: failpoint.DeleteNamed, shows: "the checkpoint to restore lacks a file"},
	{bug: failpoint.ReuseID, shows: "an older checkpoint with a higher number is restored, and output repeated"},
	{bug: failpoint.ForgetTombstone, shows: "what was deleted is there again"},
	{bug: failpoint.MutateFrozen, shows: "a restored value is newer than the position of its source"},
	{bug: failpoint.OverlayLeak, shows: "poison: what a call did that trapped is counted"},
	{bug: failpoint.RepeatPassed, shows: "poison: lines beside the poison come out twice"},
	{bug: failpoint.ForgetFinished, shows: "copy: the output of a subtask that has finished is missing"},
	{bug: failpoint.ForgetInFlight, about: "kill", shows: "records that a barrier has overtaken are missing"},
	{bug: failpoint.FiredAgain, about: "kill", shows: "windows: a late line opens a window that had fired, which fires again"},
}

// directed is a scenario that is about one bug: it would show in few of those that seeds choose. The zero value is none.
type directed struct {
	fault                string // what the names of the faults begin with
	workload             *workload.Workload
	parallelism, records int
}

// scenario is what is tried with a seed.
func (d directed) scenario(n uint64) Scenario {
	all := uint64(len(workload.All))
	s := Scenario{Seed: n, Workload: workload.All[n%all], Records: 600, Parallelism: 1 + int(n/all)%2}
	if d.fault == "" {
		return s
	}
	s.Workload, s.Records, s.Parallelism = d.workload, d.records, d.parallelism
	for _, f := range Faults {
		if strings.HasPrefix(f.Name, d.fault) {
			s.Faults = append(s.Faults, f)
		}
	}
	return s
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
			try := func(n uint64, planted failpoint.Bug) (err error) {
				c := s.only.scenario(n)
				c.Prefer, c.Barriers, c.Guests, c.Cache, c.Discard = s.about, barriersFor(bug), "../../test/guests", cache, true
				c.Connectors = &connector.Registry{
					Sources: map[string]func(map[string]string) (connector.Source, error){"file": file.NewSource},
					Sinks:   map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink},
				}
				failpoint.Plant(planted)
				t.Run("", func(t *testing.T) { err = Try(t, c) })
				return err
			}
			if s.only.fault != "" { // it is the bug that shows, and not what was made for it
				if err := try(0, ""); err != nil {
					t.Fatalf("without %s: %v", bug, err)
				}
			}
			for n := range uint64(*tries) {
				if err := try(n, bug); err != nil {
					t.Logf("%s is noticed with seed %d: %v", bug, n, err)
					return
				}
			}
			t.Errorf("%s was not noticed in %d seeds (expected: %s)", bug, *tries, s.shows)
		})
	}
}

// barriersFor are those that a bug needs to show.
func barriersFor(b failpoint.Bug) Barriers {
	return Barriers{Slow: b == failpoint.ForgetInFlight, Unaligned: b == failpoint.ForgetInFlight}
}
