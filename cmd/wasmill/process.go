package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// process is one process of a cluster on this machine: NAME.pid and NAME.log in the cluster's directory.
type process struct {
	dir, name string
}

func (p process) pidFile() string { return filepath.Join(p.dir, p.name+".pid") }
func (p process) logFile() string { return filepath.Join(p.dir, p.name+".log") }

// start runs this binary with args in the background: a session of its own, its output in the log. The caller waits for
// the command it returns, or exits before it.
func (p process) start(args ...string) (*exec.Cmd, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := os.WriteFile(p.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.name, err), cmd.Process.Kill(), cmd.Wait())
	}
	return cmd, nil
}

// pid reads the process id from the pid file; ours says whether a process of that id runs and is this one. Process ids
// are used again, so the file alone is not believed: the command line must be the role's, of this cluster and name.
func (p process) pid() (pid int, ours bool, err error) {
	text, err := os.ReadFile(p.pidFile())
	if err != nil {
		return 0, false, err
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, false, fmt.Errorf("%s: %q is not a process id", p.pidFile(), strings.TrimSpace(string(text)))
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return pid, false, nil
	}
	if err != nil {
		return pid, false, err
	}
	return pid, p.matches(args), nil
}

// matches says whether a command line is the one that start gave this process. The directory of the cluster is in it.
func (p process) matches(cmdline []byte) bool {
	args := strings.Split(string(bytes.TrimRight(cmdline, "\x00")), "\x00")
	return len(args) > 1 && args[1] == p.role() && slices.Contains(args, "--certs="+p.certs()) &&
		(p.role() == roleJobManager || slices.Contains(args, "--name="+p.name))
}

// Roles of processes, which are the commands that run them.
const (
	roleJobManager  = "jobmanager"
	roleTaskManager = "taskmanager"
)

func (p process) role() string {
	if p.name == roleJobManager {
		return roleJobManager
	}
	return roleTaskManager
}

func (p process) certs() string { return filepath.Join(p.dir, certsDir) }

// signal sends sig to the process if it runs and is ours.
func (p process) signal(sig syscall.Signal) error {
	pid, ours, err := p.pid()
	if err != nil || !ours {
		return err
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s (process %d): %w", p.name, pid, err)
	}
	return nil
}

// runs says whether the process is there and ours.
func (p process) runs() bool {
	_, ours, err := p.pid()
	return err == nil && ours
}

// said returns what the process has logged past offset bytes that explains its end: its last error, or its last lines.
func (p process) said(offset int64) string {
	text, err := os.ReadFile(p.logFile())
	if err != nil || int64(len(text)) <= offset {
		return ""
	}
	log := strings.TrimSpace(string(text[offset:]))
	if i := strings.LastIndex("\n"+log, "\nerror: "); i >= 0 {
		return strings.TrimPrefix(log[i:], "error: ")
	}
	const most = 5
	lines := strings.Split(log, "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// logFileSize is the size of the log.
func (p process) logFileSize() int64 {
	info, err := os.Stat(p.logFile())
	if err != nil {
		return 0
	}
	return info.Size()
}
