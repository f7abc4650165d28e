//go:build faults

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/wasmill/wasmill/internal/transport"
)

// process is one process of a cluster: it can be killed, stopped, and started again as it was.
type process struct {
	x     *run
	name  string
	args  []string
	host  *host  // where it runs; nil: beside the test
	fault string // FAILPOINT besides what slows sources down
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process that was started last has ended
}

// start starts the process; its log is appended to.
func (p *process) start() {
	p.x.t.Helper()
	log, err := os.OpenFile(p.x.path("logs", p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		p.x.t.Fatal(err)
	}
	defer log.Close()
	points := "reading=pause:" + or(p.x.pace, defaultPace).String() + "?" + p.x.path("slow") + p.x.always
	if p.fault != "" {
		points += "," + p.fault
	}
	cmd := exec.Command(binary(p.x.t, p.x.clocks), p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(p.x.environ(), "FAILPOINT="+points, "FAILPOINT_LOG="+p.x.path("failpoints", p.name), "FAILPOINT_CLOCK="+p.clock())
	start := cmd.Start
	if p.host != nil {
		start = func() error { return p.host.do(cmd.Start) }
	}
	if err := start(); err != nil {
		p.x.t.Fatalf("start %s: %v", p.name, err)
	}
	ended := make(chan struct{})
	go func() { // ends with the process, which ends with the run
		_ = cmd.Wait()
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
}

// runs says whether the process is there.
func (p *process) runs() bool {
	select {
	case <-p.ended:
		return false
	default:
		return p.cmd != nil
	}
}

// kill sends SIGKILL and waits for the end.
func (p *process) kill() {
	if !p.runs() {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	p.x.jmDied = p.x.jmDied || p == p.x.jm
	p.x.effect("kill -9 %s", p.name)
}

// wasKilled says whether the process, which has ended, was ended by SIGKILL.
func (p *process) wasKilled() bool {
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGKILL
}

// signal sends a signal.
func (p *process) signal(s syscall.Signal) {
	p.x.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.x.t.Fatalf("signal %s: %v", p.name, err)
	}
}

// stopped says whether the process is stopped.
func (p *process) stopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "T")
}

// log is what the process has written so far.
func (p *process) log() string {
	text, err := os.ReadFile(p.x.path("logs", p.name+".log"))
	if err != nil {
		p.x.t.Fatal(err)
	}
	return string(text)
}

// points are the failpoints that took effect in the process.
func (p *process) points() []string {
	text, err := os.ReadFile(p.x.path("failpoints", p.name))
	if err != nil {
		return nil // none did
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// certs makes the certificates of a run's cluster.
func certs(x *run) {
	ca, err := transport.InitCA(x.path("certs"))
	if err == nil {
		err = ca.IssueTo(x.path("certs"), "faults")
	}
	if err != nil {
		x.t.Fatal(err)
	}
}
