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

// standing is what a pid file's process turns out to be. Process ids are used again and directories are moved, so the
// file alone is not believed: the command line must be the role's, of this cluster and name.
type standing int

const (
	gone      standing = iota // no such process
	ours                      // the process that start started
	elsewhere                 // a process of this name whose cluster has another directory
	stranger                  // any other process
)

// find reads the process id from the pid file, and says what has that id now.
func (p process) find() (pid int, found standing, err error) {
	text, err := os.ReadFile(p.pidFile())
	if err != nil {
		return 0, gone, err
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, gone, fmt.Errorf("%s is damaged: %q is not a process id", p.pidFile(), strings.TrimSpace(string(text)))
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return pid, gone, nil
	}
	if err != nil {
		return pid, gone, err
	}
	return pid, p.recognize(args), nil
}

// recognize compares a command line with the one that start gave this process.
func (p process) recognize(cmdline []byte) standing {
	if len(cmdline) == 0 {
		return gone // it has ended, and its parent has not heard of it yet
	}
	args := strings.Split(string(bytes.TrimRight(cmdline, "\x00")), "\x00")
	if len(args) < 2 || args[1] != p.role() || p.role() == roleTaskManager && !slices.Contains(args, "--name="+p.name) {
		return stranger
	}
	for _, arg := range args {
		if certs, ok := strings.CutPrefix(arg, "--certs="); ok && resolved(certs) == resolved(p.certs()) {
			return ours
		}
	}
	return elsewhere
}

// resolved is the path without symbolic links, or as it is when it leads nowhere.
func resolved(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return path
}

// notOurs is the error about a pid file whose process is another.
func (p process) notOurs(pid int, found standing) error {
	if found == elsewhere {
		return withHint(fmt.Errorf("%s: process %d is the %s of a cluster in another directory", p.pidFile(), pid, p.name),
			"if this directory was moved, move it back to stop its cluster, or end the processes by hand and remove their pid files")
	}
	return withHint(fmt.Errorf("%s: process %d is no process of this cluster", p.pidFile(), pid),
		"%s has ended and another process has its id; remove the file", p.name)
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
	pid, found, err := p.find()
	if err != nil || found != ours {
		return err
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s (process %d): %w", p.name, pid, err)
	}
	return nil
}

// runs says whether the process is there and ours.
func (p process) runs() bool {
	_, found, err := p.find()
	return err == nil && found == ours
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
