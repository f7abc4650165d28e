//go:build faults

package faults

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/blob/s3test"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// serveS3 starts an S3 server on the last host of the network.
func (x *run) serveS3() {
	x.t.Helper()
	h := x.net.hosts[x.addrOf(x.storeHost())]
	x.s3 = s3test.StartAt(x.t, h.addr.String()+":0", func(network, address string) (l net.Listener, err error) {
		err = h.do(func() (err error) {
			l, err = net.Listen(network, address)
			return err
		})
		return l, err
	})
}

// storeHost is the number of the store's host, behind those of the processes.
func (x *run) storeHost() int { return 1 + or(x.taskmanagers, 2) }

// store is where checkpoints lie.
func (x *run) store() string {
	if x.s3 != nil {
		return x.s3.URL("checkpoints")
	}
	return x.path("checkpoints")
}

// inBucket is what there is of the job in S3: objects, and parts of some.
func (x *run) inBucket() (all []string) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := blob.Open(ctx, x.store())
	if err == nil {
		defer s.Close()
		err = s.List(ctx, string(x.job), func(i blob.Info) bool { all = append(all, i.Name); return true })
	}
	if err != nil {
		x.t.Fatal(err)
	}
	return append(all, x.s3.Uploads()...)
}

// uploads kill a TaskManager in the middle of an upload in parts, which a slow link makes long.
func uploads() []scenario {
	return []scenario{{
		row: "5", name: "killed in the middle of an upload to S3", networked: true, inS3: true, workload: workload.Sleepy(uploadKeys, 1_000), records: 240_000,
		pace: 200 * time.Millisecond, limit: 2 * time.Minute, env: []string{"WASMILL_CHECKPOINT_INTERVAL=1s", "WASMILL_STATE_BUDGET=256MiB"},
		prepare: func(x *run) { x.slow(false) }, fault: killedUploading,
	}}
}

// uploadKeys have 40 MB of state: a task's file has three parts.
const uploadKeys = 40_000

// slowUpload is a link on which such a file takes five seconds.
var slowUpload = weather{rate: 4_000_000}

// killedUploading kills who has sent a part of an object, before it sends the last.
func killedUploading(x *run) {
	x.t.Helper()
	var links []direction
	for i := range x.tms {
		links = append(links, direction{x.addrOf(1 + i), x.addrOf(x.storeHost())})
	}
	clear := x.brew(links, slowUpload)
	w := &uploadWatch{begun: map[string]string{}, over: map[string]bool{}}
	x.s3.Break(w.see)
	x.slow(true)
	for killed := false; !killed; {
		id, from := "", ""
		x.until(30*time.Second, "an object is uploaded in parts", func(context.Context) bool {
			id, from = w.underWay()
			return id != ""
		})
		for i, p := range x.tms {
			if x.addrOf(1+i).String() == from {
				p.kill()
				killed = w.isUnderWay(id)
				x.pass(x.someTime(500 * time.Millisecond))
				x.revive(p)
			}
		}
	}
	x.effect("an upload in parts was not completed; %d are left", len(x.s3.Uploads()))
	x.pass(x.someTime(time.Second))
	clear()
	x.mended()
	x.s3.Break(nil)
}

// uploadWatch follows uploads in parts by their requests.
type uploadWatch struct {
	mu    sync.Mutex
	begun map[string]string // guarded by mu; the address from which the first part came, by upload
	over  map[string]bool   // guarded by mu; it is to be completed or aborted
}

func (w *uploadWatch) see(r *http.Request) s3test.Fault {
	id := r.URL.Query().Get("uploadId")
	if id == "" {
		return s3test.Works
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Method != http.MethodPut {
		w.over[id] = true
	} else if w.begun[id] == "" {
		w.begun[id], _, _ = strings.Cut(r.RemoteAddr, ":")
	}
	return s3test.Works
}

func (w *uploadWatch) underWay() (id, from string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, from := range w.begun {
		if !w.over[id] {
			return id, from
		}
	}
	return "", ""
}

func (w *uploadWatch) isUnderWay(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.over[id]
}
