package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/nexmark"
)

func (a *app) nexmarkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "nexmark",
		Short:   "Make the input of the Nexmark benchmark",
		Example: `  wasmill nexmark generate events.json --events 300000 --rate 250 --start 2026-01-01T23:50:00Z`,
		Args:    noSubcommand,
		RunE:    showHelp,
	}
	cmd.AddCommand(a.nexmarkGenerateCommand(), a.nexmarkSideInputCommand())
	return cmd
}

func (a *app) nexmarkGenerateCommand() *cobra.Command {
	p := nexmark.Standard()
	p.Events = 1_000_000
	cmd := &cobra.Command{
		Use:   "generate FILE",
		Short: "Write the events of the Nexmark benchmark to a file: the same parameters give the same bytes",
		Long: `Write people, auctions and bids as JSON lines to a file, or to the standard output if FILE is "-". The same parameters give
the same bytes, on any machine. The file appears under its name when it is whole.

The source "nexmark" makes the same events in a job, without a file; its options have the names of these flags.`,
		Example: `  wasmill nexmark generate events.json --events 300000 --rate 250 --start 2026-01-01T23:50:00Z
  wasmill nexmark generate late.json --events 300000 --rate 250 --out-of-order 4s
  wasmill nexmark generate - --events 5`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.Events == 0 {
				return usagef("--events 0: a file has an end (expected >= 1)")
			}
			g, err := nexmark.NewGenerator(p)
			if err != nil {
				return usagef("%s", err)
			}
			return a.makeFile(cmd.Context(), args[0], "event", p.Events, func(place uint64, e *nexmark.Event, dst []byte) []byte {
				g.Make(e, g.Number(place), &[nexmark.Kinds]nexmark.Wanted{nexmark.All, nexmark.All, nexmark.All})
				return nexmark.AppendJSON(dst, e)
			})
		},
	}
	for i := range nexmark.Options {
		o := &nexmark.Options[i]
		cmd.Flags().Var(o.Of(&p), o.Name, o.Doc)
	}
	cmd.Flags().SortFlags = false
	return cmd
}

func (a *app) nexmarkSideInputCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "side-input FILE",
		Short: "Write the table that query q13 joins: a line of key and value for each key",
		Long: fmt.Sprintf(`Write the table that query q13 of the Nexmark benchmark joins as JSON lines to a file, or to the standard output if FILE is "-":
a key from 0 to %d, and as its value the same number as text. The file appears under its name when it is whole.`, nexmark.SideInputKeys-1),
		Example: `  wasmill nexmark side-input side.json`,
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.makeFile(cmd.Context(), args[0], "row", nexmark.SideInputKeys, func(key uint64, _ *nexmark.Event, dst []byte) []byte {
				return nexmark.AppendSideInput(dst, key)
			})
		},
	}
}

// madeFile is a file that was written.
type madeFile struct {
	File  string `json:"file"`
	Lines int64  `json:"lines"`
	Bytes int64  `json:"bytes"`
}

// makeFile writes n lines to a file, under its name once all have been, or to the standard output.
func (a *app) makeFile(ctx context.Context, path, what string, n uint64, line func(i uint64, e *nexmark.Event, dst []byte) []byte) error {
	made := madeFile{File: path, Lines: int64(n)}
	write := func(w io.Writer) (err error) {
		made.Bytes, err = writeLines(ctx, w, n, line)
		return err
	}
	if path == "-" {
		return write(a.out)
	}
	if err := writeWhole(path, write); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return a.answer(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s, %s\n", path, plural(int64(n), what), size(made.Bytes))
	})
}

// writeLines writes until the context ends.
func writeLines(ctx context.Context, w io.Writer, n uint64, line func(i uint64, e *nexmark.Event, dst []byte) []byte) (written int64, err error) {
	out := bufio.NewWriterSize(w, 1<<20)
	var e nexmark.Event
	var dst []byte
	for i := range n {
		if i%4096 == 0 && ctx.Err() != nil {
			return written, ctx.Err()
		}
		dst = line(i, &e, dst[:0])
		if _, err := out.Write(dst); err != nil {
			return written, err
		}
		written += int64(len(dst))
	}
	return written, out.Flush()
}

// writeWhole makes a file that is under its name only when write has written all of it and it lies on the disk. What another
// left there is replaced then.
func writeWhole(path string, write func(io.Writer) error) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := durable.OS.Create(filepath.Join(dir, fmt.Sprintf(".%s.partial-%d", filepath.Base(path), os.Getpid())), os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = durable.OS.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, durable.OS.Remove(f.Name()))
	}
	return durable.OS.SyncDir(dir)
}
