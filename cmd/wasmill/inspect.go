package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// inspected is the answer of `wasmill inspect`.
type inspected struct {
	ID          graph.ModuleID `json:"id"`
	Size        int            `json:"size"`
	Functions   int            `json:"functions"`
	MemoryMin   int64          `json:"memoryMin"`           // bytes
	MemoryMax   int64          `json:"memoryMax,omitempty"` // bytes; none: as much as the limit allows
	Imports     []string       `json:"imports"`
	Exports     []string       `json:"exports"`
	Manifest    *abi.Manifest  `json:"manifest,omitempty"`
	Undescribed string         `json:"undescribed,omitempty"` // why there is no manifest
}

func (a *app) inspectCommand() *cobra.Command {
	var params []string
	cmd := &cobra.Command{
		Use:   "inspect FILE.wasm",
		Short: "Show what a module is, needs and declares, without running a job",
		Example: `  wasmill inspect wordcount.wasm
  wasmill inspect wordcount.wasm --param window=1000`,
		Args: exactly("FILE.wasm"),
		RunE: func(cmd *cobra.Command, args []string) error {
			given, err := parseParams(params)
			if err != nil {
				return err
			}
			if len(given) == 0 {
				given = nil // a graph that needs parameters is then no fault
			}
			return a.inspect(cmd, args[0], given)
		},
		ValidArgsFunction: cobra.FixedCompletions([]string{"wasm"}, cobra.ShellCompDirectiveFilterFileExt),
	}
	cmd.Flags().StringArrayVar(&params, "param", nil, "`NAME=VALUE` of a parameter that the graph depends on; repeat it for more")
	return cmd
}

func (a *app) inspect(cmd *cobra.Command, path string, params map[string]string) error {
	c, err := a.load(cmd)
	if err != nil {
		return err
	}
	module, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	engine, err := newEngine(cmd.Context(), c, func(text string) { a.note("warning: %s", text) })
	if err != nil {
		return err
	}
	defer engine.Close()
	found, err := engine.Inspect(cmd.Context(), module, params)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	answer := inspected{
		ID: graph.ModuleID(found.ID), Size: found.Size, Functions: found.Functions, Manifest: found.Manifest,
		MemoryMin: int64(found.MemoryMin) << 16, MemoryMax: int64(found.MemoryMax) << 16, Imports: found.Imports, Exports: found.Exports,
	}
	if found.DescribeError != nil {
		answer.Undescribed = found.DescribeError.Error()
	}
	return a.answer(answer, func(w io.Writer) { answer.print(w, filepath.Base(path)) })
}

func (i *inspected) print(w io.Writer, file string) {
	fmt.Fprintf(w, "%s: %s\n\n", file, i.title())
	rows := []string{
		"sha256\t" + string(i.ID),
		fmt.Sprintf("size\t%s, %s", size(int64(i.Size)), plural(int64(i.Functions), "function")),
		"memory\t" + i.memory(),
		"imports\t" + strings.Join(i.Imports, " "),
	}
	if m := i.Manifest; m != nil {
		rows = append(rows, manifestRows(m)...)
	} else {
		rows = append(rows, "job\tunknown: "+i.Undescribed)
	}
	table(w, rows...)
}

func (i *inspected) title() string {
	if i.Manifest == nil {
		return fmt.Sprintf("a Wasmill module of ABI %d", abi.Version)
	}
	s := fmt.Sprintf("job %q, ABI %d", i.Manifest.Name, i.Manifest.ABI)
	if i.Manifest.SDK != "" {
		s += ", SDK " + i.Manifest.SDK
	}
	return s
}

func (i *inspected) memory() string {
	s := size(i.MemoryMin) + " at the start, "
	if i.MemoryMax == 0 {
		return s + "then as the limit allows"
	}
	return s + size(i.MemoryMax) + " at most"
}

// manifestRows lists what a job declares: parameters, operators, functions.
func manifestRows(m *abi.Manifest) []string {
	var rows []string
	for i, p := range m.Params {
		text := p.Name
		switch {
		case p.Required:
			text += " (required)"
		case p.Default != "":
			text += " (default " + p.Default + ")"
		}
		if p.Doc != "" {
			text += ": " + p.Doc
		}
		rows = append(rows, first(i, "params")+"\t"+text)
	}
	for i, o := range m.Operators {
		rows = append(rows, first(i, "operators")+"\t"+operatorText(&o))
	}
	for i, f := range m.Functions {
		text := fmt.Sprintf("%s %s: %s -> %s", f.Kind, f.Name, codecs(f.Inputs), f.Output)
		if f.Key != "" {
			text += ", key " + string(f.Key)
		}
		rows = append(rows, first(i, "functions")+"\t"+text)
		for _, s := range f.States {
			rows = append(rows, "\t  "+stateText(&s))
		}
	}
	return rows
}

// first is the label of the first row of a list.
func first(i int, label string) string {
	if i > 0 {
		return ""
	}
	return label
}

func operatorText(o *abi.Operator) string {
	text := string(o.Kind)
	if o.Connector != nil {
		text = o.Connector.Type + " " + text
	}
	text += " " + o.Name
	if o.Connector != nil {
		for _, key := range slices.Sorted(maps.Keys(o.Connector.Config)) {
			if value := o.Connector.Config[key]; value != "" {
				text += fmt.Sprintf(", %s %s", key, printable(value))
			}
		}
	}
	if fields := graph.FieldsText(o.Fields, o.Predicate, o.Aggregates); fields != "" {
		text += ", " + printable(fields)
	}
	if o.Requests != nil {
		text += ", " + printable(o.Requests.String())
	}
	if o.Window != nil {
		text += ", " + o.Window.String()
	}
	if o.Parallelism > 0 {
		text += fmt.Sprintf(", parallelism %d", o.Parallelism)
	}
	if o.UID != "" && o.UID != o.Name {
		text += ", uid " + o.UID
	}
	var from []string
	for _, in := range o.Inputs {
		from = append(from, in.From)
	}
	if len(from) > 0 {
		text += " <- " + strings.Join(from, ", ")
	}
	return text
}

// stateText is a state of a function, with what it can be restored from.
func stateText(s *abi.State) string {
	text := fmt.Sprintf("%s state %s: %s", s.Kind, s.Name, s.Codec)
	if s.Key != "" {
		text += ", key " + string(s.Key)
	}
	if s.TTL > 0 {
		text += fmt.Sprintf(", for %s", time.Duration(s.TTL)*time.Millisecond)
	}
	if s.ByEventTime() {
		text += " of event time"
	}
	if s.Version > 0 {
		text += fmt.Sprintf(", version %d", s.Version)
	}
	if s.Migrates {
		text += fmt.Sprintf(", migrates from %d on", s.Oldest)
	}
	return text
}

func codecs(all []abi.Codec) string {
	var s []string
	for _, c := range all {
		s = append(s, string(c))
	}
	return strings.Join(s, ", ")
}
