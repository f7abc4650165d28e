package clustertest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// TestStateThroughVersions upgrades a job whose states change their form, to the second version and to the third, with kills
// in between, stops, and other parallelisms. An upgrade that is given up leaves the version before; keys keep their counts.
func TestStateThroughVersions(t *testing.T) {
	cache := t.TempDir()
	to := func(version int, meanwhile func(x *Cluster)) Fault {
		return Fault{Name: fmt.Sprint("upgrade to version ", version), Do: func(x *Cluster) {
			name := fmt.Sprintf("moved-%d", version)
			module, err := os.ReadFile("../../test/guests/" + name + ".wasm")
			if err != nil {
				t.Error(err)
			}
			x.upgradeTo(name, module, nil, func() { meanwhile(x) })
		}}
	}
	nothing := func(*Cluster) {}
	killTM := func(x *Cluster) {
		x.Sleep(x.someTime(time.Second))
		x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second))
	}
	killJM := func(x *Cluster) {
		x.Sleep(x.someTime(time.Second))
		x.killJobManager(x.someTime(time.Second))
	}
	for n, faults := range [][]Fault{ // each is done with at least one of its upgrades
		{to(2, nothing), to(3, nothing)},
		{to(2, killTM), fault("kill TaskManager"), to(3, killTM), fault("kill TaskManager")},
		{to(2, killJM), fault("rescale"), to(3, killJM), fault("kill every process")},
		{to(2, nothing), fault("stop and go on"), to(3, killTM), fault("rescale"), fault("kill TaskManager")},
		{to(3, killTM), fault("stop and go on, the JobManager killed")},
	} {
		done := 0
		for parallelism := 1; parallelism <= 2; parallelism++ {
			t.Run(fmt.Sprintf("%d, parallelism %d", n, parallelism), func(t *testing.T) {
				effects := Run(t, Scenario{
					Seed: uint64(10*n + parallelism), Workload: workload.Moved, Records: 1500, Parallelism: parallelism, Faults: faults,
					Guests: "../../test/guests", Cache: cache,
					Connectors: fileConnectors,
				})
				done += effects["upgrade restart"]
			})
		}
		if done == 0 {
			t.Errorf("%d: no upgrade was done", n)
		}
	}
}

// TestAccumulatorsThroughVersions upgrades windows whose sums change their form while they are open: each result is of all its
// lines, whatever they were added to, and whatever is killed.
func TestAccumulatorsThroughVersions(t *testing.T) {
	cache := t.TempDir()
	module, err := os.ReadFile("../../test/guests/windows-2.wasm")
	if err != nil {
		t.Fatal(err)
	}
	upgrade := Fault{Name: "upgrade to sums of text", Do: func(x *Cluster) {
		x.upgradeTo("windows-2", module, nil, func() {
			if x.random.IntN(2) == 0 {
				x.Sleep(x.someTime(time.Second))
				x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second))
			}
		})
	}}
	done := 0
	for n := range uint64(6) {
		w := []*workload.Workload{workload.Windows, workload.Unending}[n%2]
		s := scenario(n, w, 1+int(n/2)%2, cache)
		s.Faults = [][]Fault{{upgrade}, {upgrade, fault("kill TaskManager"), fault("rescale")}, {fault("stop and go on"), upgrade, fault("kill every process")}}[n/2]
		t.Run(fmt.Sprint(n, " ", w.Name), func(t *testing.T) { done += Run(t, s)["upgrade restart"] })
	}
	if done < 3 {
		t.Errorf("%d upgrades were done (expected 3 at least)", done)
	}
}
