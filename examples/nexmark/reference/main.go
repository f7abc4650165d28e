// Command reference answers the Nexmark queries in plain Go, and holds the files that a job has written against its answer. It
// is the yardstick of the jobs beside it, and shares no code with them.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/wasmill/wasmill/internal/nexmark/reference"
)

const usage = `usage:
  reference [-side FILE] answer QUERY EVENTS        print the rows of the answer as JSON lines, sorted
  reference [-side FILE] compare QUERY EVENTS DIR   hold the files below DIR against it: exit status 1 if rows differ
  reference queries                                 list the queries

EVENTS is a file of JSON lines as "wasmill nexmark generate" writes it, FILE the table that q13 joins if it is not the standard one.`

var (
	errUsage  = errors.New(usage)
	errDiffer = errors.New("the rows differ")
)

func main() {
	side := flag.String("side", "", "")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	flag.Parse()
	if err := run(os.Stdout, *side, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func run(w io.Writer, side string, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "queries":
		for _, q := range reference.Queries {
			fmt.Fprintf(w, "%s\t%s\n", q.Name, q.Meaning)
		}
		return nil
	case len(args) == 3 && args[0] == "answer":
		return answer(w, side, args[1], args[2])
	case len(args) == 4 && args[0] == "compare":
		return compare(w, side, args[1], args[2], args[3])
	}
	return errUsage
}

func answer(w io.Writer, side, query, events string) error {
	q, e, err := open(side, query, events)
	if err != nil {
		return err
	}
	var lines []string
	q.Answer(e, func(r reference.Row) { lines = append(lines, string(r.AppendJSON(nil, q.Columns))) })
	slices.Sort(lines)
	out := bufio.NewWriter(w)
	for _, line := range lines {
		if _, err := out.WriteString(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

func compare(w io.Writer, side, query, events, dir string) error {
	q, e, err := open(side, query, events)
	if err != nil {
		return err
	}
	d, err := reference.Expect(q, e).Compare(dir)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, d)
	if !d.Same() {
		return errDiffer
	}
	return nil
}

// open finds the query and reads the events, and the table of q13 if it is not the standard one.
func open(side, query, events string) (*reference.Query, *reference.Events, error) {
	q, err := reference.Find(query)
	if err != nil {
		return nil, nil, err
	}
	e, err := read(events, reference.Read)
	if err != nil {
		return nil, nil, err
	}
	if side != "" {
		if e.Side, err = read(side, reference.ReadSide); err != nil {
			return nil, nil, err
		}
	}
	return q, e, nil
}

func read[T any](path string, parse func(io.Reader) (T, error)) (v T, err error) {
	f, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	if v, err = parse(f); err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}
