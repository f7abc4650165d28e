package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/savepoint"
)

func (a *app) savepointShowCommand() *cobra.Command {
	var sample int
	cmd := savepointAt(&cobra.Command{
		Use:     "show PATH",
		Short:   "Read a savepoint from end to end, and say what is in it",
		Example: `  wasmill savepoint show /backup/hot-items --sample 3`,
	}, func(ctx context.Context, _ string, store blob.Store) error {
		if err := checkSample(sample); err != nil {
			return err
		}
		r, err := savepoint.Inspect(ctx, store, sample)
		if err != nil {
			return err
		}
		return a.answer(r, func(w io.Writer) { showSavepoint(w, "savepoint", r, time.Now()) })
	})
	sampleFlag(cmd, &sample)
	return cmd
}

func (a *app) checkpointShowCommand() *cobra.Command {
	var sample int
	cmd := &cobra.Command{
		Use:   "show JOB [CHECKPOINT]",
		Short: "Read a retained checkpoint of a job from end to end, the newest one by default, and say what is in it",
		Example: `  wasmill checkpoint show 7f3a9c --sample 3
  wasmill checkpoint show 7f3a9c 42`,
		Args: func(cmd *cobra.Command, args []string) error {
			return exactly([]string{"JOB", "CHECKPOINT"}[:min(max(len(args), 1), 2)]...)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var id checkpoint.ID
			if len(args) > 1 {
				n, err := strconv.ParseUint(strings.TrimPrefix(args[1], "#"), 10, 64)
				if err != nil || n == 0 {
					return usagef("checkpoint %s (expected a number: `wasmill checkpoints %s` lists them)", strconv.Quote(args[1]), args[0])
				}
				id = checkpoint.ID(n)
			}
			if err := checkSample(sample); err != nil {
				return err
			}
			client, err := a.client(cmd)
			if err != nil {
				return err
			}
			r, err := client.InspectCheckpoint(cmd.Context(), graph.JobID(args[0]), id, sample)
			if err != nil {
				return err
			}
			return a.answer(r, func(w io.Writer) { showSavepoint(w, "checkpoint", r, time.Now()) })
		},
		ValidArgsFunction: a.completeJobs,
	}
	sampleFlag(cmd, &sample)
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func sampleFlag(cmd *cobra.Command, sample *int) {
	cmd.Flags().IntVar(sample, "sample", 0, fmt.Sprintf("entries of each state to show, up to %d", savepoint.MaxSample))
}

func checkSample(n int) error {
	if n < 0 || n > savepoint.MaxSample {
		return usagef("--sample %d (expected 0 <= n <= %d)", n, savepoint.MaxSample)
	}
	return nil
}

func (a *app) savepointDisposeCommand() *cobra.Command {
	incomplete := false
	cmd := &cobra.Command{
		Use:   "dispose PATH",
		Short: "Delete a savepoint",
		Long: `Delete a savepoint. One that was not completed is only deleted with --incomplete: its job may be about to complete it
(savepoint list says so).`,
		Example: `  wasmill savepoint dispose /backup/hot-items`,
	}
	cmd.Flags().BoolVar(&incomplete, "incomplete", false, "delete what is there of a savepoint that was not completed")
	return savepointAt(cmd, func(ctx context.Context, path string, store blob.Store) error {
		if incomplete {
			return a.disposeIncomplete(ctx, path, store)
		}
		m, err := savepoint.Dispose(ctx, store)
		if errors.Is(err, savepoint.ErrIncomplete) {
			return withHint(err, "if its job is not about to complete it, --incomplete deletes what is there")
		} else if err != nil {
			return err
		}
		gone := api.Savepoint{Path: path, Job: m.Job, Checkpoint: m.Checkpoint, Time: m.Time}
		for _, f := range m.AllFiles() {
			gone.Size += f.Size
		}
		return a.answer(gone, func(w io.Writer) {
			fmt.Fprintf(w, "deleted savepoint #%d of job %s: %s\n", m.Checkpoint, m.Job, size(gone.Size))
		})
	})
}

func (a *app) disposeIncomplete(ctx context.Context, path string, store blob.Store) error {
	gone, err := savepoint.DisposeIncomplete(ctx, store)
	if errors.Is(err, savepoint.ErrComplete) {
		return withHint(err, "without --incomplete it is deleted")
	} else if err != nil {
		return err
	}
	return a.answer(api.Savepoint{Path: path, Size: gone.Size}, func(w io.Writer) {
		fmt.Fprintf(w, "deleted what there was of %s: %s, %s\n", path, plural(int64(gone.Files), "file"), size(gone.Size))
	})
}

// savepointAt makes cmd one that does something with the savepoint at PATH.
func savepointAt(cmd *cobra.Command, do func(ctx context.Context, path string, store blob.Store) error) *cobra.Command {
	cmd.Args = exactly("PATH")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		store, err := openPlace(cmd, args[0])
		if err != nil {
			return err
		}
		defer store.Close()
		err = do(cmd.Context(), args[0], store)
		if err != nil && !errors.Is(err, errDamaged) {
			return fmt.Errorf("savepoint %s: %w", args[0], err)
		}
		return err
	}
	return cmd
}

// openPlace opens where a savepoint is said to be, without making it.
func openPlace(cmd *cobra.Command, path string) (blob.Store, error) {
	if err := blob.There(path); err != nil {
		return nil, fmt.Errorf("savepoint %s: %w", path, err)
	}
	return blob.Open(cmd.Context(), path)
}

// cause leaves out of an error what a message around it says: the path.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func showSavepoint(w io.Writer, what string, r *savepoint.Report, now time.Time) {
	flight := ""
	if r.InFlight > 0 {
		flight = fmt.Sprintf(", records of %s in flight", size(r.InFlight))
	}
	fmt.Fprintf(w, "%s #%d of job %s (%s), %s: %s in %s, %s key groups%s\n\n", what, r.Checkpoint, r.Job, printable(r.Name),
		humanize.RelTime(r.Time, now, "ago", "from now"), size(r.Size), plural(int64(r.Files), "file"), humanize.Comma(int64(r.KeyGroups)), flight)
	rows := []string{"OPERATOR\tUID\tKIND\tPARALLELISM\tSTATE\tVERSION\tENTRIES\tSIZE\tKEY GROUPS"}
	for _, o := range r.Operators {
		row := fmt.Sprintf("%s\t%s\t%s\t%d", printable(o.Name), printable(o.UID), o.Kind, o.Parallelism)
		switch {
		case o.Splits != nil:
			row += fmt.Sprintf("\t%d of %s read, %d begun\t\t\t\t", o.Splits.Done, plural(int64(o.Splits.Total), "split"), o.Splits.Open)
		case len(o.States) == 0:
			row += "\tempty\t\t\t\t"
		}
		for i, s := range o.States {
			if i > 0 {
				rows = append(rows, row)
				row = "\t\t\t"
			}
			groups := strconv.Itoa(s.Groups)
			switch s.Scope {
			case abi.ScopeOperator:
				groups = "of the operator"
			case abi.ScopeBroadcast:
				groups = "broadcast"
			}
			row += fmt.Sprintf("\t%s\t%s\t%s\t%s\t%s", printable(s.Name), versions(s.Versions), humanize.Comma(s.Entries), size(s.Bytes), groups)
		}
		rows = append(rows, row)
	}
	table(w, rows...)
	for _, o := range r.Operators {
		for _, s := range o.States {
			if len(s.Sample) > 0 {
				fmt.Fprintf(w, "\n%s of %s%s:\n", printable(s.Name), printable(o.UID), codecsText(&s))
			}
			for _, e := range s.Sample {
				fmt.Fprintf(w, "  %s\n", entryText(&e))
			}
		}
	}
}

// codecsText says what the keys and values of a state are.
func codecsText(s *savepoint.State) string {
	text := string(s.Key)
	if s.SubKey != "" {
		text += "[" + string(s.SubKey) + "]"
	}
	if s.Value != "" {
		text += " = " + string(s.Value)
	}
	if text == "" {
		return ""
	}
	return ", " + printable(text)
}

// entryText is an entry in a line: group 12, from T to U: "whale" = 15
func entryText(e *savepoint.Entry) string {
	var b strings.Builder
	if e.Subtask != nil {
		return fmt.Sprintf("subtask %d: %s", *e.Subtask, shown(e.Value))
	}
	if e.Key == nil && e.SubKey != nil {
		return shown(e.SubKey) + " = " + shown(e.Value)
	}
	fmt.Fprintf(&b, "group %d", e.Group)
	for _, part := range []struct {
		name string
		time json.RawMessage
	}{{", from ", e.Start}, {" to ", e.End}, {", at ", e.Time}} {
		if part.time != nil {
			b.WriteString(part.name + strings.Trim(string(part.time), `"`))
		}
	}
	b.WriteString(": " + shown(e.Key))
	if e.SubKey != nil {
		b.WriteString("[" + shown(e.SubKey) + "]")
	}
	if e.Value != nil {
		b.WriteString(" = " + shown(e.Value))
	}
	if e.Expires != nil {
		b.WriteString(", until " + strings.Trim(string(e.Expires), `"`))
	}
	return b.String()
}

// versions says which schema versions a state's entries have, and how many have each when there are several.
func versions(all map[uint16]int64) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(all)) {
		if len(all) == 1 {
			return strconv.Itoa(int(v))
		}
		parts = append(parts, fmt.Sprintf("%d (%s)", v, humanize.Comma(all[v])))
	}
	return strings.Join(parts, ", ")
}

// shown is a key or value as JSON, the beginning of one that is long.
func shown(value json.RawMessage) string {
	const most = 200
	text := printable(string(value))
	if cut := []rune(text); len(cut) > most {
		return fmt.Sprintf("%s... (%s)", string(cut[:most]), size(int64(len(value))))
	}
	return text
}
