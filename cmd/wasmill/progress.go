package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// plainInterval is how often progress is a line where there is no terminal.
const plainInterval = 5 * time.Second

// progress shows on stderr how far a job is: a bar on a terminal, otherwise a line at each change of state and now and
// then in between. One goroutine at a time.
type progress struct {
	*app
	where  string
	wayOut func(graph.JobID) string // what helps where output is gone; nil: what the JobManager says
	bars   *mpb.Progress            // nil: lines
	bar    *mpb.Bar
	drawn  atomic.Bool // bar is there

	state  api.JobState
	waits  wire.Kind // why the job does not get out of FINISHING, as far as that was said
	silent bool      // the JobManager does not answer, and that was said
	begun  time.Time // when state was first seen to be RUNNING in this attempt
	said   time.Time // when the last line was printed
	label  string    // behind the bar, read by its renderer through set
	labels chan string
}

func newProgress(a *app) *progress {
	p := &progress{app: a}
	if isTerminal(a.err) && !a.json {
		p.bars = mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(20), mpb.WithRefreshRate(100*time.Millisecond))
		p.labels = make(chan string, 1)
	}
	return p
}

// show is told of every change of the job.
func (p *progress) show(j *api.Job) {
	p.silent = false
	var waits wire.Kind
	if j.State == api.JobFinishing && j.Failure != nil { // its output cannot be committed yet
		waits = j.Failure.Kind
	}
	if j.State != p.state || waits != 0 && waits != p.waits {
		p.state, p.said, p.waits = j.State, time.Now(), waits
		if j.State == api.JobRunning {
			p.begun = time.Now()
		}
		p.stateLine(j)
	}
	switch {
	case p.bars != nil && j.State == api.JobRunning:
		p.draw(j)
	case p.bars == nil && j.State == api.JobRunning && time.Since(p.said) >= plainInterval:
		p.said = time.Now()
		p.note("%s  %s  %s", j.Name, j.ID, p.far(j))
	}
}

// lost says once that the JobManager does not answer; the job's next state is printed again.
func (p *progress) lost(err error) {
	if p.silent {
		return
	}
	p.endBar()
	p.note("%s; waiting for it", err)
	p.silent, p.state = true, ""
}

// stateLine says where the job is in its life, where that is of interest, and after a failure why.
func (p *progress) stateLine(j *api.Job) {
	p.endBar()
	line := fmt.Sprintf("%s  %s  %s", j.Name, j.ID, j.State)
	switch {
	case j.State == api.JobRunning:
		line += fmt.Sprintf("  %s, %s", plural(int64(j.Subtasks.Total), "subtask"), p.where)
		if j.Attempt > 1 {
			line += fmt.Sprintf(", attempt %d", j.Attempt)
			break
		}
		for _, n := range j.Notes {
			line += "\n  note: " + oneParagraph(n)
		}
	case j.State == api.JobCreated && j.Failure != nil:
		line += "  " + oneParagraph(j.Failure.Message)
	case j.State == api.JobCreated && j.Origin != nil:
		line += "  goes on from " + printable(originText(j))
	case j.State == api.JobFinishing && j.Failure != nil:
		line += p.causeLines(j)
	case j.State == api.JobRestarting && j.Failure != nil:
		line += fmt.Sprintf(" (%d)", j.Restarts+1) + p.causeLines(j)
	case j.State != api.JobCancelling:
		return
	}
	p.note("%s", line)
}

// causeLines are why a job does not go on, and what helps.
func (p *progress) causeLines(j *api.Job) string {
	lines, hint := "\n  cause: "+oneParagraph(j.Failure.Message), j.Failure.Hint
	if j.Failure.Kind == wire.KindGone && p.wayOut != nil {
		hint = p.wayOut(j.ID)
	}
	if hint != "" {
		lines += "\n  hint: " + oneParagraph(hint)
	}
	return lines
}

// far is the progress in words: 0.5 MB of 1.2 MB, 45 %, 3.1 M records/s
func (p *progress) far(j *api.Job) string {
	s := size(j.Progress.InputRead)
	if total := j.Progress.InputTotal; total > 0 {
		s += fmt.Sprintf(" of %s, %d %%", size(total), 100*min(j.Progress.InputRead, total)/total)
	}
	return s + ", " + p.pace(j)
}

func (p *progress) pace(j *api.Job) string {
	s := count(j.Progress.SourceOut) + " records"
	if d := time.Since(p.begun); d > 100*time.Millisecond {
		s += ", " + rate(float64(j.Progress.SourceOut)/d.Seconds()) + " records/s"
	}
	return s
}

func (p *progress) draw(j *api.Job) {
	if p.bar == nil {
		p.bar = p.newBar(j)
		p.drawn.Store(true)
	}
	p.set(p.pace(j))
	if total := j.Progress.InputTotal; total > 0 {
		p.bar.SetTotal(total, false)
		p.bar.SetCurrent(min(j.Progress.InputRead, total))
	}
}

func (p *progress) newBar(j *api.Job) *mpb.Bar {
	label := decor.Any(func(decor.Statistics) string {
		select {
		case p.label = <-p.labels:
		default:
		}
		return p.label
	})
	if j.Progress.InputTotal == 0 {
		return p.bars.AddSpinner(0, mpb.BarWidth(2), mpb.PrependDecorators(decor.Name(j.Name+" ")), mpb.AppendDecorators(label))
	}
	style := mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("─")
	return p.bars.New(j.Progress.InputTotal, style,
		mpb.PrependDecorators(decor.Any(func(s decor.Statistics) string {
			return fmt.Sprintf("%s  %s of %s ", j.Name, size(s.Current), size(s.Total))
		})),
		mpb.AppendDecorators(decor.Percentage(), decor.Name("  "), label))
}

// set leaves a label for the renderer; a newer one replaces one that was not drawn.
func (p *progress) set(label string) {
	select {
	case <-p.labels:
	default:
	}
	p.labels <- label
}

func (p *progress) endBar() {
	if p.bar != nil {
		p.drawn.Store(false)
		p.bar.Abort(true)
		p.bar.Wait()
		p.bar = nil
	}
}

// close ends the drawing; calling it again does nothing.
func (p *progress) close() {
	if p.bars != nil {
		p.endBar()
		p.bars.Wait()
	}
}

// beside returns a writer to w for lines that come while a bar is drawn: on a terminal they go above the bar. Any
// goroutine may use it.
func (p *progress) beside(w io.Writer) io.Writer {
	if p.bars == nil || !isTerminal(w) {
		return w
	}
	return besideBar{p, w}
}

type besideBar struct {
	p *progress
	w io.Writer
}

func (b besideBar) Write(line []byte) (int, error) {
	if b.p.drawn.Load() {
		if n, err := b.p.bars.Write(line); err == nil {
			return n, nil
		}
	}
	return b.w.Write(line)
}
