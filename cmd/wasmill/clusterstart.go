package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/config"
)

// startLimit bounds how long a cluster may take until all slots are registered.
const startLimit = 30 * time.Second

// localCluster is a cluster to be started on this machine.
type localCluster struct {
	dir          string
	taskmanagers int
	slots        int
	port         int
	configFile   string
	checkpoints  string

	started []startedProcess
	exits   chan string // names of processes that have ended
}

type startedProcess struct {
	process
	cmd    *exec.Cmd
	logged int64 // bytes that were in the log before
}

// startedCluster is the answer of `wasmill cluster start`.
type startedCluster struct {
	URL       string           `json:"url"`
	Processes []clusterProcess `json:"processes"`
}

type clusterProcess struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	Log  string `json:"log"`
}

func (a *app) clusterStartCommand() *cobra.Command {
	var dir string
	var port, taskmanagers int
	cmd := &cobra.Command{
		Use:   "start --dir DIR",
		Short: "Start a JobManager and TaskManagers on this machine, in the background",
		Long: `Start a JobManager and TaskManagers as processes of their own on loopback, and return when all slots are registered.
The last line is the JobManager's URL. DIR gets a NAME.pid and a NAME.log of each process, the certificates and the
JobManager's metadata; jobs that ran when the cluster was stopped run again.`,
		Example: `  wasmill cluster start --dir cluster --taskmanagers 2 --slots 2
  wasmill run job.wasm --jobmanager http://127.0.0.1:7070
  wasmill cluster stop --dir cluster`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := clusterDir(dir)
			if err != nil {
				return err
			}
			c, err := a.load(cmd)
			if err != nil {
				return err
			}
			if taskmanagers < 1 || taskmanagers > 100 {
				return usagef("--taskmanagers %d (expected 1 <= n <= 100)", taskmanagers)
			}
			if port < 0 || port > 65535 {
				return usagef("--port %d (expected 0 <= n <= 65535)", port)
			}
			checkpoints, err := checkpointsOf(dir, c.Checkpoint.Dir)
			if err != nil {
				return err
			}
			return a.startCluster(cmd, &localCluster{
				dir: dir, taskmanagers: taskmanagers, slots: c.TaskManager.Slots, port: port, configFile: a.configPath(),
				checkpoints: checkpoints,
			}, cmd.Flags().Changed("port"))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`DIR`ectory of the cluster, made if needed")
	cmd.Flags().IntVar(&taskmanagers, "taskmanagers", 2, "number of TaskManagers")
	cmd.Flags().IntVar(&port, "port", 0, "port of the JobManager, TCP for REST and UDP for TaskManagers; without it "+strconv.Itoa(clusterPort)+" or, when that is taken, a free one")
	optionFlag(cmd, "slots", "taskmanager.slots")
	optionFlag(cmd, "checkpoint-dir", "checkpoint.dir")
	cmd.Flags().Lookup("checkpoint-dir").DefValue = "DIR/checkpoints"
	return cmd
}

// checkpointsOf is where the checkpoints of a cluster, or of a job of a single process, are kept: below its directory, unless
// another place is set.
func checkpointsOf(dir, set string) (string, error) {
	if set == config.Find("checkpoint.dir").Default {
		return filepath.Join(dir, "checkpoints"), nil
	}
	return place(set)
}

// configPath is the configuration file in force, as the processes of a cluster are to find it.
func (a *app) configPath() string {
	path := a.configFile
	if path == "" {
		path = lookup(a.environ, config.EnvFile)
	}
	if abs, err := filepath.Abs(path); err == nil && path != "" {
		return abs
	}
	return path
}

func (a *app) startCluster(cmd *cobra.Command, c *localCluster, portGiven bool) error {
	lock, err := c.claim(cmd.Context(), portGiven)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := ensureCerts(c.certs()); err != nil {
		return err
	}
	err = c.startProcesses(cmd.Context())
	if err != nil && !portGiven && c.port != 0 && !c.portFree() {
		// Another process took the port in between: any other will do.
		c.port = 0
		if err = c.choosePort(true); err == nil {
			err = c.startProcesses(cmd.Context())
		}
	}
	if err != nil {
		return err
	}
	answer := startedCluster{URL: c.url()}
	for _, p := range c.started {
		answer.Processes = append(answer.Processes, clusterProcess{p.name, p.cmd.Process.Pid, p.logFile()})
	}
	return a.answer(answer, func(w io.Writer) {
		var rows []string
		for _, p := range answer.Processes {
			rows = append(rows, fmt.Sprintf("%s\tprocess %d\t%s", p.Name, p.PID, p.Log))
		}
		table(w, rows...)
		fmt.Fprintln(w, answer.URL)
	})
}

func (c *localCluster) certs() string { return filepath.Join(c.dir, certsDir) }
func (c *localCluster) url() string   { return "http://" + c.address() }
func (c *localCluster) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
}

// claim makes the directory, locks it and settles on a port, having touched nothing when the cluster cannot be started.
func (c *localCluster) claim(ctx context.Context, portGiven bool) (*os.File, error) {
	if _, err := os.Stat(c.dir); portGiven && errors.Is(err, fs.ErrNotExist) {
		if err := c.choosePort(portGiven); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if c.dir, err = filepath.EvalSymlinks(c.dir); err != nil {
		return nil, err
	}
	lock, err := lockCluster(ctx, c.dir, 0)
	if err != nil {
		return nil, err
	}
	if err = c.refuseSecond(); err == nil {
		err = c.choosePort(portGiven)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// refuseSecond refuses a directory whose cluster runs, or may run.
func (c *localCluster) refuseSecond() error {
	all, err := processesOf(c.dir)
	if err != nil {
		return err
	}
	for _, p := range all {
		pid, found, err := p.find()
		switch {
		case err != nil:
			return withHint(err, "remove the file if no process of the cluster runs")
		case found == ours:
			return withHint(fmt.Errorf("a cluster runs in %s (%s is process %d)", c.dir, p.name, pid), "stop it with `wasmill cluster stop --dir %s`, or choose another directory", c.dir)
		case found == elsewhere:
			return p.notOurs(pid, found)
		}
	}
	return nil
}

// startProcesses starts all processes and waits until all slots are registered. When that does not come about, it says
// why, as the logs have it, and leaves nothing running.
func (c *localCluster) startProcesses(ctx context.Context) error {
	c.started, c.exits = nil, make(chan string, c.taskmanagers+1)
	err := c.spawnAll()
	if err == nil {
		err = c.awaitSlots(ctx)
	}
	if err == nil {
		return nil
	}
	for _, p := range c.started {
		if stopErr := c.end(p); stopErr != nil {
			err = errors.Join(err, stopErr)
		}
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

func (c *localCluster) spawnAll() error {
	common := []string{"--certs=" + c.certs()}
	if c.configFile != "" {
		common = append(common, "--config="+c.configFile)
	}
	err := c.spawn(roleJobManager, append([]string{roleJobManager, "--address=" + c.address(), "--control=" + c.address(),
		"--dir=" + filepath.Join(c.dir, roleJobManager), "--checkpoint-dir=" + c.checkpoints}, common...))
	for i := 1; err == nil && i <= c.taskmanagers; i++ {
		name := roleTaskManager + "-" + strconv.Itoa(i)
		err = c.spawn(name, append([]string{roleTaskManager, "--name=" + name, "--slots=" + strconv.Itoa(c.slots),
			"--jobmanager=" + c.address(), "--state-dir=" + filepath.Join(c.dir, "state")}, common...))
	}
	return err
}

func (c *localCluster) spawn(name string, args []string) error {
	p := startedProcess{process: process{c.dir, name}}
	p.logged = p.logFileSize()
	var err error
	if p.cmd, err = p.start(args...); err != nil {
		return err
	}
	c.started = append(c.started, p)
	exits := c.exits
	go func() { // ends with the process; the channel has room for all
		_ = p.cmd.Wait()
		exits <- name
	}()
	return nil
}

// awaitSlots asks the JobManager until every slot is registered.
func (c *localCluster) awaitSlots(ctx context.Context) error {
	client, err := api.NewClient(c.url(), nil)
	if err != nil {
		return err
	}
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	want, have := c.taskmanagers*c.slots, 0
	for {
		if o, err := client.Overview(ctx); err == nil {
			if have = o.Slots; have >= want {
				return nil
			}
		}
		select {
		case name := <-c.exits:
			return c.why(name, "%s ended at once", name)
		case <-limit.C:
			return c.why(c.started[len(c.started)-1].name, "%d of %d slots registered after %s", have, want, startLimit)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// why is an error with what the log of the named process says about it.
func (c *localCluster) why(name, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	for _, p := range c.started {
		if p.name != name {
			continue
		}
		if said := p.said(p.logged); said != "" {
			said, hint, _ := strings.Cut(said, "\n  hint: ")
			err := fmt.Errorf("start the cluster: %s: %s", message, said)
			if hint != "" {
				return withHint(err, "%s", hint)
			}
			return withHint(err, "its whole log is %s", p.logFile())
		}
	}
	return fmt.Errorf("start the cluster: %s; its log is empty", message)
}

// end stops a process that this command started.
func (c *localCluster) end(p startedProcess) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if left := awaitGone(context.Background(), []process{p.process}, stopLimit); len(left) > 0 {
		_ = p.cmd.Process.Kill()
		awaitGone(context.Background(), left, killLimit)
	}
	return os.Remove(p.pidFile()) // this command wrote it, and holds the lock
}
