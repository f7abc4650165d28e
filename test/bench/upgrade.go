package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/generator"
)

// exchanges of each guest; their median counts.
const exchanges = 7

// numberKeys is how many keys the C guest makes of numbers; those of the Go guest are letters.
const numberKeys = 16

// upgrades measures how long tasks, and output, stand still while a module is exchanged in them at full pace, and while
// nothing but checkpoints happens.
func upgrades(w *tabwriter.Writer, dir string) error {
	goGuest := filepath.Join(dir, "versioned-go.wasm")
	build := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-w", "-o", goGuest, ".")
	build.Dir, build.Env = "test/bench/testdata/versioned", append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the Go guest: %w\n%s", err, out)
	}
	fmt.Fprintf(w, "EXCHANGE OF A MODULE at full pace, parallelism 2\tmedian of %d\tlargest\taim\n", exchanges)
	for _, guest := range []struct {
		language, module string
		args             []string
		key              func(number uint64, letter byte) string
	}{
		{"c", "test/guests/versioned.wasm", []string{"--param", "count=0"}, func(n uint64, _ byte) string { return strconv.FormatUint(n%numberKeys, 10) }},
		{"go", goGuest, nil, func(_ uint64, letter byte) string { return string(letter) }},
	} {
		v := &versioned{module: guest.module, key: guest.key}
		if err := v.start(filepath.Join(dir, "upgrade-"+guest.language), guest.args...); err != nil {
			return fmt.Errorf("%s guest: %w", guest.language, err)
		}
		seen, err := v.measureAll()
		if err != nil {
			return fmt.Errorf("%s guest: %w", guest.language, v.fail(err))
		}
		for _, row := range []struct {
			what string
			all  []time.Duration
			aim  string
		}{
			{"a task takes nothing", seen.taken, "< 50 ms"}, {"a task gives its sink nothing", seen.put, "< 50 ms"},
			{"a task stands still, by its own clock", seen.inside, "< 50 ms"}, {"the whole upgrade", seen.command, ""},
			{"without an upgrade: a task takes nothing", seen.quiet, ""},
			{"without an upgrade: a task gives its sink nothing", seen.quietPut, ""},
		} {
			fmt.Fprintf(w, "%s guest, %.0f K records/s: %s\t%.1f ms\t%.1f ms\t%s\n", guest.language, seen.pace/1e3, row.what, ms(median(row.all)), ms(row.all[len(row.all)-1]), row.aim)
		}
	}
	return nil
}

// versioned is a job whose lines say which version of its module has made them.
type versioned struct {
	runningCount
	module  string
	key     func(number uint64, letter byte) string
	metrics string // where the TaskManager says what its tasks have done
}

func (v *versioned) start(dir string, args ...string) error {
	c, err := startJob(dir, 1, 2, time.Second, v.module, args...)
	if err != nil {
		return err
	}
	v.runningCount = *c
	if v.metrics, err = c.metricsOf("taskmanager-1"); err != nil {
		return v.fail(err)
	}
	return nil
}

// pauses are what was seen of a job while its module was exchanged, each the longest of all tasks.
type pauses struct {
	pace                        float64
	taken, put, inside, command []time.Duration
	quiet, quietPut             []time.Duration // without an exchange, for as long
}

// measureAll exchanges the module again and again, and holds the output against what the sources had read.
func (v *versioned) measureAll() (seen *pauses, err error) {
	seen = &pauses{}
	time.Sleep(warmUp) // what is measured is a pace
	if seen.pace, _, err = v.span(4*time.Second, nil); err != nil {
		return nil, err
	}
	for i := range exchanges {
		begun := time.Now()
		var id checkpoint.ID
		in, out, err := v.observe(func() (err error) { id, err = v.exchange(i + 2); return err })
		if err != nil {
			return nil, err
		}
		inside, err := v.inside(id)
		if err != nil {
			return nil, err
		}
		took := time.Since(begun)
		seen.taken, seen.put, seen.inside, seen.command = append(seen.taken, in), append(seen.put, out), append(seen.inside, inside), append(seen.command, took)
		in, out, err = v.observe(func() error { time.Sleep(max(took, time.Second)); return nil }) // a checkpoint is among it
		if err != nil {
			return nil, err
		}
		seen.quiet, seen.quietPut = append(seen.quiet, in), append(seen.quietPut, out)
	}
	if err := v.look(); err != nil {
		return nil, err
	}
	if v.job.Attempt != 1 {
		return nil, fmt.Errorf("the job is in attempt %d (expected 1)", v.job.Attempt)
	}
	return seen, v.check()
}

// inside is how long the task stood still that did so longest, from its barrier until a batch had gone through the new module.
func (v *versioned) inside(id checkpoint.ID) (longest time.Duration, err error) {
	data, err := os.ReadFile(filepath.Join(v.dir, "checkpoints", string(v.job.ID), checkpoint.ManifestName(id)))
	if err != nil {
		return 0, err
	}
	var m checkpoint.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return 0, fmt.Errorf("read the manifest of checkpoint %d: %w", id, err)
	}
	for _, t := range m.Tasks {
		if t.Figures.ExchangeNs == 0 {
			return 0, fmt.Errorf("checkpoint %d: task %s has exchanged nothing", id, t.Task)
		}
		longest = max(longest, time.Duration(t.Figures.ExchangeNs))
	}
	return longest, nil
}

// exchange gives the job another version of its module, in place.
func (v *versioned) exchange(version int) (checkpoint.ID, error) {
	wasm, err := os.ReadFile(v.module)
	if err != nil {
		return 0, err
	}
	wasm = append(wasm, 0, 3, 1, 'v', byte(version)) // a custom section: id, size, length of the name, name, a byte
	m, err := v.client.UploadModule(context.Background(), bytes.NewReader(wasm), int64(len(wasm)))
	if err != nil {
		return 0, err
	}
	done, err := v.client.UpgradeJob(context.Background(), v.job.ID, &api.Upgrade{Module: m.ID, Params: map[string]string{"version": strconv.Itoa(version)}})
	switch {
	case err != nil:
		return 0, err
	case done.Way != api.UpgradeInPlace:
		return 0, fmt.Errorf("the upgrade was no exchange: %v", done.Because)
	}
	return done.Checkpoint, nil
}

// sampled is how often the tasks' figures are read.
const sampled = time.Millisecond

// observe says for how long at most a task took nothing, and a sink was given nothing, while do was done and shortly after.
func (v *versioned) observe(do func() error) (taken, put time.Duration, err error) {
	done := make(chan error, 1)
	go func() { done <- do() }()
	last, since := map[string]string{}, map[string]time.Time{}
	end := time.Time{}
	for end.IsZero() || time.Now().Before(end) {
		if end.IsZero() {
			select {
			case err := <-done:
				if err != nil {
					return 0, 0, err
				}
				end = time.Now().Add(300 * time.Millisecond)
			default:
			}
		}
		figures, err := v.figures()
		if err != nil {
			return 0, 0, err
		}
		now := time.Now()
		for series, value := range figures {
			gap := &taken
			if strings.Contains(series, "_out_") {
				gap = &put
			}
			if at, known := since[series]; known {
				*gap = max(*gap, now.Sub(at))
			}
			if last[series] != value {
				last[series], since[series] = value, now
			}
		}
		time.Sleep(sampled) // a sample is a point of time
	}
	return taken, put, nil
}

// figures are what each task has taken, and what the tasks with a sink have given it.
func (v *versioned) figures() (map[string]string, error) {
	r, err := http.Get(v.metrics)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	all := map[string]string{}
	for s := bufio.NewScanner(r.Body); s.Scan(); {
		series, value, _ := strings.Cut(s.Text(), "} ")
		if strings.HasPrefix(series, "wasmill_task_records_in_total{") ||
			strings.HasPrefix(series, "wasmill_task_records_out_total{") && strings.Contains(series, `chain="1"`) {
			all[series] = value
		}
	}
	if len(all) != 6 {
		return nil, fmt.Errorf("%s tells of %d figures (expected 6)", v.metrics, len(all))
	}
	return all, nil
}

// check ends the job with a savepoint. Of each key all counts must be there, up to the number of its records that the
// sources have read, and versions must follow each other.
func (v *versioned) check() error {
	defer v.close()
	place := filepath.Join(filepath.Dir(v.dir), "savepoint")
	if _, _, _, err := child(nil, "bin/wasmill", "stop", string(v.job.ID), "--to", place, "--jobmanager", v.url); err != nil {
		return err
	}
	read, err := readSpans(place)
	if err != nil {
		return err
	}
	want := map[string]int{}
	for _, s := range read {
		if err := s.each(func(number uint64, letter byte) { want[v.key(number, letter)]++ }); err != nil {
			return err
		}
	}
	versions := map[string][]byte{} // by key, of each count
	files, err := filepath.Glob(filepath.Join(v.output, "part-*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := readVersions(path, versions); err != nil {
			return err
		}
	}
	for key, n := range want {
		have := versions[key]
		if len(have) != n+1 || bytes.IndexByte(have[1:], 0) >= 0 {
			return fmt.Errorf("key %s: %d counts (expected %d), or some are missing", key, max(len(have)-1, 0), n)
		}
		for i := 2; i <= n; i++ {
			if d := have[i] - have[i-1]; d > 1 {
				return fmt.Errorf("key %s: count %d of version %d, the next of version %d", key, i-1, have[i-1], have[i])
			}
		}
		if have[n] != exchanges+1 || have[1] != 1 {
			return fmt.Errorf("key %s: from version %d to %d (expected 1 to %d)", key, have[1], have[n], exchanges+1)
		}
	}
	if len(versions) != len(want) {
		return fmt.Errorf("%d keys (expected %d)", len(versions), len(want))
	}
	return nil
}

// readVersions notes which version has made each count of each key, once.
func readVersions(path string, versions map[string][]byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), ",")
		n, errN := strconv.Atoi(fields[1])
		version, errV := strconv.Atoi(fields[len(fields)-1])
		if errN != nil || errV != nil {
			return fmt.Errorf("%s: row %q", path, s.Text())
		}
		have := versions[fields[0]]
		for len(have) <= n {
			have = append(have, 0)
		}
		if have[n] != 0 {
			return fmt.Errorf("%s: row %q is there twice", path, s.Text())
		}
		have[n] = byte(version)
		versions[fields[0]] = have
	}
	return nil
}

// each makes the records of a span again.
func (s *span) each(f func(number uint64, letter byte)) error {
	src, err := generator.NewSource(map[string]string{"size": "1"})
	if err != nil {
		return err
	}
	r, err := src.Open(context.Background(), connector.Split{Data: fmt.Appendf(nil, `{"first":%d,"step":%d,"end":%d}`, s.first, s.step, s.next)})
	if err != nil {
		return err
	}
	defer r.Close()
	b := abi.NewBuilder(src.Columns())
	for done := s.next <= s.first; !done; {
		b.Reset()
		p, err := r.Poll(b, 1<<16, 1<<20, time.Time{})
		if err != nil {
			return err
		}
		var batch abi.Batch
		b.View(&batch)
		for i := range batch.N {
			f(uint64(batch.Timestamp(i)), batch.Value(i)[0])
		}
		done = p.Done
	}
	return nil
}
