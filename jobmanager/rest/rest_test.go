package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/loopback"
)

const uploadLimit = 1 << 10

func handler(jm JobManager) http.Handler {
	return Handler(Config{JobManager: jm, UploadLimit: uploadLimit, Log: slog.New(slog.DiscardHandler)})
}

// client speaks to jm through its REST interface, in this process, with every answer held against the document.
func client(t testing.TB, jm JobManager) *api.Client {
	_, router := document(t)
	c, err := api.NewClient("http://localhost", held{t, router, api.Direct(handler(jm))})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientAndServerAgree(t *testing.T) {
	ctx := t.Context()
	jm := newFake()
	c := client(t, jm)

	m, err := c.UploadModule(ctx, strings.NewReader("wasm"), 4)
	if err != nil || m.ID != moduleID || string(jm.uploaded) != "wasm" {
		t.Errorf("upload: %+v, %v; got %q", m, err, jm.uploaded)
	}
	if has, err := c.HasModule(ctx, moduleID); err != nil || !has {
		t.Errorf("has module: %v, %v", has, err)
	}
	if has, err := c.HasModule(ctx, "feed"); err != nil || has {
		t.Errorf("has unknown module: %v, %v", has, err)
	}
	if r, err := c.InspectCheckpoint(ctx, fakeJob(1).ID, 0, 0); err != nil || r.Checkpoint != 7 || r.Operators[1].States[0].Sample != nil {
		t.Errorf("inspect the newest checkpoint: %+v, %v", r, err)
	}
	if r, err := c.InspectCheckpoint(ctx, fakeJob(1).ID, 9, 2); err != nil || r.Checkpoint != 9 || len(r.Operators[1].States[0].Sample) != 2 {
		t.Errorf("inspect checkpoint 9: %+v, %v", r, err)
	}
	if m, err := c.GetModule(ctx, moduleID); err != nil || m.Params[0].Name != "input" {
		t.Errorf("get module: %+v, %v", m, err)
	}
	if all, err := c.ListModules(ctx); err != nil || len(all) != 1 {
		t.Errorf("list modules: %v, %v", all, err)
	}
	if j, err := c.SubmitJob(ctx, &api.Submit{Module: moduleID, Params: map[string]string{"a": "b"}}); err != nil || j.Params["a"] != "b" {
		t.Errorf("submit: %+v, %v", j, err)
	}
	if j, err := c.GetJob(ctx, jm.jobs[1].ID); err != nil || j.ID != jm.jobs[1].ID {
		t.Errorf("get: %+v, %v", j, err)
	}
	if p, err := c.JobPlan(ctx, jm.jobs[1].ID); err != nil || p.Tasks[0].Metrics.RecordsIn != 7 {
		t.Errorf("plan: %+v, %v", p, err)
	}
	if all, err := c.JobCheckpoints(ctx, jm.jobs[1].ID); err != nil || len(all) != 1 || all[0].ID != 7 {
		t.Errorf("checkpoints: %+v, %v", all, err)
	}
	if taken, err := c.TakeCheckpoint(ctx, jm.jobs[1].ID); err != nil || taken.ID != 8 {
		t.Errorf("take checkpoint: %+v, %v", taken, err)
	}
	if made, err := c.TakeSavepoint(ctx, jm.jobs[1].ID, &api.TakeSavepoint{Path: "/backup", Stop: true}); err != nil || made.Path != "/backup" || !made.Stopped {
		t.Errorf("take savepoint: %+v, %v", made, err)
	}
	if g, err := c.GiveUp(ctx, jm.jobs[1].ID, &api.GiveUp{DryRun: true}); err != nil || len(g.Lost) != 1 || g.Lost[0].Cause != "gone, dry run: true" || len(g.Hindered) != 1 || g.Job.Guarantee.Lost[0].Rows != 3 {
		t.Errorf("give up: %+v, %v", g, err)
	}
	if j, err := c.RescaleJob(ctx, jm.jobs[1].ID, &api.Rescale{Parallelism: new(3), Operators: map[string]int{"counts": 4}}); err != nil || j.Parallelism != 7 {
		t.Errorf("rescale: %+v, %v", j, err)
	}
	if u, err := c.UpgradeJob(ctx, jm.jobs[1].ID, &api.Upgrade{Module: moduleID, Params: map[string]string{"a": "b"}, DryRun: true}); err != nil || u.Module != moduleID || u.Changes[0] != "map[a:b] true" {
		t.Errorf("upgrade: %+v, %v", u, err)
	}
	if all, err := c.JobSavepoints(ctx, jm.jobs[1].ID); err != nil || len(all) != 1 || all[0].Path != "/backup" {
		t.Errorf("savepoints: %+v, %v", all, err)
	}
	if f, err := c.JobMetrics(ctx, jm.jobs[1].ID); err != nil || f.Restarts != 1 || len(f.Tasks) != 1 {
		t.Errorf("metrics: %+v, %v", f, err)
	}
	if l, err := c.JobLogs(ctx, jm.jobs[1].ID, time.Now(), 5); err != nil || l[0].Text != "max 5" {
		t.Errorf("logs: %+v, %v", l, err)
	}
	if all, err := c.ListTaskManagers(ctx); err != nil || all[0].PID != 7 {
		t.Errorf("taskmanagers: %+v, %v", all, err)
	}
	if o, err := c.Overview(ctx); err != nil || o.Epoch != 3 {
		t.Errorf("overview: %+v, %v", o, err)
	}
	if j, err := c.CancelJob(ctx, jm.jobs[1].ID); err != nil || j.State != api.JobCancelling {
		t.Errorf("cancel: %+v, %v", j, err)
	}
}

func TestListsComeInPages(t *testing.T) {
	jm := newFake()
	jm.jobs = nil
	for i := range 2*pageSize + 1 {
		jm.jobs = append(jm.jobs, fakeJob(i))
	}
	all, err := client(t, jm).ListJobs(t.Context())
	if err != nil || len(all) != len(jm.jobs) || all[2*pageSize].ID != jm.jobs[2*pageSize].ID {
		t.Fatalf("got %d jobs, %v; want %d", len(all), err, len(jm.jobs))
	}
}

func TestErrorsKeepTheirKindAndHint(t *testing.T) {
	c := client(t, newFake())
	_, err := c.SubmitJob(t.Context(), &api.Submit{Module: graph.ModuleID(strings.Repeat("cd", 32))})
	var e *api.Error
	if !errors.As(err, &e) || e.Kind != api.KindInvalid || e.Status != 422 || e.Hint != "upload it first" {
		t.Errorf("got %#v", err)
	}
	_, err = c.GetJob(t.Context(), "nope")
	if !errors.As(err, &e) || e.Kind != api.KindNotFound {
		t.Errorf("got %#v", err)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	cases := []struct {
		name, method, path, body, contentType, host, origin string
		status                                              int
		kind, detail                                        string
	}{
		{name: "unknown field", method: "POST", path: "/v1/jobs", body: `{"module":"x","paralelism":2}`, status: 400, kind: "bad-request", detail: `unknown field "paralelism"`},
		{name: "wrong type", method: "POST", path: "/v1/jobs", body: `{"module":"x","parallelism":"2"}`, status: 400, kind: "bad-request", detail: "body: parallelism: string (expected a number)"},
		{name: "wrong type of all", method: "POST", path: "/v1/jobs", body: `[]`, status: 400, kind: "bad-request", detail: "body: array (expected an object)"},
		{name: "null, submit", method: "POST", path: "/v1/jobs", body: "null", status: 400, kind: "bad-request", detail: "body: null (expected an object)"},
		{name: "null, give up", method: "POST", path: "/v1/jobs/000000000001/give-up", body: " null\n", status: 400, kind: "bad-request", detail: "body: null (expected an object)"},
		{name: "null, rescale", method: "POST", path: "/v1/jobs/000000000001/rescale", body: "null", status: 400, kind: "bad-request", detail: "body: null (expected an object)"},
		{name: "null, upgrade", method: "POST", path: "/v1/jobs/000000000001/upgrade", body: "null", status: 400, kind: "bad-request", detail: "body: null (expected an object)"},
		{name: "null, savepoint", method: "POST", path: "/v1/jobs/000000000001/savepoints", body: "null", status: 400, kind: "bad-request", detail: "body: null (expected an object)"},
		{name: "wrong type of an id", method: "POST", path: "/v1/jobs", body: `{"module":["x"]}`, status: 400, kind: "bad-request", detail: "body: module: array (expected a string)"},
		{name: "wrong type of a parameter", method: "POST", path: "/v1/jobs", body: `{"params":{"input":7}}`, status: 400, kind: "bad-request", detail: "body: params.input: number (expected a string)"},
		{name: "more than JSON", method: "POST", path: "/v1/jobs", body: `{"module":"x"} {}`, status: 400, kind: "bad-request", detail: "more follows"},
		{name: "no body", method: "POST", path: "/v1/jobs", status: 400, kind: "bad-request", detail: "body is empty"},
		{name: "half a body", method: "POST", path: "/v1/jobs", body: `{"module":`, status: 400, kind: "incomplete", detail: "ended early"},
		{name: "not JSON", method: "POST", path: "/v1/jobs", body: `<a>`, status: 400, kind: "bad-request", detail: "byte 1"},
		{name: "large body", method: "POST", path: "/v1/jobs", body: `{"name":"` + strings.Repeat("x", maxJSONBytes) + `"}`, status: 413, kind: "too-large", detail: "larger than 1.0 MB"},
		{name: "other content", method: "POST", path: "/v1/jobs", body: `{}`, contentType: "text/plain", status: 415, kind: "bad-request", detail: "expected application/json"},
		{name: "large module", method: "POST", path: "/v1/modules", body: strings.Repeat("x", uploadLimit+1), contentType: "application/wasm", status: 413, kind: "too-large", detail: "larger than 1.0 KiB"},
		{name: "unknown path", method: "GET", path: "/v1/job", status: 404, kind: "not-found", detail: "/v1/job"},
		{name: "wrong method", method: "DELETE", path: "/v1/jobs", status: 405, kind: "method-not-allowed", detail: "DELETE is not allowed"},
		{name: "unknown path, long", method: "GET", path: "/v1/" + strings.Repeat("x", 100), status: 404, kind: "not-found", detail: "/v1/" + strings.Repeat("x", 60) + "…: no such"},
		{name: "unknown query", method: "GET", path: "/v1/jobs?state=RUNNING", status: 400, kind: "bad-request", detail: `"state"`},
		{name: "query where there is none", method: "GET", path: "/v1/overview?x=1", status: 400, kind: "bad-request", detail: "there are none"},
		{name: "query twice", method: "GET", path: "/v1/jobs?limit=1&limit=2", status: 400, kind: "bad-request", detail: "limit: given twice"},
		{name: "watch", method: "GET", path: "/v1/jobs/000000000001?watch=banana", status: 400, kind: "bad-request", detail: `watch: "banana" (expected true or false)`},
		{name: "page size", method: "GET", path: "/v1/jobs?limit=0", status: 400, kind: "bad-request", detail: "1 <= n <= 1000"},
		{name: "cursor", method: "GET", path: "/v1/jobs?after=zz", status: 400, kind: "bad-request", detail: "zz"},
		{name: "time", method: "GET", path: "/v1/jobs/000000000001/logs?after=yesterday", status: 400, kind: "bad-request", detail: "yesterday"},
		{name: "conflict", method: "POST", path: "/v1/jobs/000000000003/cancel", status: 409, kind: "conflict", detail: "FINISHED"},
		{name: "rebound host", method: "GET", path: "/v1/jobs", host: "evil.example:7070", status: 403, kind: "forbidden", detail: "evil.example"},
		{name: "other origin", method: "POST", path: "/v1/jobs", body: `{}`, origin: "http://evil.example", status: 403, kind: "forbidden", detail: "evil.example"},
	}
	jm := newFake()
	jm.jobs[2].State = api.JobFinished
	h := handler(jm)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, "http://127.0.0.1:7070"+tc.path, strings.NewReader(tc.body))
			if tc.host != "" {
				r.Host = tc.host
			}
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			if tc.contentType != "" {
				r.Header.Set("Content-Type", tc.contentType)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var e api.Error
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
				t.Fatalf("answer %q: %v", w.Body, err)
			}
			if w.Code != tc.status || e.Status != tc.status || e.Kind != tc.kind || !strings.Contains(e.Detail, tc.detail) {
				t.Errorf("got %d %+v, want %d %s with %q", w.Code, e, tc.status, tc.kind, tc.detail)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

func TestPanicIsAnsweredWithoutStack(t *testing.T) {
	jm := newFake()
	jm.panics = true
	_, err := client(t, jm).GetJob(t.Context(), "x")
	var e *api.Error
	if !errors.As(err, &e) || e.Kind != api.KindInternal || strings.Contains(e.Detail, "goroutine") {
		t.Errorf("got %v", err)
	}
}

func TestUploadCutOffIsIncomplete(t *testing.T) {
	jm := newFake()
	l, stop := serve(t, jm)
	defer stop()
	conn, err := net.Dial("tcp", l)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /v1/modules HTTP/1.1\r\nHost: %s\r\nContent-Type: application/wasm\r\nContent-Length: 100\r\n\r\nhalf", l)
	conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(answer), `"kind":"incomplete"`) || jm.uploaded != nil {
		t.Errorf("answer: %s\nkept: %q", answer, jm.uploaded)
	}
}

func TestUploadOfUnknownLengthIsBounded(t *testing.T) {
	c := client(t, newFake())
	_, err := c.UploadModule(t.Context(), strings.NewReader(strings.Repeat("x", uploadLimit+1)), -1)
	var e *api.Error
	if !errors.As(err, &e) || e.Kind != api.KindTooLarge {
		t.Errorf("got %v", err)
	}
}

func TestModuleHasItsHashAsETag(t *testing.T) {
	path := "/v1/modules/" + string(moduleID)
	if got := ask(handler(newFake()), "GET", path, "").Header().Get("ETag"); got != `"`+string(moduleID)+`"` {
		t.Errorf("ETag %s", got)
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	jm := newFake()
	address, stop := serve(t, jm)
	defer stop()
	paths := map[string]int{"/v1/jobs/nope": 404, "/v1/modules/nope": 404, "/v1/jobs/000000000001?watch=true": 200, "/v1/jobs?limit=0": 400}
	for _, r := range (&server{metrics: http.NotFoundHandler()}).routes() {
		id := "000000000001"
		if r.path == "/v1/modules/:id" {
			id = string(moduleID)
		}
		if r.method == http.MethodGet {
			paths[strings.NewReplacer(":id", id, ":checkpoint", "latest").Replace(r.path)] = 200
		}
	}
	for how, transport := range map[string]http.RoundTripper{"socket": http.DefaultTransport, "direct": api.Direct(handler(jm))} {
		for path, want := range paths {
			req, err := http.NewRequestWithContext(t.Context(), "HEAD", "http://"+address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want || len(body) != 0 || err != nil {
				t.Errorf("%s: HEAD %s: %d, %q, %v (expected %d and no body)", how, path, resp.StatusCode, body, err, want)
			}
		}
	}
}

func TestWrongMethodIsToldTheRightOnes(t *testing.T) {
	allow := ask(handler(newFake()), "DELETE", "/v1/jobs", "").Header().Get("Allow")
	for _, method := range []string{"GET", "HEAD", "POST"} {
		if !strings.Contains(allow, method) {
			t.Errorf("Allow %q lacks %s", allow, method)
		}
	}
}

func TestWatchSendsEachChangeAndEnds(t *testing.T) {
	for _, how := range []string{"direct", "socket"} {
		t.Run(how, func(t *testing.T) {
			jm := newFake()
			c := client(t, jm)
			if how == "socket" {
				address, stop := serve(t, jm)
				defer stop()
				c, _ = api.NewClient("http://"+address, nil)
			}
			states := make(chan api.JobState, 4)
			ended := make(chan error, 1)
			go func() {
				ended <- c.WatchJob(t.Context(), jm.jobs[0].ID, func(j *api.Job) { states <- j.State })
			}()
			for _, state := range []api.JobState{api.JobRunning, api.JobFinished} {
				j := fakeJob(1)
				j.State = state
				jm.changes <- j
				if got := <-states; got != state {
					t.Fatalf("state %s, want %s", got, state)
				}
			}
			close(jm.changes)
			if err := <-ended; err != nil {
				t.Errorf("watch: %v", err)
			}
		})
	}
}

func TestWatchThatBreaksSaysSo(t *testing.T) {
	jm := newFake()
	jm.changes <- fakeJob(1)
	close(jm.changes)
	err := client(t, jm).WatchJob(t.Context(), jm.jobs[0].ID, func(*api.Job) {})
	if !errors.Is(err, api.ErrWatchBroken) {
		t.Errorf("got %v", err)
	}
}

func TestWatchEndsWithItsClient(t *testing.T) {
	jm := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	jm.changes <- fakeJob(1)
	err := client(t, jm).WatchJob(ctx, jm.jobs[0].ID, func(*api.Job) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestServerStopsWhileWatched(t *testing.T) {
	jm := newFake()
	address, stop := serve(t, jm)
	c, _ := api.NewClient("http://"+address, nil)
	jm.changes <- fakeJob(1)
	seen := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- c.WatchJob(t.Context(), jm.jobs[0].ID, func(*api.Job) { close(seen) })
	}()
	<-seen
	stop()
	if err := <-ended; !errors.Is(err, api.ErrWatchBroken) {
		t.Errorf("got %v", err)
	}
	var gone *api.UnreachableError
	if _, err := c.Overview(t.Context()); !errors.As(err, &gone) {
		t.Errorf("stopped server: %v", err)
	}
}

func TestMetricsAreThere(t *testing.T) {
	w := httptest.NewRecorder()
	handler(newFake()).ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/metrics", nil))
	for _, want := range []string{
		`wasmill_slots 2`, `wasmill_slots_free 1`, `wasmill_jobs{state="RUNNING"} 3`,
		`wasmill_job_restarts_total{job="000000000001",name="wordcount"} 1`, `go_goroutines`, `process_resident_memory_bytes`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
}

// serve runs the handler on a socket; stop ends it and waits.
func serve(t *testing.T, jm JobManager) (address string, stop func()) {
	t.Helper()
	l, err := loopback.Listen("test", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- loopback.Serve(ctx, l, handler(jm), slog.New(slog.DiscardHandler)) }()
	return l.Addr().String(), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
}
