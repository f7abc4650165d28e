package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/test/harness"
)

// word is the number i in letters, since a word has no digits, of 100 letters and more.
func word(i int) string {
	b := bytes.Repeat([]byte("w"), 100)
	for ; i > 0; i /= 20 {
		b = append(b, byte('a'+i%20))
	}
	return string(b)
}

// writeWords writes a file that has every word three times, in no order, and returns the sorted output of its count.
func writeWords(t *testing.T, path string, words int) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	var want []string
	r := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		for n, i := range r.Perm(words) {
			fmt.Fprint(w, word(i), map[bool]string{true: "\n", false: " "}[n%8 == 7])
		}
		fmt.Fprintln(w)
	}
	for i := range words {
		want = append(want, word(i)+"\t3\n")
	}
	sort.Strings(want)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(want, "")
}

// A count whose state is ten times its budget is right, also when its only process is killed half way: what is on disk of
// the process that was killed does not count, and is removed.
func TestStateTenTimesTheBudget(t *testing.T) {
	t.Setenv("WASMILL_STATE_BUDGET", "1MiB")
	t.Setenv("WASMILL_STATE_RESERVE", "0")
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "50ms")
	dir := t.TempDir()
	want := writeWords(t, filepath.Join(dir, "words.txt"), 60_000) // 170 bytes of state each
	out, state := filepath.Join(dir, "out"), filepath.Join(dir, "state")
	args := []string{"run", guests(t)["c"], "--state-dir", state, "--param", "input=" + filepath.Join(dir, "words.txt"),
		"--param", "output=" + out}
	killed := built.wasmill.Start(t, args...)
	spilled := func() []string {
		found, _ := filepath.Glob(filepath.Join(state, "state", "*", "spill-*"))
		return found
	}
	harness.Until(t, time.Minute, "something is spilled, and a checkpoint is completed", func() bool {
		completed, _ := filepath.Glob(filepath.Join(state, "checkpoints", "*", "checkpoints", "*", "MANIFEST"))
		return len(completed) > 0 && len(spilled()) > 0
	})
	killed.Kill()
	if r := killed.Wait(); r.Code == 0 {
		t.Fatal("the job was over before it was killed: nothing was tested")
	}
	if len(spilled()) == 0 {
		t.Fatal("nothing was on disk: nothing was tested")
	}
	built.wasmill.Run(t, args...).OK(t)
	if left := spilled(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	harness.Same(t, harness.Output(t, out), want)
}

// Lists, maps and timers that are ten times their budget are right, also when their only process is killed half way.
func TestElementsTenTimesTheBudget(t *testing.T) {
	const lines, keys = 30_000, 500 // 400 bytes of state each
	t.Setenv("WASMILL_STATE_BUDGET", "1MiB")
	t.Setenv("WASMILL_STATE_RESERVE", "0")
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "50ms")
	dir := t.TempDir()
	out, state := filepath.Join(dir, "out"), filepath.Join(dir, "state")
	args := []string{"run", filepath.Join(harness.Root(t), "test/guests/baskets.wasm"), "--state-dir", state, "--param", "output=" + out,
		"--param", fmt.Sprint("count=", lines), "--param", fmt.Sprint("keys=", keys), "--param", fmt.Sprint("delay=", lines/2)}
	var want []string
	for n := range lines {
		want = append(want, fmt.Sprintf("%d,%d\n", n%keys, n))
	}
	for key := range keys {
		want = append(want, fmt.Sprintf("%d,end,%d\n", key, lines/keys))
	}
	sort.Strings(want)
	killed := built.wasmill.Start(t, args...)
	found := func(pattern string) int {
		all, _ := filepath.Glob(filepath.Join(state, pattern))
		return len(all)
	}
	harness.Until(t, time.Minute, "something is spilled, and three checkpoints are completed", func() bool {
		return found("checkpoints/*/checkpoints/*/MANIFEST") > 2 && found("state/*/spill-*") > 0
	})
	killed.Kill()
	if r := killed.Wait(); r.Code == 0 {
		t.Fatal("the job was over before it was killed: nothing was tested")
	}
	built.wasmill.Run(t, args...).OK(t)
	harness.Same(t, harness.Output(t, out), strings.Join(want, ""))
}

// A job that would need the room that is to be left on the disk fails at once, and says which option allows how much.
func TestFullDiskFailsTheJob(t *testing.T) {
	dir := t.TempDir()
	writeWords(t, filepath.Join(dir, "words.txt"), 10_000)
	args := []string{"run", guests(t)["c"], "--param", "input=" + filepath.Join(dir, "words.txt"), "--param", "output=" + filepath.Join(dir, "out")}
	t.Setenv("WASMILL_STATE_BUDGET", "1MiB")
	for option, value := range map[string]string{"state.reserve": "1000TiB", "state.quota": "1MiB"} {
		t.Setenv("WASMILL_STATE_RESERVE", "0")
		t.Setenv("WASMILL_STATE_QUOTA", "0")
		t.Setenv("WASMILL_"+strings.ToUpper(strings.ReplaceAll(option, ".", "_")), value)
		r := built.wasmill.Run(t, args...)
		if r.Code == 0 || !strings.Contains(r.Stderr, option) {
			t.Errorf("with %s %s: exit status %d, %s (expected a failure that names the option)", option, value, r.Code, r.Stderr)
		}
	}
}
