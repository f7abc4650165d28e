//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled says whether this build asks the environment.
const Enabled = true

// order is what happens at a point.
type order struct {
	kill  bool
	pause time.Duration
	at    int64 // the how-many-th time, 0: every time
	seen  atomic.Int64
}

var orders = sync.OnceValue(func() map[Point]*order { return parse(os.Getenv("WASMILL_FAILPOINT")) })

// parse reads WASMILL_FAILPOINT; what it cannot read ends the process: a test that breaks nothing proves nothing.
func parse(text string) map[Point]*order {
	all := map[Point]*order{}
	for _, one := range strings.Split(text, ",") {
		if one == "" {
			continue
		}
		name, what, ok := strings.Cut(one, "=")
		what, at, limited := strings.Cut(what, "@")
		o := &order{}
		var err error
		if limited {
			o.at, err = strconv.ParseInt(at, 10, 64)
		}
		switch action, d, _ := strings.Cut(what, ":"); {
		case action == "kill":
			o.kill = true
		case action == "pause" && err == nil:
			o.pause, err = time.ParseDuration(d)
		default:
			ok = false
		}
		if !ok || err != nil {
			panic(fmt.Sprintf("WASMILL_FAILPOINT: %q (expected POINT=kill or POINT=pause:DURATION, and @N)", one))
		}
		all[Point(name)] = o
	}
	return all
}

// Hit is where the process may be broken.
func Hit(p Point) {
	o := orders()[p]
	if o == nil {
		return
	}
	if n := o.seen.Add(1); o.at != 0 && n != o.at {
		return
	}
	tell("failpoint " + string(p))
	if o.kill {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
	time.Sleep(o.pause)
}

// planted is the bug that tests have set in this process, which goes before the environment's.
var planted atomic.Pointer[Bug]

// Plant leaves a step out from now on; the empty Bug leaves out none.
func Plant(b Bug) { planted.Store(&b) }

var told sync.Map // bugs that have been told of

// Planted says whether a step is to be left out.
func Planted(b Bug) bool {
	now := Bug(os.Getenv("WASMILL_PLANTED"))
	if p := planted.Load(); p != nil {
		now = *p
	}
	if now != b {
		return false
	}
	if _, again := told.LoadOrStore(b, true); !again {
		tell("planted " + string(b))
	}
	return true
}

func tell(text string) {
	path := os.Getenv("WASMILL_FAILPOINT_LOG")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintln(f, text)
}
