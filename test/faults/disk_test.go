//go:build faults

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// durables are the directories of a run that must outlive a power cut, and what is asked of each on the way to a decision.
var durables = map[string][]op{
	"checkpoints": {opCreate, opWrite, opSync, opLink, opRemove, opSyncDir},
	"jobmanager":  {opWrite, opSync},
	"job/output":  {opCreate, opWrite, opSync, opRename, opSyncDir},
}

// disks break what files lie on.
func disks() (all []scenario) {
	all = append(all, scenario{row: "16", name: "at random", remark: true, prepare: onDisks, fault: func(x *run) {
		x.killed = true
		for range 3 {
			x.completes(1 + x.random.IntN(2))
			x.pass(x.someTime(500 * time.Millisecond))
			x.blackout()
			x.mended()
		}
	}})
	for _, dir := range []string{"checkpoints", "jobmanager", "job/output"} {
		for _, o := range durables[dir] {
			all = append(all, scenario{row: "16", name: fmt.Sprintf("before a %s in %s", o, dir), prepare: onDisks, fault: func(x *run) {
				x.completes(1)
				b := x.disk(dir).set(breakage{ops: []op{o}, after: x.random.IntN(20), do: cuts})
				x.until(30*time.Second, "the power fails", func(context.Context) bool { return x.disk(dir).met(b) > 0 })
				x.blackout()
				x.disk(dir).lift(b)
				x.mended()
			}})
		}
	}
	return all
}

// onDisks puts what must last on disks that can be broken.
func onDisks(x *run) {
	for dir := range durables {
		x.mount(dir)
	}
	x.mount("state")
}

// disk is that of a directory.
func (x *run) disk(name string) *disk {
	for _, d := range x.disks {
		if d.name == name {
			return d
		}
	}
	x.t.Fatalf("%s is on no disk of its own", name)
	return nil
}

// blackout takes the power from the machine, and gives it back: of what was not durable every other time all is lost, else
// any part.
func (x *run) blackout() {
	x.t.Helper()
	x.power.cut()
	for _, p := range x.processes() {
		_ = p.cmd.Process.Kill()
	}
	for _, p := range x.processes() {
		<-p.ended
	}
	var luck *rand.Rand
	if x.random.IntN(2) == 0 {
		luck = x.random
	}
	x.power = &power{off: make(chan struct{})}
	for _, d := range x.disks {
		d.stop()
		if n := d.cut(luck); n > 0 {
			x.effect("power cut: %s loses writes and names", d.name)
		}
		d.start()
	}
}
