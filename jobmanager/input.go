package jobmanager

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
)

// A source that has begun goes on in the splits that it began with, whatever its options say now. So options that would have
// it read something else are refused: they would have no effect, and the user would take the old input for the new one.

// keepsInput refuses a graph in which a source of another one, which lies where the answer begins with, is to read other input.
func (jm *JobManager) keepsInput(ctx context.Context, was, is *graph.JobGraph, where string) error {
	for _, i := range was.Sources() {
		before := &was.Operators[i]
		k := slices.IndexFunc(is.Operators, func(o graph.Operator) bool { return o.Kind == abi.OperatorSource && o.UID == before.UID })
		if k < 0 || maps.Equal(before.Connector.Config, is.Operators[k].Connector.Config) {
			continue
		}
		now := is.Operators[k]
		now.Parallelism = before.Parallelism // which may have a say in how splits are cut
		splits, err := jm.splitsAnew(ctx, &now)
		if err != nil {
			return connectorError(fmt.Errorf("source %q: %w", now.Name, err))
		}
		if had, err := jm.splitsAnew(ctx, before); err == nil && reflect.DeepEqual(had.Splits, splits.Splits) {
			continue // they say how it is read
		}
		return api.Errorf(api.KindConflict, "%ssource %q (uid %q) has begun with other input, and would go on in that: %s", where, now.Name, now.UID, otherOptions(before.Connector.Config, now.Connector.Config)).
			WithHint("leave the options as they were; or give the source another uid to have it read the new input from its beginning, and go on without what it has not read of the old one: --allow-dropped-state")
	}
	return nil
}

// splitsAnew are the splits of a source if it began now.
func (jm *JobManager) splitsAnew(ctx context.Context, op *graph.Operator) (connector.Splits, error) {
	source, err := jm.config.Connectors.Source(op.Connector, op.Output)
	if err != nil {
		return connector.Splits{}, err
	}
	return source.Enumerate(ctx, op.Parallelism)
}

// otherOptions says which options are different, for people.
func otherOptions(was, is map[string]string) string {
	both := maps.Clone(was)
	maps.Copy(both, is)
	var all []string
	for _, name := range slices.Sorted(maps.Keys(both)) {
		if was[name] != is[name] {
			all = append(all, fmt.Sprintf("%s %s instead of %s", name, cmp.Or(is[name], "none"), cmp.Or(was[name], "none")))
		}
	}
	return strings.Join(all, ", ")
}
