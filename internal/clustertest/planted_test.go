//go:build failpoint

package clustertest

import (
	"flag"
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

// simulated are the bugs that the simulation meets.
var simulated = []failpoint.Bug{
	failpoint.AckBeforeUpload, failpoint.NoRecommit, failpoint.AbortBeforeCommit, failpoint.WrongKeyGroups, failpoint.ForgetPosition,
	failpoint.ReplayDoneSplit, failpoint.ForgetAborted, failpoint.DropPreparedAborted, failpoint.SkipAlignment, failpoint.RestoreOldest,
	failpoint.DeleteNamed, failpoint.ForgetTombstone, failpoint.CommitBeforeDecide, failpoint.SkipFsync, failpoint.UnsyncedOutput,
	failpoint.MutateFrozen, failpoint.ForgetFinished, failpoint.ReuseID, failpoint.OverlayLeak, failpoint.RepeatPassed,
	failpoint.LoseTimer, failpoint.TrustLocal, failpoint.NoFencing,
}

// about says which faults a bug is about, so that it is found sooner.
var about = map[failpoint.Bug]string{
	failpoint.NoFencing: "late", failpoint.TrustDamaged: "damaged", failpoint.TrustLocal: "power cut", failpoint.SkipFsync: "power cut",
	failpoint.UnsyncedOutput: "power cut", failpoint.LoseTimer: "kill", failpoint.FiredAgain: "kill",
}

// TestPlantedBugsAreNoticed leaves steps of the protocol out, one at a time: some seed must tell.
func TestPlantedBugsAreNoticed(t *testing.T) {
	defer failpoint.Plant("")
	cache := t.TempDir()
	all := simulated
	if *bugs != "" {
		all = nil
		for _, b := range strings.Split(*bugs, ",") {
			all = append(all, failpoint.Bug(b))
		}
	}
	for _, bug := range all {
		t.Run(string(bug), func(t *testing.T) {
			failpoint.Plant(bug)
			for n := range uint64(*tries) {
				var err error
				t.Run("", func(t *testing.T) {
					err = Try(t, Scenario{
						Seed: n, Prefer: about[bug], Workload: workload.All[n%uint64(len(workload.All))], Records: 600, Parallelism: 1 + int(n/uint64(len(workload.All)))%2,
						Guests: "../../test/guests", Cache: cache, Discard: true,
						Connectors: &connector.Registry{
							Sources: map[string]func(map[string]string) (connector.Source, error){"file": file.NewSource},
							Sinks:   map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink},
						},
					})
				})
				if err != nil {
					t.Logf("%s is noticed: %v", bug, err)
					return
				}
			}
			t.Errorf("%s was not noticed in %d seeds", bug, *tries)
		})
	}
}
