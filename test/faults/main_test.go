//go:build faults

// Package faults breaks clusters of real processes in every way that they must survive, and holds the output of their jobs
// against their input: kills in each phase of a job's life, stops, networks, disks, damage, records that trap. `make faults`
// runs each kind at least once, `make faults-full` the whole tables. What is broken in virtual time is internal/clustertest's.
//
// All happens in namespaces of its own: processes, network and mounts end with the test. It needs root for that.
package faults

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wasmill/wasmill/test/harness"
)

var (
	full    = flag.Bool("full", false, "run the whole tables, not each kind once")
	seedOf  = flag.Uint64("seed", 0, "seed of the first run; 0: chosen by the clock")
	repeats = flag.Int("repeats", 0, "how often each scenario is run, with other seeds; 0: once, or 3 times with -full")
)

// inside is set in the process that has namespaces of its own.
const inside = "WASMILL_FAULTS_INSIDE"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(inside) == "" {
		os.Exit(enter())
	}
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "set up namespaces:", err)
		os.Exit(1)
	}
	if *seedOf == 0 {
		*seedOf = uint64(time.Now().UnixNano() % 1_000_000)
	}
	if *repeats == 0 {
		*repeats = map[bool]int{false: 1, true: 3}[*full]
	}
	code := m.Run()
	all := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	if !conclude(os.Stdout, all) && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// enter runs this test again in namespaces of its own.
func enter() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "start in namespaces of its own: %v\n  hint: it needs root (CAP_SYS_ADMIN)\n", err)
		return 1
	}
	return 0
}

// furnish mounts what belongs to the namespaces, and sets up their loopback.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("set loopback up: %w", err)
	}
	return nil
}

// binary is Wasmill, built with the tag failpoint; or besides with a clock that can be set.
func binary(t testing.TB, clock bool) string {
	t.Helper()
	path := harness.Root(t) + "/bin/wasmill-failpoint"
	if clock {
		path = harness.Root(t) + "/bin/wasmill-clock"
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make faults", err)
	}
	return path
}

// verdict is how a run ended.
type verdict struct {
	row, name string
	seed      uint64
	effects   []string
	random    bool // a process was killed from outside at a random time
	held      bool
	took      time.Duration
	remark    string
}

var verdicts []verdict

// tell prints what came of a run, and keeps it for the table.
func tell(v verdict) {
	verdicts = append(verdicts, v)
	word := "held"
	if !v.held {
		word = "BROKEN"
	}
	fmt.Printf("row %-5s %-46s seed %-7d %-6s %5.1fs  %s", v.row, v.name, v.seed, word, v.took.Seconds(), strings.Join(v.effects, "; "))
	if v.remark != "" {
		fmt.Printf("  [%s]", v.remark)
	}
	fmt.Println()
}
