package clustertest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
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
	if j == nil {
		return
	}
	if rescaled && j.Parallelism != parallelism && !tookBack(before, j, api.ChangeRescale) ||
		upgraded && j.Module != module && !tookBack(before, j, api.ChangeUpgrade) {
		x.broken = fmt.Errorf("of two changes at once one is lost: the job has parallelism %d (rescaled %v, to %d) and module %s (upgraded %v, to %s)",
			j.Parallelism, rescaled, parallelism, j.Module, upgraded, module)
	}
}

// tookBack says whether a failure has undone a change of a kind since a job was looked at.
func tookBack(before, now *api.Job, kind api.ChangeKind) bool {
	return slices.ContainsFunc(now.Changes, func(c api.Change) bool {
		had := slices.ContainsFunc(before.Changes, func(b api.Change) bool { return b.Kind == kind && b.Time.Equal(c.Time) })
		return c.Kind == kind && c.Outcome == api.ChangeWentBack && !had
	})
}
