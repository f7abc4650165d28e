package main

import (
	little "encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/savepoint"
)

func (a *app) savepointShowCommand() *cobra.Command {
	var sample int
	cmd := &cobra.Command{
		Use:     "show PATH",
		Short:   "Read a savepoint from end to end, and say what is in it",
		Example: `  wasmill savepoint show /backup/hot-items --sample 3`,
		Args:    exactly("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := openPlace(cmd, args[0])
			if err != nil {
				return err
			}
			defer store.Close()
			r, err := savepoint.Inspect(cmd.Context(), store, sample)
			if err != nil {
				return fmt.Errorf("savepoint %s: %w", args[0], err)
			}
			return a.answer(r, func(w io.Writer) { showSavepoint(w, r, time.Now()) })
		},
	}
	cmd.Flags().IntVar(&sample, "sample", 0, "entries of each state to show")
	return cmd
}

func (a *app) savepointDisposeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "dispose PATH",
		Short:   "Delete a savepoint",
		Example: `  wasmill savepoint dispose /backup/hot-items`,
		Args:    exactly("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := openPlace(cmd, args[0])
			if err != nil {
				return err
			}
			defer store.Close()
			m, err := savepoint.Dispose(cmd.Context(), store)
			if err != nil {
				return fmt.Errorf("dispose of savepoint %s: %w", args[0], err)
			}
			gone := api.Savepoint{Path: args[0], Job: m.Job, Checkpoint: m.Checkpoint, Time: m.Time}
			for _, f := range m.AllFiles() {
				gone.Size += f.Size
			}
			return a.answer(gone, func(w io.Writer) {
				fmt.Fprintf(w, "deleted savepoint #%d of job %s: %s\n", m.Checkpoint, m.Job, size(gone.Size))
			})
		},
	}
}

// openPlace opens where a savepoint is said to be, without making it.
func openPlace(cmd *cobra.Command, path string) (blob.Store, error) {
	if !strings.Contains(path, "://") {
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
	}
	return blob.Open(cmd.Context(), path)
}

func showSavepoint(w io.Writer, r *savepoint.Report, now time.Time) {
	flight := ""
	if r.InFlight > 0 {
		flight = fmt.Sprintf(", records of %s in flight", size(r.InFlight))
	}
	fmt.Fprintf(w, "savepoint #%d of job %s (%s), %s: %s in %s, %s key groups%s\n\n", r.Checkpoint, r.Job, printable(r.Name),
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
			row += fmt.Sprintf("\t%s\t%s\t%s\t%s\t%d", printable(s.Name), versions(s.Versions), humanize.Comma(s.Entries), size(s.Bytes), s.Groups)
		}
		rows = append(rows, row)
	}
	table(w, rows...)
	for _, o := range r.Operators {
		for _, s := range o.States {
			for i, e := range s.Sample {
				if i == 0 {
					fmt.Fprintf(w, "\n%s of %s:\n", printable(s.Name), printable(o.UID))
				}
				window, key := "", shown(e.Key, s.Key)
				if e.Window != nil {
					window = fmt.Sprintf(" at %d", *e.Window)
				}
				if e.SubKey != nil {
					key += "[" + shown(e.SubKey, s.SubKey) + "]"
				}
				fmt.Fprintf(w, "  group %d%s: %s = %s\n", e.Group, window, key, shown(e.Value, s.Value))
			}
		}
	}
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

// shown is a key or value for people: numbers as such, text as text, anything else in hexadecimal.
func shown(p []byte, codec abi.Codec) string {
	const most = 64
	switch {
	case codec == abi.CodecI64 && len(p) == 8:
		return strconv.FormatInt(int64(little.LittleEndian.Uint64(p)), 10)
	case codec == abi.CodecF64 && len(p) == 8:
		return strconv.FormatFloat(math.Float64frombits(little.LittleEndian.Uint64(p)), 'g', -1, 64)
	}
	tail := ""
	if len(p) > most {
		p, tail = p[:most], fmt.Sprintf("... (%d bytes)", len(p))
	}
	if utf8.Valid(p) && !strings.ContainsFunc(string(p), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(string(p)) + tail
	}
	return hex.EncodeToString(p) + tail
}
