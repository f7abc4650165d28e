package clustertest

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

// twoChanges has the job rescaled and upgraded by two who do not know of each other, while something else happens. What either is
// told was done has to be what the job is, unless a failure has taken it back since.
func (x *Cluster) twoChanges(meanwhile func()) {
	x.awaitRunning(15 * time.Second)
	before := x.Job()
	if before == nil {
		return
	}
	n := 1 + (before.Parallelism+x.random.IntN(2*x.config.Slots-1))%(2*x.config.Slots) // another than it has
	name, module, params := x.nextVariant()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	jm := x.jm.jm
	m, err := jm.UploadModule(ctx, bytes.NewReader(module))
	if err != nil {
		x.trace.Add("upload %s: %v", name, err)
		return
	}
	rescaled, upgraded := make(chan error, 1), make(chan error, 1)
	rescale := func() {
		_, err := jm.RescaleJob(ctx, x.job, &api.Rescale{Parallelism: &n})
		rescaled <- err
	}
	upgrade := func() {
		_, err := jm.UpgradeJob(ctx, x.job, &api.Upgrade{Module: m.ID, Params: params})
		upgraded <- err
	}
	both := []func(){rescale, upgrade}
	first := x.random.IntN(2)
	go both[first]()
	if x.random.IntN(2) == 0 {
		x.Sleep(x.someTime(500 * time.Millisecond))
	}
	go both[1-first]()
	meanwhile()
	r, u := <-rescaled, <-upgraded
	x.trace.Add("at once: rescale to %d: %v; upgrade to %s: %v", n, r, name, u)
	if r == nil || u == nil {
		x.trace.Effect("two changes at once")
	}
	x.expectChanges(before, r == nil, n, u == nil, m.ID)
}

// expectChanges holds what was answered against the job.
func (x *Cluster) expectChanges(before *api.Job, rescaled bool, parallelism int, upgraded bool, module graph.ModuleID) {
	j := x.Job()
	if j == nil || j.Change != nil && tookBack(j.Change, before, upgraded) {
		return
	}
	if rescaled && j.Parallelism != parallelism || upgraded && j.Module != module {
		x.broken = fmt.Errorf("of two changes at once one is lost: the job has parallelism %d (rescaled %v, to %d) and module %s (upgraded %v, to %s)",
			j.Parallelism, rescaled, parallelism, j.Module, upgraded, module)
	}
}

// tookBack says whether a job's last change is one of those that were answered, undone by a failure: not an upgrade that was refused.
func tookBack(c *api.Change, before *api.Job, upgraded bool) bool {
	since := before.Change == nil || !c.Time.Equal(before.Change.Time)
	return since && c.Outcome == api.ChangeWentBack && (upgraded || c.Kind != api.ChangeUpgrade)
}
