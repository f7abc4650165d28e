package e2e

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// troubled is a server that answers "of KEY/ID", but not always at the first time: then it is slow, answers 500, closes the
// connection, or breaks off in the middle of its answer.
type troubled struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int // guarded by mu; by path
	most  int            // requests at once
	now   int
	gate  chan struct{} // nothing is answered before it is closed, but the first few; nil: there is none
	free  int           // how many those are
}

func newTroubled(t *testing.T) *troubled {
	s := &troubled{asked: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *troubled) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	first := s.asked[r.URL.Path] == 1
	s.free--
	waits := s.gate != nil && s.free < 0
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	if waits {
		select {
		case <-s.gate:
		case <-r.Context().Done():
			return
		}
	}
	h := fnv.New32()
	h.Write([]byte(r.URL.Path))
	trouble := h.Sum32() % 16
	if !first {
		trouble = 15
	}
	select {
	case <-time.After(time.Duration(1+h.Sum32()%20) * time.Millisecond):
	case <-r.Context().Done():
	}
	switch trouble {
	case 0:
		http.Error(w, "trouble", http.StatusInternalServerError)
	case 1:
		panic(http.ErrAbortHandler) // closes the connection
	case 2:
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "of")
		panic(http.ErrAbortHandler)
	case 3:
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
		}
		fallthrough
	default:
		if r.Header.Get("X-Asked-By") != "asking" {
			http.Error(w, "who asks?", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "of "+strings.TrimPrefix(r.URL.Path, "/"))
	}
}

func (s *troubled) host() string { return strings.TrimPrefix(s.URL, "http://") }

// asking is the arguments of a job that asks the server about lines.
func (s *troubled) asking(t *testing.T, dir string, lines int, params ...string) (in []string, args []string) {
	var text strings.Builder
	for i := range lines {
		in = append(in, fmt.Sprintf("k%d,%d", i%5, i))
		fmt.Fprintf(&text, "k%d,%d\n", i%5, i)
	}
	input := filepath.Join(dir, "lines.txt")
	if err := os.WriteFile(input, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"input": input, "output": filepath.Join(dir, "output"), "url": s.URL, "host": s.host()}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		all[name] = value
	}
	args = append(args, paramArgs(all)...)
	return in, args
}

func askingGuest(t *testing.T) string {
	return filepath.Join(harness.Root(t), "test/guests/asking.wasm")
}

// Each line comes out once with its answer, in its order where that is asked for, though the server fails in every way, and a
// TaskManager is killed while requests are in flight.
func TestRequests(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "127.0.0.1:*")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	var before *api.Job
	for i, c := range []struct {
		parallelism int
		params      []string
		ordered     bool
	}{
		{1, []string{"capacity=20"}, false},
		{2, []string{"capacity=20", "ordered=yes", "keyed=yes"}, true},
		{3, []string{"capacity=10"}, false},
	} {
		t.Run(fmt.Sprintf("%v at %d", c.params, c.parallelism), func(t *testing.T) {
			server := newTroubled(t)
			server.gate, server.free = make(chan struct{}), 1000
			dir := t.TempDir()
			in, args := server.asking(t, dir, 3000, append(c.params, "retries=5", "timeout=30000")...)
			run := cluster.Start(askingGuest(t), append(args, "--parallelism", fmt.Sprint(c.parallelism))...)
			before = (&attempts{cluster: cluster, behind: before}).saves(t)
			cluster.Restart(fmt.Sprint("taskmanager-", 1+i%2))
			close(server.gate)
			run.Wait().OK(t)
			files, err := workload.Read(filepath.Join(dir, "output"), false)
			if err != nil {
				t.Fatal(err)
			}
			if err := workload.CheckAsked(in, files, c.ordered); err != nil {
				t.Error(err)
			}
			most := 20 * c.parallelism
			if server.most > most {
				t.Errorf("%d requests at once (expected <= %d)", server.most, most)
			}
		})
	}
}

// What an operator asks must be granted; what is not is said before the job runs, with what would grant it.
func TestRequestsThatAreNotGranted(t *testing.T) {
	server := newTroubled(t)
	dir := t.TempDir()
	_, args := server.asking(t, dir, 10)
	run := func(want ...string) {
		t.Helper()
		r := built.wasmill.Run(t, append([]string{"run", askingGuest(t)}, args...)...)
		for _, w := range want {
			if r.Code == 0 || !strings.Contains(r.Stderr, w) {
				t.Errorf("code %d, %s\nexpected %s", r.Code, r.Stderr, w)
			}
		}
	}
	run(`request "ask": it asks `+server.host()+", which is not granted (granted: nothing is)", "add \""+server.host()+"\" to capabilities.http.allow")
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "api.example.com")
	run(`capabilities.http.allow[0]: "api.example.com" (expected HOST:PORT`)
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "127.0.0.1:*")
	_, args = server.asking(t, dir, 10, "host=localhost:80") // which is not what is asked
	run(`request "ask": it asks localhost:80, which is not granted`)
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "*:80")
	run(`operator "ask": request for record `, "is none of the hosts that the operator names: localhost:80")
	if n := server.asks(); n > 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

// A name that was granted does not lead to this machine, unless its address is granted, too.
func TestAGrantedNameDoesNotLeadInside(t *testing.T) {
	server := newTroubled(t)
	port := server.host()[strings.LastIndexByte(server.host(), ':'):]
	dir := t.TempDir()
	_, args := server.asking(t, dir, 10, "url=http://localhost"+port, "host=localhost"+port)
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "localhost:*")
	r := built.wasmill.Run(t, append([]string{"run", askingGuest(t)}, args...)...)
	if r.Code == 0 || !strings.Contains(r.Stderr, "which is no public address and not granted itself") {
		t.Errorf("code %d, %s", r.Code, r.Stderr)
	}
	if n := server.asks(); n > 0 {
		t.Errorf("the server was asked %d times", n)
	}
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "localhost:*, 127.0.0.1:*, [::1]:*")
	built.wasmill.Run(t, append([]string{"run", askingGuest(t), "--param", "retries=5"}, args...)...).OK(t)
}

// asks is how many requests have come.
func (s *troubled) asks() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.asked {
		n += times
	}
	return n
}

// While the server answers nothing: checkpoints complete, modules are exchanged, the job is stopped with a savepoint and goes on from
// it with another parallelism, and asks anew each time. A drain waits for the answers. Each line comes out once.
func TestNothingButADrainWaitsForAnswers(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "127.0.0.1:*")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	server := newTroubled(t)
	server.gate = make(chan struct{})
	dir := t.TempDir()
	in, args := server.asking(t, dir, 300, "capacity=20", "retries=5", "timeout=600000")
	cmd := func(args ...string) *harness.Process {
		return built.wasmill.Start(t, append(args, "--jobmanager", cluster.URL)...)
	}
	var last checkpoint.ID
	completes := func(requests int) {
		t.Helper()
		harness.Until(t, time.Minute, "the server is asked", func() bool { return server.asks() >= requests })
		for range 2 { // the second one began behind that
			harness.Until(t, time.Minute, "a checkpoint completes", func() bool {
				j := cluster.Job()
				if j == nil || j.Checkpoint == nil || j.Checkpoint.ID <= last {
					return false
				}
				last = j.Checkpoint.ID
				return true
			})
		}
	}
	run := cluster.Start(askingGuest(t), args...)
	completes(20)
	first := string(cluster.Job().ID)
	figures := regexp.MustCompile(`IN FLIGHT +REQUESTS +RETRIES +TIMEOUTS\n0\.0 +ask +270 +20 +0 +0\n`) // a tenth is not asked about
	harness.Until(t, time.Minute, "the figures are shown", func() bool { return figures.MatchString(cmd("info", first).Wait().Stdout) })

	wasm, err := os.ReadFile(askingGuest(t))
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(dir, "next.wasm")
	if err := os.WriteFile(next, append(wasm, 0, 3, 1, 'v', 1), 0o666); err != nil { // a custom section
		t.Fatal(err)
	}
	cmd("upgrade", first, next).Wait().OK(t)
	completes(40)
	saved := filepath.Join(dir, "saved")
	cmd("stop", first, "--to", saved).Wait().OK(t)
	run.Wait().OK(t)

	run = cluster.Start(askingGuest(t), append(args, "--from", saved, "--parallelism", "2")...)
	last = 0
	completes(60)
	second := string(cluster.Job().ID)
	stop := cmd("stop", second, "--drain", "--to", filepath.Join(dir, "drained"))
	ended := make(chan harness.Result, 1)
	go func() { ended <- stop.Wait() }()
	select {
	case r := <-ended:
		t.Fatalf("the drain did not wait for the answers: %+v", r)
	case <-time.After(harness.Stretched(2 * time.Second)): // it would have: a checkpoint takes less, as was seen
	}
	close(server.gate)
	(<-ended).OK(t)
	run.Wait().OK(t)
	files, err := workload.Read(filepath.Join(dir, "output"), false, first, second)
	if err != nil {
		t.Fatal(err)
	}
	if err := workload.CheckAsked(in, files, false); err != nil {
		t.Error(err)
	}
}

// Records that lie in channels before an operator which takes none, because the server answers nothing, hold no checkpoint up for
// long: it overtakes them. They come out once, in their order, though a TaskManager is killed meanwhile.
func TestCheckpointsOvertakeWhatWaitsForAnswers(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	t.Setenv("WASMILL_CHECKPOINT_ALIGNMENT_TIMEOUT", "200ms")
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "127.0.0.1:*")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	server := newTroubled(t)
	server.gate = make(chan struct{})
	dir := t.TempDir()
	in, args := server.asking(t, dir, 3000, "capacity=50", "retries=5", "timeout=600000", "ordered=yes", "keyed=yes")
	run := cluster.Start(askingGuest(t), append(args, "--parallelism", "2")...)
	overtook := func() bool {
		j := cluster.Job()
		return j != nil && j.Checkpoint != nil && j.Checkpoint.InFlight > 0
	}
	harness.Until(t, time.Minute, "a checkpoint has records in flight", overtook)
	cluster.Restart("taskmanager-1")
	close(server.gate)
	run.Wait().OK(t)
	files, err := workload.Read(filepath.Join(dir, "output"), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := workload.CheckAsked(in, files, true); err != nil {
		t.Error(err)
	}
}
