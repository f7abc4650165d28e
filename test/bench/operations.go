package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wasmill/wasmill/internal/api"
)

// operations measures what a person waits for: the start of a cluster, its memory when idle, and a job's way to RUNNING.
func operations(w *tabwriter.Writer, dir string) error {
	fmt.Fprintln(w, "OPERATIONS\tmeasured\taim\tFlink 1.20.5")
	var starts []time.Duration
	for i := range runs {
		cluster := filepath.Join(dir, fmt.Sprintf("cluster-%d", i))
		var out bytes.Buffer
		wall, _, _, err := child(&out, "bin/wasmill", "cluster", "start", "--dir", cluster, "--taskmanagers", "1", "--slots", "2")
		if err != nil {
			return err
		}
		starts = append(starts, wall)
		if i == runs-1 {
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			err = onCluster(w, cluster, lines[len(lines)-1])
		}
		if _, _, _, stop := child(nil, "bin/wasmill", "cluster", "stop", "--dir", cluster); err == nil {
			err = stop
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "start of JobManager and TaskManager to two registered slots\t%.0f ms\t< 1 s\t8.5 s\n", median(starts).Seconds()*1e3)
	return nil
}

// onCluster measures an idle cluster, and then a job whose module it has seen before.
func onCluster(w *tabwriter.Writer, dir, url string) error {
	for _, p := range []struct{ name, flink string }{{"jobmanager", "262 MB"}, {"taskmanager-1", "865 MB"}} {
		rss, err := residentBytes(filepath.Join(dir, p.name+".pid"))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "resident memory of the idle %s\t%.0f MB\t< 60 MB\t%s\n", p.name, float64(rss)/1e6, p.flink)
	}
	client, err := api.NewClient(url, nil)
	if err != nil {
		return err
	}
	input, err := filepath.Abs("examples/data/moby-dick.txt")
	if err != nil {
		return err
	}
	for _, guest := range []string{"c", "go"} {
		var waits []time.Duration
		for i := range 2*runs + 1 { // the first compiles
			job := filepath.Join(dir, fmt.Sprintf("out-%s-%d", guest, i))
			if _, _, _, err := child(nil, "bin/wasmill", "run", "bin/guests/wordcount-"+guest+".wasm", "--jobmanager", url, "--param", "input="+input, "--param", "output="+job); err != nil {
				return err
			}
			jobs, err := client.ListJobs(context.Background())
			if err != nil {
				return err
			}
			newest := jobs[0]
			for _, j := range jobs {
				if j.Created.After(newest.Created) {
					newest = j
				}
			}
			if newest.Running == nil {
				return fmt.Errorf("job %s ran and was never RUNNING", newest.ID)
			}
			if i > 0 {
				waits = append(waits, newest.Running.Sub(newest.Created))
			}
		}
		fmt.Fprintf(w, "submit to RUNNING, cached module, %s guest\t%.0f ms\t< 100 ms\t\n", guest, median(waits).Seconds()*1e3)
	}
	return nil
}

func residentBytes(pidFile string) (int64, error) {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	statm, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/statm")
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return 0, err
	}
	return resident * int64(os.Getpagesize()), nil
}
