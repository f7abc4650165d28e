package clustertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/wire"
)

// outputGone takes pending output away, and has it given up when it is missed: with processes that are killed before, or with a
// JobManager that is killed as soon as it has answered. It is no fault that seeds choose: who gives up must know of nothing else.
var outputGone = Fault{Name: "output gone, and given up", Do: func(x *Cluster) {
	taken := x.takeOutput()
	if taken == "" || !x.awaitMissed() {
		return
	}
	switch x.random.IntN(3) {
	case 0:
		x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(2*time.Second))
	case 1:
		x.killJobManager(x.someTime(2 * time.Second))
	}
	lost := x.giveUp()
	if x.random.IntN(2) == 0 {
		x.killJobManager(x.someTime(2 * time.Second))
	}
	if len(lost) != 1 {
		x.broken = fmt.Errorf("%s is gone, and given up was %+v", taken, lost)
		return
	}
	x.lost[lost[0].Name] = taken
	x.trace.Effect("output given up")
}}

// takeOutput moves a pending file out of the output, and answers where it is; empty: there is none.
func (x *Cluster) takeOutput() string {
	x.awaitRunning(15 * time.Second)
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); x.Sleep(50 * time.Millisecond) {
		var pending []string
		for _, below := range []string{"", "*"} {
			found, _ := filepath.Glob(filepath.Join(x.config.Params["output"], below, ".part-*.pending"))
			pending = append(pending, found...)
		}
		if len(pending) == 0 {
			continue
		}
		from, to := pending[x.random.IntN(len(pending))], filepath.Join(x.dir, fmt.Sprint("taken-", len(x.lost)))
		if err := os.Rename(from, to); err != nil {
			x.broken = err
			return ""
		}
		x.trace.Add("took %s", from)
		return to
	}
	return ""
}

// awaitMissed waits until output cannot be committed because it is gone.
func (x *Cluster) awaitMissed() bool {
	for end := time.Now().Add(healed); time.Now().Before(end); x.Sleep(50 * time.Millisecond) {
		if j := x.Job(); j != nil && (j.Uncommitted != "" || j.State == api.JobFinishing && j.Failure != nil && j.Failure.Kind == wire.KindGone) {
			return true
		}
	}
	x.broken = errors.New("output is gone, and the job does not miss it")
	return false
}

// giveUp asks until it is answered: for a while there may be no JobManager, or no TaskManager that looks.
func (x *Cluster) giveUp() []api.LostOutput {
	for end := time.Now().Add(healed); time.Now().Before(end); x.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		done, err := x.jm.jm.GiveUp(ctx, x.job, &api.GiveUp{})
		cancel()
		x.trace.Add("give up: %v", err)
		if err == nil {
			return done.Lost
		}
	}
	return nil
}

// putBack holds what the job says is lost against what was given up, and puts that back for the output to be whole: what is lost
// beside it is missing still, and what was committed in spite of it is there.
func (x *Cluster) putBack() error {
	if len(x.lost) == 0 {
		return nil
	}
	var told []string
	j := x.Job()
	for _, l := range j.Guarantee.Lost {
		told = append(told, l.Name)
	}
	slices.Sort(told)
	if given := slices.Sorted(maps.Keys(x.lost)); !slices.Equal(told, given) || j.Guarantee.Guarantee != connector.AtMostOnce {
		return fmt.Errorf("the job is %s and says that %q is lost (expected %q)", j.Guarantee.Guarantee, told, given)
	}
	for name, taken := range x.lost {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("%s was given up, and is there", name)
		}
		if err := os.Rename(taken, name); err != nil {
			return err
		}
	}
	return nil
}
