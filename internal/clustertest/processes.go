package clustertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/transport/control"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager"
	"github.com/wasmill/wasmill/taskmanager"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// process is what every process of the cluster has.
type process struct {
	name     string
	addr     netip.Addr
	fence    *fence
	endpoint *transport.Endpoint
}

// port is that of every process: addresses tell them apart.
const port = 7070

// jobManagerAddr is taken by one JobManager after the other.
var jobManagerAddr = netip.AddrFrom4([4]byte{10, 0, 0, 1})

func (x *Cluster) newProcess(name string, addr netip.Addr) process {
	id, err := x.ca.Issue(name)
	if err != nil {
		x.t.Fatal(err)
	}
	p := process{name: name, addr: addr, fence: &fence{}}
	p.endpoint, err = transport.Listen(transport.Config{Identity: id, Conn: x.net.join(netip.AddrPortFrom(addr, port)), Log: x.log(name)})
	if err != nil {
		x.t.Fatal(err)
	}
	return p
}

// kill ends what the process can do, at once; its goroutines end later.
func (p *process) kill(x *Cluster) {
	p.fence.down()
	x.net.kill(p.addr)
}

type jobManager struct {
	process
	jm    *jobmanager.JobManager
	lease *lease
}

// StartJobManager starts a JobManager. There must be none.
func (x *Cluster) StartJobManager() {
	x.starts++
	x.net.revive(jobManagerAddr)
	name := fmt.Sprintf("jobmanager#%d", x.starts)
	p := x.newProcess(name, jobManagerAddr)
	lease := x.meta.lead()
	x.trace.Add("%s starts, epoch %d", name, lease.epoch)
	config := jobmanager.Config{
		Meta: lease, Blobs: x.blobs, Connectors: x.config.Connectors, Log: x.log(name), Version: "test",
		Inspect: x.inspect, Describe: x.describe,
		Heartbeat: time.Second, HeartbeatTimeout: 3 * time.Second, SlotsTimeout: 5 * time.Minute,
		Restart: jobmanager.Restart{Delay: 200 * time.Millisecond, MaxDelay: 2 * time.Second, PerHour: 1000},
		Grants:  map[string]jobmanager.Grants{abi.ClientHTTP: x.outside},
		Dial: func(r wire.Register) (jobmanager.TaskManager, error) {
			return troubledTM{control.NewTaskManagerClient(p.endpoint, r.Address), x.trouble}, nil
		},
	}
	config.OpenStore = x.disk.open(x.disk.mount("jobmanager", p.fence))
	config.Checkpoints = jobmanager.Checkpoints{
		URL: x.checkpointDir(), Interval: x.config.Checkpoint, Timeout: 20 * time.Second, Tolerated: 1000, Retained: 3,
		Unaligned: x.config.Barriers.Unaligned, AlignmentTimeout: x.config.Barriers.Patience,
	}
	jm, err := jobmanager.New(config)
	if err == nil {
		err = jm.Start(context.Background())
	}
	if err != nil {
		x.t.Fatalf("start JobManager: %v", err)
	}
	p.endpoint.HandleControl(control.JobManagerHandler(jm))
	x.jm = &jobManager{process: p, jm: jm, lease: lease}
}

// KillJobManager ends the JobManager as SIGKILL does.
func (x *Cluster) KillJobManager() {
	if x.jm == nil {
		return
	}
	gone := x.jm
	x.jm = nil
	x.trace.Add("%s is killed", gone.name)
	gone.lease.end()
	gone.kill(x)
	_ = gone.endpoint.Close()
	_ = gone.jm.Close()
}

type taskManager struct {
	process
	stop context.CancelFunc
	done chan struct{}
}

// StartTaskManager starts TaskManager i. It must not be running.
func (x *Cluster) StartTaskManager(i int) {
	x.starts++
	name := fmt.Sprintf("taskmanager-%d#%d", i, x.starts)
	addr := netip.AddrFrom4([4]byte{10, 0, byte(1 + i), byte(x.starts)})
	p := x.newProcess(name, addr)
	x.trace.Add("%s starts", name)
	on := x.disk.mount(machine(i), p.fence)
	connectors, queue := connectorsOn(on, x.config.Connectors, paceRecords, paceEvery), 0
	if x.config.Barriers.Slow {
		connectors, queue = slowSinks(connectors, x.config.Barriers.Stuck), slowQueue
	}
	network := exchange.NewNetwork(p.endpoint, exchange.Config{QueueBytes: queue})
	config := taskmanager.Config{
		ID: wire.TaskManagerID(name), Name: name, Slots: x.config.Slots, Address: p.endpoint.Addr(),
		Engine: x.engine, Connectors: connectors, Network: network, Log: x.log(name), Clients: map[string]taskmanager.Client{abi.ClientHTTP: x.outside},
	}
	config.OpenStore, config.StateDir, config.Files = x.disk.open(on), x.stateDir(i), on
	config.State.Budget = x.config.Budget
	tm := taskmanager.New(config)
	p.endpoint.HandleControl(control.TaskManagerHandler(tm))
	client := control.NewJobManagerClient(p.endpoint, netip.AddrPortFrom(jobManagerAddr, port).String())
	ctx, stop := context.WithCancel(context.Background())
	out := &taskManager{process: p, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(out.done)
		if err := tm.Run(ctx, troubledJM{client, x.trouble}); err != nil {
			x.trace.Add("%s: %v", name, err)
		}
		network.Close()
		_ = client.Close()
		_ = p.endpoint.Close()
	}()
	x.tms[i] = out
}

// KillTaskManager ends TaskManager i as SIGKILL does.
func (x *Cluster) KillTaskManager(i int) {
	gone := x.tms[i]
	if gone == nil {
		return
	}
	x.tms[i] = nil
	x.trace.Add("%s is killed", gone.name)
	gone.kill(x)
	gone.stop()
	<-gone.done
}

// machine is where TaskManager i runs.
func machine(i int) string { return fmt.Sprintf("machine-%d", i) }

// checkpointDir is what all processes share.
func (x *Cluster) checkpointDir() string { return filepath.Join(x.dir, "checkpoints") }

// stateDir is the local directory of TaskManager i, which outlives its processes.
func (x *Cluster) stateDir(i int) string {
	dir := filepath.Join(x.dir, fmt.Sprintf("state-%d", i))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		x.t.Fatal(err)
	}
	return dir
}

func (x *Cluster) inspect(ctx context.Context, wasm []byte) (*jobmanager.Inspection, error) {
	found, err := x.engine.Inspect(ctx, wasm, nil)
	if err != nil {
		return nil, err
	}
	return &jobmanager.Inspection{
		Metered: found.Metered, MeteredID: graph.ModuleID(found.MeteredID), Manifest: found.Manifest, DescribeError: found.DescribeError,
	}, nil
}

func (x *Cluster) describe(ctx context.Context, metered []byte, params map[string]string) (*jobmanager.Description, error) {
	manifest, parsed, err := x.engine.Describe(ctx, metered, params)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(manifest)
	return &jobmanager.Description{Manifest: parsed, ID: graph.ModuleID(hex.EncodeToString(sum[:]))}, nil
}
