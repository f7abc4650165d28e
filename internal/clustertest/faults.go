package clustertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
)

// Fault is one thing that goes wrong. It is called on the test's goroutine, may wait in virtual time, and mends what it
// broke before it returns; what it does is in the trace, what of it took effect among the trace's effects.
type Fault struct {
	Name  string
	Do    func(x *Cluster)
	Apart bool // it is about what TaskManagers send each other: nothing, when each subtask is alone
}

// Faults are all that a seed chooses from. A killed TaskManager comes back as another process, with the local directory
// of the one before.
var Faults = []Fault{
	{Name: "kill TaskManager", Do: func(x *Cluster) { x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(3*time.Second)) }},
	{Name: "kill TaskManager in a loop", Do: func(x *Cluster) {
		i := x.random.IntN(len(x.tms))
		for range 2 + x.random.IntN(3) {
			x.killTaskManager(i, x.someTime(500*time.Millisecond))
			x.Sleep(x.someTime(time.Second))
		}
	}},
	{Name: "kill JobManager", Do: func(x *Cluster) { x.killJobManager(x.someTime(4 * time.Second)) }},
	{Name: "kill every process", Do: func(x *Cluster) { x.killAll("kill every process", x.someTime(2*time.Second)) }},
	{Name: "isolate TaskManager", Do: func(x *Cluster) { x.partition(x.tm(), nil, both, x.someTime(8*time.Second)) }},
	{Name: "TaskManager to JobManager only", Do: func(x *Cluster) { x.partition(x.tm(), x.jobManagerProcess(), from, x.someTime(6*time.Second)) }},
	{Name: "JobManager to TaskManager only", Do: func(x *Cluster) { x.partition(x.tm(), x.jobManagerProcess(), to, x.someTime(6*time.Second)) }},
	{Name: "TaskManagers apart", Apart: true, Do: func(x *Cluster) {
		i := x.random.IntN(len(x.tms))
		a, b := x.tms[i], x.tms[(i+1)%len(x.tms)]
		if len(x.tms) < 2 || a == nil || b == nil {
			return
		}
		x.partition(&a.process, &b.process, both, x.someTime(15*time.Second))
	}},
	// What it was told, and what it has sent, arrives when it is thought to be lost.
	{Name: "TaskManager paused", Do: func(x *Cluster) {
		p := x.tm()
		x.net.pause(p.addr)
		x.Sleep(x.someTime(8 * time.Second))
		if n := x.net.resume(p.addr); n > 0 {
			x.trace.Effect("pause")
			x.trace.Add("%s was paused, %d packets come late", p.name, n)
		}
	}},
	{Name: "bad network", Do: func(x *Cluster) { x.badNetwork(x.someTime(5 * time.Second)) }},
	{Name: "control requests in trouble", Do: func(x *Cluster) {
		x.trouble.set(0.1, 0.1, 0.1)
		x.Sleep(x.someTime(5 * time.Second))
		x.trouble.set(0, 0, 0)
	}},
	{Name: "requests late, a TaskManager killed", Do: func(x *Cluster) {
		x.trouble.hold(0.3) // those of the attempt before come into the next one
		x.Sleep(x.someTime(2 * time.Second))
		x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(500*time.Millisecond))
		x.trouble.hold(0)
	}},
	{Name: "requests late, the JobManager killed twice", Do: func(x *Cluster) {
		x.trouble.hold(0.5)
		for range 2 {
			x.killJobManager(x.someTime(500 * time.Millisecond))
			x.awaitRunning(15 * time.Second)
			x.Sleep(x.someTime(500 * time.Millisecond))
		}
		x.trouble.hold(0)
	}},
	{Name: "requests of an attempt before, the JobManager killed twice", Do: func(x *Cluster) { x.zombieRequests() }},
	{Name: "channels of different length, a TaskManager killed", Apart: true, Do: func(x *Cluster) { x.unequalChannels() }},
	{Name: "commits lost, then TaskManagers killed", Do: func(x *Cluster) {
		x.trouble.holdCommits(true)
		x.Sleep(1500 * time.Millisecond) // a checkpoint is decided meanwhile
		for i := range x.tms {
			x.killTaskManager(i, 0)
		}
		x.Sleep(x.someTime(time.Second))
		x.trouble.holdCommits(false)
	}},
	{Name: "metadata cannot be written", Do: func(x *Cluster) {
		n := 1 + x.random.IntN(3)
		before := x.meta.failures()
		x.meta.failNext(n)
		x.Sleep(x.someTime(3 * time.Second))
		x.meta.failNext(-n)
		if x.meta.failures() > before {
			x.trace.Effect("metadata cannot be written")
		}
	}},
	{Name: "disk fails", Do: func(x *Cluster) { x.diskFault("disk fails", diskFails, x.dir) }},
	{Name: "disk full", Do: func(x *Cluster) { x.diskFault("disk full", diskFull, x.checkpointDir()) }},
	{Name: "local disk full", Do: func(x *Cluster) { x.diskFault("local disk full", diskFull, filepath.Join(x.dir, "state-")) }},
	{Name: "disk slow", Do: func(x *Cluster) { x.diskFault("disk slow", diskSlow, x.dir) }},
	{Name: "sync fails once", Do: func(x *Cluster) { x.diskFault("sync fails once", diskSyncFails, x.dir) }},
	{Name: "power cut of a machine", Do: func(x *Cluster) {
		i := x.random.IntN(len(x.tms))
		x.KillTaskManager(i)
		x.cutPower(machine(i))
		x.Sleep(x.someTime(3 * time.Second))
		x.StartTaskManager(i)
	}},
	{Name: "power cut", Do: func(x *Cluster) { x.killAll("", x.someTime(2*time.Second)) }},
	{Name: "slow disk, then power cut", Do: func(x *Cluster) {
		x.disk.set(diskSlow, "disk slow", x.dir)
		x.Sleep(x.someTime(6 * time.Second))
		x.disk.set(diskWorks, "", "")
		x.killAll("", x.someTime(2*time.Second))
	}},
	{Name: "rescale", Do: func(x *Cluster) { x.rescale(func() {}) }},
	{Name: "rescale, a TaskManager killed", Do: func(x *Cluster) {
		x.rescale(func() { x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second)) })
	}},
	{Name: "rescale, the JobManager killed", Do: func(x *Cluster) {
		x.rescale(func() { x.killJobManager(x.someTime(time.Second)) })
	}},
	{Name: "out of the chain and back", Do: func(x *Cluster) { x.leaveChain(func() {}) }},
	{Name: "out of the chain and back, a TaskManager killed", Do: func(x *Cluster) {
		x.leaveChain(func() { x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second)) })
	}},
	{Name: "out of the chain and back, the JobManager killed", Do: func(x *Cluster) {
		x.leaveChain(func() { x.killJobManager(x.someTime(time.Second)) })
	}},
	{Name: "upgrade", Do: func(x *Cluster) { x.upgrade(func() {}) }},
	{Name: "upgrade, a TaskManager killed", Do: func(x *Cluster) {
		x.upgrade(func() {
			x.Sleep(x.someTime(500 * time.Millisecond))
			x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second))
		})
	}},
	{Name: "upgrade, the JobManager killed", Do: func(x *Cluster) {
		x.upgrade(func() {
			x.Sleep(x.someTime(500 * time.Millisecond))
			x.killJobManager(x.someTime(time.Second))
		})
	}},
	{Name: "upgrade, killed behind the barrier", Do: func(x *Cluster) {
		x.upgrade(func() {
			x.disk.set(diskSlow, "disk slow", x.checkpointDir()) // the decision is far
			x.Sleep(x.someTime(3 * time.Second))
			if x.random.IntN(2) == 0 {
				x.killJobManager(0)
			} else {
				x.killTaskManager(x.random.IntN(len(x.tms)), 0)
			}
			x.disk.set(diskWorks, "", "")
		})
	}},
	{Name: "upgrade, control requests in trouble", Do: func(x *Cluster) {
		x.trouble.set(0.1, 0.1, 0.1)
		x.upgrade(func() { x.Sleep(x.someTime(2 * time.Second)) })
		x.trouble.set(0, 0, 0)
	}},
	{Name: "two changes at once", Do: func(x *Cluster) { x.twoChanges(func() {}) }},
	{Name: "two changes at once, a TaskManager killed", Do: func(x *Cluster) {
		x.twoChanges(func() { x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second)) })
	}},
	{Name: "two changes at once, the JobManager killed", Do: func(x *Cluster) {
		x.twoChanges(func() { x.killJobManager(x.someTime(time.Second)) })
	}},
	{Name: "stop and go on", Do: func(x *Cluster) { x.stopAndGoOn(func() {}, func() {}) }},
	{Name: "stop and go on, a TaskManager killed", Do: func(x *Cluster) {
		x.stopAndGoOn(func() { x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(time.Second)) }, func() {})
	}},
	{Name: "stop and go on, the JobManager killed", Do: func(x *Cluster) {
		kill := func() { x.killJobManager(x.someTime(time.Second)) }
		x.stopAndGoOn(kill, kill)
	}},
	{Name: "checkpoint damaged", Do: func(x *Cluster) {
		x.awaitCheckpoint(1)
		if !x.disk.damage(x.newestFiles(), x.random.Uint64()) {
			return
		}
		x.trace.Effect("checkpoint damaged")
		if x.random.IntN(2) == 0 {
			x.killTaskManager(x.random.IntN(len(x.tms)), 0)
			return
		}
		for i := range x.tms { // nobody has a copy
			x.KillTaskManager(i)
			_ = os.RemoveAll(x.stateDir(i))
			x.StartTaskManager(i)
		}
		x.trace.Effect("kill TaskManager")
	}},
}

// awaitCheckpoint waits for a checkpoint of at least that number, or not much longer than that should take.
func (x *Cluster) awaitCheckpoint(id checkpoint.ID) {
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); x.Sleep(50 * time.Millisecond) {
		if j := x.Job(); j != nil && j.Checkpoint != nil && j.Checkpoint.ID >= id {
			return
		}
	}
}

// newest is the number of the last checkpoint that is known to be decided.
func (x *Cluster) newest() checkpoint.ID {
	if j := x.Job(); j != nil && j.Checkpoint != nil {
		return j.Checkpoint.ID
	}
	return 0
}

// newestFiles are those that the newest decided checkpoint needs, its manifest among them.
func (x *Cluster) newestFiles() (paths []string) {
	j := x.Job()
	if j == nil || j.Checkpoint == nil {
		return nil
	}
	dir := filepath.Join(x.checkpointDir(), string(j.ID))
	paths = []string{filepath.Join(dir, filepath.FromSlash(checkpoint.ManifestName(j.Checkpoint.ID)))}
	var m checkpoint.Manifest
	if data, err := os.ReadFile(paths[0]); err == nil && json.Unmarshal(data, &m) == nil {
		for _, f := range m.AllFiles() {
			paths = append(paths, filepath.Join(dir, filepath.FromSlash(f.Name)))
		}
	}
	return paths
}

// Sleep waits in virtual time.
func (x *Cluster) Sleep(d time.Duration) { time.Sleep(d) }

// someTime is a random time up to a limit, short ones as likely as long ones.
func (x *Cluster) someTime(most time.Duration) time.Duration {
	d := most >> x.random.IntN(6)
	return d/2 + time.Duration(x.random.Int64N(int64(d/2)+1))
}

// killTaskManager kills a TaskManager and starts another in its place a while later.
func (x *Cluster) killTaskManager(i int, later time.Duration) {
	if x.tms[i] == nil {
		return
	}
	x.trace.Effect("kill TaskManager")
	x.KillTaskManager(i)
	x.Sleep(later)
	x.StartTaskManager(i)
}

// awaitRunning waits until the job runs, or not much longer than that should take.
func (x *Cluster) awaitRunning(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); x.Sleep(50 * time.Millisecond) {
		if j := x.Job(); j != nil && j.State == api.JobRunning {
			return
		}
	}
}

// zombieRequests has what tasks of one attempt have asked for come when the next one runs.
func (x *Cluster) zombieRequests() {
	x.awaitRunning(15 * time.Second)
	x.trouble.keep("split")
	x.killJobManager(x.someTime(500 * time.Millisecond))
	for end := time.Now().Add(15 * time.Second); x.trouble.waiting() == 0 && time.Now().Before(end); x.Sleep(50 * time.Millisecond) {
	}
	x.trouble.keep("")
	x.killJobManager(x.someTime(500 * time.Millisecond))
	x.awaitRunning(15 * time.Second)
	x.Sleep(100 * time.Millisecond) // its own first requests have been answered
	if n := x.trouble.waiting(); n > 0 {
		x.trace.Effect("requests of an attempt before")
		x.trace.Add("%d requests of an attempt before come now", n)
	}
	x.trouble.letGo()
}

// unequalChannels makes everything that TaskManagers send each other late, so that a task hears from its own long before it
// hears from others, and kills one when a checkpoint has been taken meanwhile.
func (x *Cluster) unequalChannels() {
	x.awaitRunning(15 * time.Second)
	a, b := x.tms[0], x.tms[1]
	if a == nil || b == nil {
		return
	}
	late := weather{delay: 300 * time.Millisecond}
	x.net.worsen(a.addr, b.addr, late)
	x.net.worsen(b.addr, a.addr, late)
	x.trace.Add("%s and %s are %s apart", a.name, b.name, late.delay)
	for end, first := time.Now().Add(10*time.Second), x.newest(); x.newest() < first+2 && time.Now().Before(end); x.Sleep(20 * time.Millisecond) {
	}
	x.killTaskManager(x.random.IntN(len(x.tms)), x.someTime(500*time.Millisecond))
	x.net.heal(a.addr, b.addr)
	x.net.heal(b.addr, a.addr)
}

// variants bounds the modules that a job may be upgraded to: each is compiled once.
const variants = 3

// upgrade gives the job a module that is the same but for a custom section, in its running tasks, while something else
// happens.
func (x *Cluster) upgrade(meanwhile func()) {
	name, next, params := x.nextVariant()
	x.upgradeTo(name, next, params, meanwhile)
}

// nextVariant is the module that the job is upgraded to next, and what it is told then.
func (x *Cluster) nextVariant() (name string, module []byte, params map[string]string) {
	x.upgrades++
	params = map[string]string{}
	if x.config.Params["version"] != "" {
		params["version"] = strconv.Itoa(x.upgrades + 1)
	}
	variant := x.upgrades % variants
	module = append(slices.Clone(x.config.Guest), 0, 3, 1, 'v', '0'+byte(variant)) // id, size, length of the name, name, a byte
	return fmt.Sprint("variant ", variant), module, params
}

// upgradeTo gives the job another module, and perhaps other parameters, while something else happens.
func (x *Cluster) upgradeTo(name string, module []byte, params map[string]string, meanwhile func()) {
	x.awaitRunning(15 * time.Second)
	if x.jm == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	type outcome struct {
		done *api.Upgraded
		err  error
	}
	answer := make(chan outcome, 1)
	jm := x.jm.jm
	go func() {
		m, err := jm.UploadModule(ctx, bytes.NewReader(module))
		if err != nil {
			answer <- outcome{nil, err}
			return
		}
		done, err := jm.UpgradeJob(ctx, x.job, &api.Upgrade{Module: m.ID, Params: params})
		answer <- outcome{done, err}
	}()
	meanwhile()
	o := <-answer
	x.trace.Add("upgrade to %s: %+v, %v", name, o.done, o.err)
	if o.err == nil {
		x.trace.Effect("upgrade " + string(o.done.Way))
	}
}

// killAll kills every process, or (without a name) cuts the power of all machines, and starts them again later.
func (x *Cluster) killAll(name string, later time.Duration) {
	x.KillJobManager()
	for i := range x.tms {
		x.KillTaskManager(i)
	}
	if name == "" {
		x.cutPower("")
	} else {
		x.trace.Effect(name)
	}
	x.Sleep(later)
	x.StartJobManager()
	for i := range x.tms {
		x.StartTaskManager(i)
	}
}

// cutPower loses what a machine, or all of them, had not synced. Processes were killed.
func (x *Cluster) cutPower(machine string) {
	x.trace.Effect("power cut")
	if n := x.disk.cut(machine); n > 0 {
		x.trace.Effect("unsynced data lost")
		x.trace.Add("power cut: %d files and names are not as they were", n)
	}
}

// diskFault makes changes below a directory fail for a while.
func (x *Cluster) diskFault(name string, f diskFault, under string) {
	x.disk.set(f, name, under)
	x.Sleep(x.someTime(4 * time.Second))
	x.disk.set(diskWorks, "", "")
}

func (x *Cluster) killJobManager(later time.Duration) {
	x.trace.Effect("kill JobManager")
	x.KillJobManager()
	x.Sleep(later)
	x.StartJobManager()
}

// tm is some TaskManager that runs.
func (x *Cluster) tm() *process {
	for {
		if t := x.tms[x.random.IntN(len(x.tms))]; t != nil {
			return &t.process
		}
	}
}

func (x *Cluster) jobManagerProcess() *process { return &x.jm.process }

// Directions of a partition, seen from its first process.
const (
	both = iota
	from // what the first sends is lost
	to   // what the first is sent is lost
)

// partition cuts a process off from another, or from all (nil), and heals that later.
func (x *Cluster) partition(a, b *process, which int, d time.Duration) {
	var others []netip.Addr
	if b != nil {
		others = append(others, b.addr)
	} else {
		others = append(others, jobManagerAddr)
		for _, t := range x.tms {
			if t != nil && t.addr != a.addr {
				others = append(others, t.addr)
			}
		}
	}
	x.trace.Add("partition of %s from %v, direction %d, for %s", a.name, others, which, d)
	for _, o := range others {
		if which != to {
			x.net.sever(a.addr, o)
		}
		if which != from {
			x.net.sever(o, a.addr)
		}
	}
	x.Sleep(d)
	for _, o := range others {
		if x.net.taken(a.addr, o)+x.net.taken(o, a.addr) > 0 {
			x.trace.Effect("partition")
		}
		x.net.heal(a.addr, o)
		x.net.heal(o, a.addr)
	}
	x.trace.Add("partition of %s healed", a.name)
}

// badNetwork makes every link lose, repeat, damage and delay packets.
func (x *Cluster) badNetwork(d time.Duration) {
	all := []netip.Addr{jobManagerAddr}
	for _, t := range x.tms {
		if t != nil {
			all = append(all, t.addr)
		}
	}
	w := weather{loss: 0.02 + 0.1*x.random.Float64(), repeat: 0.05, damage: 0.02, delay: time.Millisecond, jitter: 20 * time.Millisecond}
	x.trace.Add("bad network for %s: %+v", d, w)
	for _, a := range all {
		for _, b := range all {
			if a != b {
				x.net.worsen(a, b, w)
			}
		}
	}
	x.Sleep(d)
	for _, a := range all {
		for _, b := range all {
			if a != b && x.net.taken(a, b) > 0 {
				x.trace.Effect("bad network")
			}
			x.net.heal(a, b)
		}
	}
}
