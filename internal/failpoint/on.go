//go:build failpoint

package failpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
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
	signal  syscall.Signal // to this process
	pause   time.Duration
	fate    Fate
	chance  float64
	at      int64  // the how-many-th time, 0: every time
	asLong  string // as there is a file of that name; empty: always
	reached atomic.Int64
}

var orders = sync.OnceValue(func() map[Point][]*order { return parse(os.Getenv("FAILPOINT")) })

// parse reads FAILPOINT; what it cannot read ends the process: a test that breaks nothing proves nothing.
func parse(text string) map[Point][]*order {
	all := map[Point][]*order{}
	for _, one := range strings.Split(text, ",") {
		if one == "" {
			continue
		}
		o := &order{}
		name, what, ok := strings.Cut(one, "=")
		what, o.asLong, _ = strings.Cut(what, "?")
		what, at, limited := strings.Cut(what, "@")
		var err error
		if limited {
			o.at, err = strconv.ParseInt(at, 10, 64)
		}
		if err = errors.Join(err, o.parse(what)); !ok || err != nil {
			panic(fmt.Sprintf("FAILPOINT: %q (expected POINT=kill, stop, pause:DURATION, drop:CHANCE, twice:CHANCE or lost:CHANCE, and @N and ?FILE)", one))
		}
		all[Point(name)] = append(all[Point(name)], o)
	}
	return all
}

func (o *order) parse(what string) (err error) {
	fates := map[string]Fate{"drop": Dropped, "twice": Twice, "lost": Lost}
	action, value, _ := strings.Cut(what, ":")
	switch {
	case action == "kill":
		o.signal = syscall.SIGKILL
	case action == "stop":
		o.signal = syscall.SIGSTOP
	case action == "pause":
		o.pause, err = time.ParseDuration(value)
	case fates[action] != Sent:
		o.fate = fates[action]
		o.chance, err = strconv.ParseFloat(value, 64)
	default:
		err = errors.New("unknown action")
	}
	return err
}

// due says whether the order is to be carried out now.
func (o *order) due() bool {
	if n := o.reached.Add(1); o.at != 0 && n != o.at {
		return false
	}
	if o.asLong == "" {
		return true
	}
	_, err := os.Stat(o.asLong)
	return err == nil
}

// Hit is where the process may be broken.
func Hit(p Point) {
	for _, o := range orders()[p] {
		if !o.due() {
			continue
		}
		if o.asLong == "" {
			tell("failpoint " + string(p))
		}
		if o.signal != 0 {
			raise(o.signal)
		}
		if o.signal == syscall.SIGKILL {
			select {} // the signal is on its way
		}
		time.Sleep(o.pause)
	}
}

// raise signals the process by its calling thread, which goes no further: with kill(2) another thread may take the signal, and
// an answer be sent before all have stopped.
func raise(s syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(os.Getpid(), syscall.Gettid(), s)
}

var chance = struct {
	sync.Mutex
	*rand.Rand
}{Rand: rand.New(rand.NewPCG(seed(), 0))}

func seed() uint64 {
	n, _ := strconv.ParseUint(os.Getenv("FAILPOINT_SEED"), 10, 64) // none: 0
	return n
}

// FateOf is what becomes of a control request of that name.
func FateOf(name string) Fate {
	for _, o := range slices.Concat(orders()[Request], orders()[Request+":"+Point(name)]) {
		chance.Lock()
		drawn := chance.Float64() < o.chance
		chance.Unlock()
		if drawn && o.due() {
			tell(fmt.Sprintf("request %s %s", name, map[Fate]string{Dropped: "dropped", Twice: "twice", Lost: "answer lost"}[o.fate]))
			return o.fate
		}
	}
	return Sent
}

// planted is the bug that tests have set in this process, which goes before the environment's.
var planted atomic.Pointer[Bug]

// Plant leaves a step out from now on; the empty Bug leaves out none.
func Plant(b Bug) { planted.Store(&b) }

var told sync.Map // bugs that have been told of

// Planted says whether a step is to be left out.
func Planted(b Bug) bool {
	now := Bug(os.Getenv("FAILPOINT_PLANTED"))
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
	path := os.Getenv("FAILPOINT_LOG")
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
