package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// A count that lives for a second of event time begins anew when the watermark has gone that far, and not while lines go on,
// though all of it takes next to no processing time.
func TestStateEndsByEventTime(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "2")
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out")
	const lines, step = 100_000, 10
	var text strings.Builder
	a := func(times ...int) {
		for _, time := range times {
			fmt.Fprintf(&text, "%d,a\n", time)
		}
	}
	a(0, 500, 1400)
	for n := range lines {
		fmt.Fprintf(&text, "%d,b\n", n*step)
	}
	a(lines*step, lines*step+900)
	if err := os.WriteFile(in, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(harness.Root(t), "test/guests/recent.wasm")
	inspect := built.wasmill.Run(t, "inspect", module, "--param", "output="+out)
	if inspect.Code != 0 || !strings.Contains(inspect.Stdout, "for 1s of event time") {
		t.Errorf("inspect: %+v", inspect)
	}
	cluster.Run(module, "--param", "input="+in, "--param", "output="+out, "--parallelism", "1").OK(t)
	output := harness.Output(t, out)
	got := map[string]bool{}
	for _, line := range strings.Fields(output) {
		got[line] = true
	}
	want := []string{"0,a,1", "500,a,2", "1400,a,3", fmt.Sprintf("%d,a,1", lines*step), fmt.Sprintf("%d,a,2", lines*step+900), fmt.Sprintf("%d,b,%d", (lines-1)*step, lines)}
	for _, line := range want {
		if !got[line] {
			t.Errorf("no line %s", line)
		}
	}
	if n := strings.Count(output, ",a,"); n != 5 || len(got) != lines+5 {
		t.Errorf("%d lines of a and %d of all (expected 5 and %d)", n, len(got), lines+5)
	}
}

// The count of a key begins anew where its state has ended and goes on where it has not, through a kill as well as without: what a
// checkpoint has ends by the watermark of the job that goes on from it.
func TestStateEndsByEventTimeThroughAKill(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "1")
	w, dir := workload.Recents(4_000_000), t.TempDir() // the watermark comes every 10 ms
	params, input, err := w.Prepare(dir, 3, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	run := cluster.Start(guestOf(t, w), append(paramArgs(params), "--parallelism", "1")...)
	job := &attempts{cluster: cluster}
	job.saves(t)
	cluster.Restart("taskmanager-1")
	job.saves(t)
	pace.full()
	run.Wait().OK(t)
	if err := w.Verify(dir, input); err != nil {
		t.Error(err)
	}
}
