package jobmanager

import (
	"encoding/json"
	"slices"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
)

// What the sinks of a job leave behind, counted by operator and directory: after an upgrade a sink may write elsewhere.

// addOutput adds what is left behind now to what was before. What a sink without files has taken since the job began is only
// among now.
func addOutput(before, now []api.Output) []api.Output {
	sum := slices.DeleteFunc(slices.Clone(before), func(o api.Output) bool { return o.Files == 0 })
	for _, n := range now {
		i := slices.IndexFunc(sum, func(o api.Output) bool { return o.Operator == n.Operator && (o.Path == n.Path || n.Files == 0) })
		switch {
		case i < 0:
			sum = append(sum, n)
		case n.Files > 0: // else what it has taken is among its files
			sum[i].Files += n.Files
			sum[i].Rows += n.Rows
			sum[i].Bytes += n.Bytes
		}
	}
	return sum
}

// lessOutput takes away what was counted and is not left behind after all.
func lessOutput(all, lost []api.Output) []api.Output {
	rest := slices.Clone(all)
	for _, l := range lost {
		i := slices.IndexFunc(rest, func(o api.Output) bool { return o.Operator == l.Operator && o.Path == l.Path })
		if i >= 0 {
			rest[i].Files -= l.Files
			rest[i].Rows -= l.Rows
			rest[i].Bytes -= l.Bytes
		}
	}
	return rest
}

// outputOf says what a decision will leave behind, sink by sink. A connector that tells rows, bytes and where in what it
// prepares is believed; the rows of one that prepares nothing are those that its tasks have taken.
func outputOf(g *graph.JobGraph, prepared []connector.Committable, taken func(sink int) int64) []api.Output {
	var all []api.Output
	for _, i := range g.Sinks() {
		op := &g.Operators[i]
		out := api.Output{Operator: op.Name, Path: op.Connector.Config["path"]}
		for _, c := range prepared {
			if one, told := outputIn(c); told && c.Operator == op.Name {
				out.Files++
				out.Rows += one.Rows
				out.Bytes += one.Bytes
				if one.Path != "" {
					out.Path = one.Path
				}
			}
		}
		if out.Files == 0 {
			out.Rows = taken(i)
		}
		all = append(all, out)
	}
	return all
}

// outputIn is what a connector tells of one thing that it has prepared, if it does.
func outputIn(c connector.Committable) (out api.Output, told bool) {
	var data struct {
		Dir   string `json:"dir"`
		Rows  int64  `json:"rows"`
		Bytes int64  `json:"bytes"`
	}
	if err := json.Unmarshal(c.Data, &data); err != nil {
		return out, false // bytes of the connector's own
	}
	return api.Output{Operator: c.Operator, Path: data.Dir, Files: 1, Rows: data.Rows, Bytes: data.Bytes}, true
}
