package e2e

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
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
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
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
	for name, value := range all {
		args = append(args, "--param", name+"="+value)
	}
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
			dir := t.TempDir()
			in, args := server.asking(t, dir, 3000, append(c.params, "retries=5", "timeout=30000")...)
			run := cluster.Start(askingGuest(t), append(args, "--parallelism", fmt.Sprint(c.parallelism))...)
			harness.Until(t, time.Minute, "a checkpoint completes", func() bool {
				j := cluster.Job()
				return j != nil && (j.Checkpoint != nil || j.State == api.JobFinished)
			})
			cluster.Restart(fmt.Sprint("taskmanager-", 1+i%2))
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
	if len(server.asked) > 0 {
		t.Errorf("the server was asked for %d paths", len(server.asked))
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
	if len(server.asked) > 0 {
		t.Errorf("the server was asked for %d paths", len(server.asked))
	}
	t.Setenv("WASMILL_CAPABILITIES_HTTP_ALLOW", "localhost:*, 127.0.0.1:*, [::1]:*")
	built.wasmill.Run(t, append([]string{"run", askingGuest(t), "--param", "retries=5"}, args...)...).OK(t)
}
