package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

// jobInfo is the answer of `wasmill info`: the job, and its tasks with where they run.
type jobInfo struct {
	api.Job
	Tasks          []api.Task       `json:"tasks"`
	PreAggregation []preAggregation `json:"preAggregation,omitempty"`
}

// preAggregation says whether the records of an operator are folded before they are sent to it.
type preAggregation struct {
	Operator string `json:"operator"`
	Folded   bool   `json:"folded"`
	Why      string `json:"why,omitempty"` // not
}

// preAggregations tells of every operator whose records could be.
func preAggregations(g *graph.JobGraph) (all []preAggregation) {
	for i := range g.Operators {
		if folded, why := g.PreAggregates(i); folded || why != "" {
			all = append(all, preAggregation{g.Operators[i].Name, folded, why})
		}
	}
	return all
}

func (p *preAggregation) String() string {
	if p.Folded {
		return "of " + p.Operator + ", where it pays"
	}
	return "none of " + p.Operator + ": " + p.Why
}

func (a *app) infoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "info [JOB]",
		Short:   "Show a job and where its subtasks run, or the cluster",
		Example: `  wasmill info 7f3a9c`,
		Args:    atMostJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client(cmd)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.clusterInfo(cmd, client)
			}
			return a.jobInfo(cmd, client, graph.JobID(args[0]))
		},
		ValidArgsFunction: a.completeJobs,
	}
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func atMostJob(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return exactly("JOB")(cmd, args)
}

func (a *app) jobInfo(cmd *cobra.Command, client *api.Client, id graph.JobID) error {
	job, err := client.GetJob(cmd.Context(), id)
	if err != nil {
		return err
	}
	figures, err := client.JobMetrics(cmd.Context(), job.ID)
	if err != nil {
		return err
	}
	plan, err := client.JobPlan(cmd.Context(), job.ID)
	if err != nil {
		return err
	}
	ahead := preAggregations(&plan.Graph)
	return a.answer(jobInfo{*job, figures.Tasks, ahead}, func(w io.Writer) {
		rows := jobRows(job, time.Now())
		for i := range ahead {
			rows = append(rows, first(i, "pre-aggregation")+"\t"+printable(ahead[i].String()))
		}
		for i := range plan.Graph.Operators {
			if how := plan.Graph.HintText(i); how != "" {
				rows = append(rows, "join\t"+printable(fmt.Sprintf("%q: %s", plan.Graph.Operators[i].Name, how)))
			}
		}
		table(w, rows...)
		if len(figures.Tasks) > 0 {
			fmt.Fprintln(w)
			table(w, taskRows(figures.Tasks)...)
			idle(w, figures.Tasks, time.Now())
			paused(w, figures.Tasks)
			held(w, figures.Tasks)
			requests(w, figures.Tasks)
		}
	})
}

func jobRows(j *api.Job, now time.Time) []string {
	rows := []string{
		"job\t" + string(j.ID),
		"name\t" + printable(j.Name),
		fmt.Sprintf("state\t%s, attempt %d", j.State, j.Attempt),
		fmt.Sprintf("created\t%s, %s", j.Created.Local().Format(time.DateTime), humanize.RelTime(j.Created, now, "ago", "from now")),
		"up\t" + age(lifetime(j, now)),
		"module\t" + string(j.Module),
		"mode\t" + j.Mode,
		"parallelism\t" + printable(parallelism(j)),
		fmt.Sprintf("subtasks\t%d running, %d finished, of %d", j.Subtasks.Running, j.Subtasks.Finished, j.Subtasks.Total),
		fmt.Sprintf("restarts\t%d", j.Restarts),
	}
	if j.Origin != nil {
		rows = append(rows, "from\t"+printable(originText(j)))
	}
	for _, name := range slices.Sorted(maps.Keys(j.Params)) {
		rows = append(rows, fmt.Sprintf("param\t%s=%s", printable(name), printable(j.Params[name])))
	}
	input := size(j.Progress.InputRead)
	if j.Progress.InputTotal > 0 {
		input += " of " + size(j.Progress.InputTotal)
	}
	rows = append(rows, fmt.Sprintf("input\t%s, %s", input, plural(j.Progress.SourceOut, "record")))
	rows = append(rows, "guarantee\t"+string(j.Guarantee.Guarantee))
	for _, b := range j.Guarantee.Because {
		rows = append(rows, "\t"+printable(b))
	}
	for i, l := range lostLines(j.Guarantee.Lost) {
		rows = append(rows, first(i, "lost")+"\t"+l)
	}
	for _, n := range j.Notes {
		rows = append(rows, "note\t"+oneParagraph(n))
	}
	for i, s := range j.Skipped {
		how := map[string]string{graph.OnTrapSkip: "skipped", graph.OnTrapDeadLetter: "in dead letters"}[s.OnTrap]
		rows = append(rows, fmt.Sprintf("%s\t%s of %s, %s", first(i, "left out"), humanize.Comma(s.Count), printable(s.Operator), how))
	}
	if j.Ephemeral {
		rows = append(rows, "checkpoints\tend with the process (--state-dir keeps them)")
	}
	if c := j.Checkpoint; c != nil {
		rows = append(rows, fmt.Sprintf("checkpoint\t#%d, %s in %s, %s%s", c.ID, size(c.Size), seconds(c.Duration),
			humanize.RelTime(c.Started.Add(c.Duration), now, "ago", "from now"), inFlight(c)))
	}
	if g := j.GivenUp; g != nil {
		rows = append(rows, fmt.Sprintf("given up\t#%d: %s", g.Checkpoint, oneParagraph(g.Cause)))
	}
	for i := range j.Changes {
		rows = append(rows, first(i, "last changes")+"\t"+oneParagraph(changeText(&j.Changes[i], now)))
	}
	if j.Uncommitted != "" && (j.State != api.JobFinishing || j.Failure == nil) { // else it is the cause
		rows = append(rows, "output\tnot committed yet: "+oneParagraph(j.Uncommitted))
		if j.UncommittedHint != "" {
			rows = append(rows, "hint\t"+oneParagraph(j.UncommittedHint))
		}
	}
	for _, o := range j.Output {
		rows = append(rows, "output\t"+printable(outputText(o)))
	}
	if j.Failure != nil {
		rows = append(rows, "cause\t"+oneParagraph(j.Failure.Message))
		for _, line := range failureLines(j.Failure) {
			rows = append(rows, "\t"+line)
		}
		if j.Failure.Hint != "" {
			rows = append(rows, "hint\t"+oneParagraph(j.Failure.Hint))
		}
	}
	return rows
}

// parallelism is that of a job, and of the operators that were given one of their own since it began.
func parallelism(j *api.Job) string {
	text := strconv.Itoa(j.Parallelism)
	for _, name := range slices.Sorted(maps.Keys(j.Operators)) {
		text += fmt.Sprintf(", %d of %s", j.Operators[name], name)
	}
	return text
}

// changeText says what a job was asked to be, and what became of it.
func changeText(c *api.Change, now time.Time) string {
	text := fmt.Sprintf("%s, %s (%s): ", c.Kind, humanize.RelTime(c.Time, now, "ago", "from now"), strings.Join(c.Changes, ", "))
	switch c.Outcome {
	case api.ChangePending:
		return text + "to be settled by the next checkpoint; a failure before takes it back"
	case api.ChangeWentBack:
		return text + "the job went back to what it was before: " + c.Reason
	}
	return text + string(c.Outcome)
}

// originText is the savepoint that a job goes on from, and while that is copied how far this is.
func originText(j *api.Job) string {
	o := j.Origin
	if j.State != api.JobCreated || o.Copied == o.Size {
		return o.Path
	}
	text := fmt.Sprintf("%s, %s of %s copied", o.Path, size(o.Copied), size(o.Size))
	if o.Hindered != "" {
		text += ": " + o.Hindered
	}
	return text
}

func taskRows(tasks []api.Task) []string {
	rows := []string{"TASK\tOPERATORS\tSTATE\tTASKMANAGER\tSLOT\tIN\tOUT\tBUSY\tBLOCKED"}
	for _, t := range tasks {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s", t.Task, printable(t.Name), t.State, printable(string(t.TaskManager)), t.Slot,
			count(t.Metrics.RecordsIn), count(t.Metrics.RecordsOut),
			seconds(time.Duration(t.Metrics.BusyNs)), seconds(time.Duration(t.Metrics.BlockedNs))))
	}
	return rows
}

// paused says which splits wait for others.
func paused(w io.Writer, tasks []api.Task) {
	for _, t := range tasks {
		for _, p := range t.Metrics.Paused {
			fmt.Fprintf(w, "task %s: %s paused: %s ahead of group %s\n", t.Task, printable(p.What), (time.Duration(p.AheadMs) * time.Millisecond).Round(100*time.Millisecond), printable(p.Group))
		}
	}
}

// held says which sources promise nothing yet, and why.
func held(w io.Writer, tasks []api.Task) {
	for _, t := range tasks {
		if t.Metrics.Held {
			fmt.Fprintf(w, "task %s: event time waits until every split of the source is being read\n", t.Task)
		}
	}
}

// idle says which inputs hold no watermark back, and why.
func idle(w io.Writer, tasks []api.Task, now time.Time) {
	begun := false
	for _, t := range tasks {
		for _, i := range t.Metrics.Idle {
			if !begun {
				begun = true
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "task %s: %s idle since %s (%s), and holds no watermark back\n", t.Task, printable(i.What),
				i.Since.Local().Format(time.DateTime), humanize.RelTime(i.Since, now, "ago", "from now"))
		}
	}
}

// requests says what the subtasks have asked the outside.
func requests(w io.Writer, tasks []api.Task) {
	rows := []string{"TASK\tOPERATOR\tIN FLIGHT\tREQUESTS\tRETRIES\tTIMEOUTS"}
	for _, t := range tasks {
		for _, r := range t.Metrics.Requests {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", t.Task, printable(r.Operator), count(r.InFlight), count(r.Made), count(r.Retries), count(r.Timeouts)))
		}
	}
	if len(rows) > 1 {
		fmt.Fprintln(w)
		table(w, rows...)
	}
}

// clusterState is the answer of `wasmill info` without a job.
type clusterState struct {
	api.Overview
	Members []api.TaskManager `json:"members"`
}

func (a *app) clusterInfo(cmd *cobra.Command, client *api.Client) error {
	overview, err := client.Overview(cmd.Context())
	if err != nil {
		return err
	}
	members, err := client.ListTaskManagers(cmd.Context())
	if err != nil {
		return err
	}
	return a.answer(clusterState{*overview, members}, func(w io.Writer) {
		fmt.Fprintf(w, "JobManager at %s, version %s, epoch %d: %d of %s free on %s\n\n", client.URL(), overview.Version, overview.Epoch,
			overview.FreeSlots, plural(int64(overview.Slots), "slot"), plural(int64(overview.TaskManagers), "TaskManager"))
		rows := []string{"TASKMANAGER\tID\tADDRESS\tPID\tSLOTS FREE\tMEMORY\tHEARTBEAT"}
		for _, m := range members {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%d/%d\t%s\t%s", printable(m.Name), printable(string(m.ID)), printable(m.Address), m.PID, m.FreeSlots, m.Slots, size(m.RSS),
				humanize.RelTime(m.Heartbeat, time.Now(), "ago", "from now")))
		}
		table(w, rows...)
	})
}
