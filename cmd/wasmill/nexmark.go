package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/nexmark"
	"github.com/wasmill/wasmill/internal/nexmark/eventfile"
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
	var format string
	cmd := &cobra.Command{
		Use:   "generate FILE",
		Short: "Write the events of the Nexmark benchmark to a file: the same parameters give the same bytes",
		Long: `Write people, auctions and bids to a file, or to the standard output if FILE is "-". The same parameters give the same bytes, on
any machine. The file appears under its name when it is whole.

The format is json, lines of JSON as every system reads them; or binary, half the size and with checksums, which the source "nexmark"
reads (path). That source also makes the same events in a job, without a file; its options have the names of these flags.`,
		Example: `  wasmill nexmark generate events.json --events 300000 --rate 250 --start 2026-01-01T23:50:00Z
  wasmill nexmark generate late.json --events 300000 --rate 250 --out-of-order 4s
  wasmill nexmark generate events.bin --events 300000 --format binary
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
			write, ok := map[string]func(io.Writer, *nexmark.Generator, eachEvent) error{"json": writeLines, "binary": writeBinary}[format]
			if !ok {
				return usagef("--format %q (expected json or binary)", format)
			}
			return a.makeFile(args[0], "event", p.Events, func(w io.Writer) error {
				return write(w, g, func(do func(uint64, *nexmark.Event) error) error { return a.makeEvents(cmd.Context(), g, args[0], do) })
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "json", "json or binary")
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
			return a.makeFile(args[0], "row", nexmark.SideInputKeys, func(w io.Writer) error {
				var all []byte
				for key := range uint64(nexmark.SideInputKeys) {
					all = nexmark.AppendSideInput(all, key)
				}
				_, err := w.Write(all)
				return err
			})
		},
	}
}

// madeFile is a file that was written.
type madeFile struct {
	File  string `json:"file"`
	Count uint64 `json:"count"` // of events or rows
	Bytes int64  `json:"bytes"`
}

// makeFile has a file written, under its name once it is whole, or the standard output.
func (a *app) makeFile(path, what string, n uint64, write func(io.Writer) error) error {
	switch path {
	case "":
		return usagef("FILE is empty")
	case "-":
		return write(a.out)
	}
	made := madeFile{File: path, Count: n}
	if err := writeWhole(path, func(w io.Writer) error {
		counted := &countingWriter{w: w}
		defer func() { made.Bytes = counted.n }()
		return write(counted)
	}); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return a.answer(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s, %s\n", path, plural(int64(n), what), size(made.Bytes))
	})
}

// countingWriter counts bytes.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// eachEvent calls do for each event, with its place in the order in which they come.
type eachEvent func(do func(place uint64, e *nexmark.Event) error) error

// makeEvents makes all events of a generator, until the context ends, and says now and then how far it is.
func (a *app) makeEvents(ctx context.Context, g *nexmark.Generator, path string, do func(place uint64, e *nexmark.Event) error) error {
	var e nexmark.Event
	said := time.Now()
	for place := range g.Events {
		if place%4096 == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if time.Since(said) >= plainInterval {
				said = time.Now()
				a.note("%s: %s of %s, %d %%", path, count(int64(place)), plural(int64(g.Events), "event"), 100*place/g.Events)
			}
		}
		g.Make(&e, g.Number(place), &[nexmark.Kinds]nexmark.Wanted{nexmark.All, nexmark.All, nexmark.All})
		if err := do(place, &e); err != nil {
			return err
		}
	}
	return nil
}

func writeLines(w io.Writer, _ *nexmark.Generator, each eachEvent) error {
	out := bufio.NewWriterSize(w, 1<<20)
	var line []byte
	err := each(func(_ uint64, e *nexmark.Event) error {
		line = nexmark.AppendJSON(line[:0], e)
		_, err := out.Write(line)
		return err
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

func writeBinary(w io.Writer, g *nexmark.Generator, each eachEvent) error {
	out, err := eventfile.NewWriter(w)
	if err != nil {
		return err
	}
	err = each(func(place uint64, e *nexmark.Event) error {
		if place%g.Group() == 0 {
			if err := out.Boundary(); err != nil {
				return err
			}
		}
		return out.Append(e)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

// writeWhole makes a file that is under its name only when write has written all of it and it lies on the disk. What another
// left there is replaced then. A device or pipe is written to as it is.
func writeWhole(path string, write func(io.Writer) error) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return errors.New("is a directory (expected a file)")
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	case err == nil: // the file that a link leads to is replaced, not the link
		path, err = filepath.EvalSymlinks(path)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err == nil {
		path, err = filepath.Abs(path)
	}
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
