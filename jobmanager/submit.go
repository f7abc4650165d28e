package jobmanager

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/config"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// maxParams bounds the parameters of a job, together with their names.
const maxParams = 1 << 20

// SubmitJob makes a job of a module and parameters, stores it and starts it. What is wrong with it is found before it is
// stored, down to the input that does not exist.
func (jm *JobManager) SubmitJob(ctx context.Context, s *api.Submit) (*api.Job, error) {
	if err := jm.refuseClosed(); err != nil {
		return nil, err
	}
	if s.Request != "" {
		if err := graph.CheckName("request", string(s.Request)); err != nil {
			return nil, asUser(api.KindInvalid, "", err)
		}
	}
	if j, err := jm.submitted(ctx, s); j != nil || err != nil {
		return j, err
	}
	g, err := jm.define(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := jm.checkConnectors(g); err != nil {
		return nil, err
	}
	if err := jm.checkRequests(g); err != nil {
		return nil, err
	}
	if err := jm.checkEnding(g); err != nil {
		return nil, err
	}
	if err := jm.setMode(g, s); err != nil {
		return nil, err
	}
	from, err := jm.beginAt(ctx, s, g)
	if err != nil {
		return nil, err
	}
	sources, err := enumerate(ctx, jm.config.Connectors, g)
	if err != nil {
		return nil, connectorError(err)
	}
	return jm.storeNewJob(ctx, s, g, sources, from)
}

// submitted is the job that this submission has become before, or nil. A request id stands for one submission: under
// that of another one it is refused. Only whether a rewind is allowed may be another one: that is then so from now on.
func (jm *JobManager) submitted(ctx context.Context, s *api.Submit) (*api.Job, error) {
	if s.Request == "" {
		return nil, nil
	}
	id, ok := jm.config.Meta.Get(requestKey + string(s.Request))
	if !ok {
		return nil, nil
	}
	j := jm.jobOf(graph.JobID(id))
	if j == nil {
		return nil, nil
	}
	j.mu.Lock()
	before := j.record.Submission
	rewind := j.record.Rewind
	j.mu.Unlock()
	if before != digest(s) {
		return nil, api.Errorf(api.KindConflict, "request: %q was the request of another submission, now job %s", s.Request, j.id).
			WithHint("send a new submission under an id of its own")
	}
	if rewind != s.AllowRewind {
		if err := j.mayRewind(ctx, s.AllowRewind); err != nil {
			return nil, err
		}
	}
	return j.job(), nil
}

// mayRewind has the next restore know what the user allows now. For a job that has ended there is none.
func (j *jobMaster) mayRewind(ctx context.Context, allow bool) error {
	if err := j.tell(ctx, evAllowRewind{allow}); errors.Is(err, errNotTaken) {
		return nil
	} else if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.record.Rewind != allow {
		return api.Errorf(api.KindUnavailable, "job %s: that output may be repeated could not be stored", j.id)
	}
	return nil
}

// digest is equal for equal submissions.
func digest(s *api.Submit) string {
	same := *s
	same.AllowRewind = false
	sum := sha256.Sum256(encode(&same))
	return hex.EncodeToString(sum[:])
}

// define asks the module for its graph under the given parameters.
func (jm *JobManager) define(ctx context.Context, s *api.Submit) (*graph.JobGraph, error) {
	return jm.defineWith(ctx, s, nil)
}

// defineWith is define with the parallelism of some operators, by name.
func (jm *JobManager) defineWith(ctx context.Context, s *api.Submit, operators map[string]int) (*graph.JobGraph, error) {
	module, err := jm.findModule(s.Module)
	if err != nil {
		return nil, err
	}
	if err := checkGiven(s); err != nil {
		return nil, err
	}
	described, err := jm.describe(ctx, module, s.Params)
	if err != nil {
		return nil, err
	}
	if err := checkParams(described.Manifest.Params, s.Params); err != nil {
		return nil, err
	}
	if err := setParallelism(described.Manifest, operators); err != nil {
		return nil, err
	}
	options := graph.Options{Name: s.Name, Params: s.Params, Parallelism: 1, PreAggregate: s.PreAggregate}
	if s.Parallelism != nil {
		options.Parallelism = *s.Parallelism
	}
	ref := graph.Module{ID: module.Module.ID, Metered: module.Metered, Manifest: described.ID}
	g, err := graph.FromManifest(described.Manifest, ref, options)
	if err != nil {
		return nil, asUser(api.KindInvalid, "", err)
	}
	if err := jm.locate(g, s.Directory); err != nil {
		return nil, err
	}
	return g, nil
}

// locate makes the paths of the graph's connectors absolute: each process that opens them has a working directory of its
// own.
func (jm *JobManager) locate(g *graph.JobGraph, dir string) error {
	if dir != "" && !filepath.IsAbs(dir) {
		return api.Errorf(api.KindInvalid, "directory: %q is relative (expected an absolute path)", dir)
	}
	for i := range g.Operators {
		op := &g.Operators[i]
		if op.Connector == nil {
			continue
		}
		made, err := jm.connectorOf(op)
		if err != nil {
			return connectorError(fmt.Errorf("%s %q: %w", op.Kind, op.Name, err))
		}
		located, ok := made.(connector.Located)
		if !ok {
			continue
		}
		config, err := located.At(dir)
		if err != nil {
			return connectorError(fmt.Errorf("%s %q: %w", op.Kind, op.Name, err))
		}
		op.Connector = &abi.Connector{Type: op.Connector.Type, Config: config}
	}
	return nil
}

// connectorOf makes the source or sink of an operator.
func (jm *JobManager) connectorOf(op *graph.Operator) (any, error) {
	if op.Kind == abi.OperatorSource {
		return jm.config.Connectors.Source(op.Connector, op.Output)
	}
	return jm.config.Connectors.Sink(op.Connector)
}

// checkGiven refuses names and sizes that no job can have, before the module is asked.
func checkGiven(s *api.Submit) error {
	if s.Name != "" { // none: the module's
		if err := graph.CheckName("name", s.Name); err != nil {
			return asUser(api.KindInvalid, "", err)
		}
	}
	given := 0
	for _, name := range slices.Sorted(maps.Keys(s.Params)) {
		if err := graph.CheckName("params", name); err != nil {
			return asUser(api.KindInvalid, "", err)
		}
		given += len(name) + len(s.Params[name])
	}
	if given > maxParams {
		return api.Errorf(api.KindInvalid, "params: %d bytes (expected <= %d)", given, maxParams)
	}
	return nil
}

// describe runs the module's definition. If it fails, a parameter that is missing may be why, or it is not read because of what another
// one is: both are said. One that was not declared at upload is no reason.
func (jm *JobManager) describe(ctx context.Context, module *moduleRecord, params map[string]string) (*Description, error) {
	r, err := jm.config.Blobs.Open(module.Metered)
	if err != nil {
		return nil, fmt.Errorf("open module %s: %w", short(module.Module.ID), err)
	}
	defer r.Close()
	metered, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", short(module.Module.ID), err)
	}
	described, err := jm.config.Describe(ctx, metered, params)
	if err == nil {
		return described, nil
	}
	if known := module.Module.Params; len(known) > 0 && ctx.Err() == nil {
		if missing := checkMissing(known, params); missing != nil {
			missing.Detail += ", and " + err.Error()
			return nil, missing
		}
	}
	return nil, asUser(api.KindInvalid, "", err)
}

// checkParams holds the parameters that were given against those that the definition has read.
func checkParams(declared []abi.Param, given map[string]string) error {
	var names []string
	for _, p := range declared {
		names = append(names, p.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if slices.Contains(names, name) {
			continue
		}
		err := api.Errorf(api.KindInvalid, "parameter %q is not declared (declared: %s)", name, listed(names))
		if near := config.Nearest(name, names); near != "" {
			err = err.WithHint("did you mean %q?", near)
		}
		return err
	}
	if missing := checkMissing(declared, given); missing != nil {
		return missing
	}
	return nil
}

func checkMissing(declared []abi.Param, given map[string]string) *api.Error {
	for _, p := range declared {
		if _, ok := given[p.Name]; !ok && p.Required {
			return api.Errorf(api.KindInvalid, "parameter %q is missing (given: %s)", p.Name, listed(slices.Sorted(maps.Keys(given)))).
				WithHint("--param %s=VALUE", p.Name)
		}
	}
	return nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// checkConnectors makes every sink once, so that wrong options and records that it cannot write are refused here.
func (jm *JobManager) checkConnectors(g *graph.JobGraph) error {
	var taken []place
	for _, i := range g.Sinks() {
		op := &g.Operators[i]
		sink, err := jm.config.Connectors.Sink(op.Connector)
		if err != nil {
			return connectorError(fmt.Errorf("sink %q: %w", op.Name, err))
		}
		in := op.Inputs[0]
		if _, err := sink.Columns(g.KeyCodec(in.From, in.Side), g.Codec(in.From, in.Side)); err != nil {
			return connectorError(fmt.Errorf("sink %q: %w", op.Name, err))
		}
		if alone, ok := sink.(connector.Exclusive); ok {
			mine := place{kind: op.Connector.Type, owner: op.Name}
			mine.dir, mine.below = alone.Exclusive()
			if k := slices.IndexFunc(taken, mine.meets); k >= 0 {
				return api.Errorf(api.KindInvalid, "sink %q: %s: sink %q writes there, too", op.Name, mine.dir, taken[k].owner).WithHint("give each sink a place of its own")
			}
			taken = append(taken, mine)
		}
	}
	return nil
}

// place is a directory that a sink must have for itself, perhaps with those below.
type place struct {
	kind, dir, owner string
	below            bool
}

func (p place) meets(q place) bool {
	return p.kind == q.kind && (p.dir == q.dir || p.below && isBelow(q.dir, p.dir) || q.below && isBelow(p.dir, q.dir))
}

func isBelow(dir, root string) bool {
	rest, ok := strings.CutPrefix(dir, strings.TrimSuffix(root, "/"))
	return ok && strings.HasPrefix(rest, "/")
}

func connectorError(err error) error {
	var fault *connector.Error
	if errors.As(err, &fault) && fault.Hint != "" {
		return api.Errorf(api.KindInvalid, "%s", err).WithHint("%s", fault.Hint)
	}
	return asUser(api.KindInvalid, "", err)
}

// storeNewJob stores a job under an id of its own, together with the request that it came by, and starts it.
func (jm *JobManager) storeNewJob(ctx context.Context, s *api.Submit, g *graph.JobGraph, sources map[int]connector.Splits, from *beginning) (*api.Job, error) {
	r := jobRecord{Version: recordVersion, ID: newJobID(), Request: s.Request, Submission: digest(s), Graph: *g, Created: jm.config.Now(), Directory: s.Directory, Rewind: s.AllowRewind}
	if from != nil {
		from.splits(g, sources)
		if err := from.begin(jm, &r); err != nil {
			return nil, err
		}
	}
	splits := splitsByUID(g, sources)
	ops := []ha.Op{ha.PutIfAbsent(jobKey+string(r.ID), encode(&r)), ha.Put(splitsKey+string(r.ID), encode(splits))}
	if s.Request != "" {
		ops = append(ops, ha.PutIfAbsent(requestKey+string(s.Request), []byte(r.ID)))
	}
	jm.submits.Lock()
	defer jm.submits.Unlock()
	if j, err := jm.submitted(ctx, s); j != nil || err != nil {
		return j, err
	}
	if err := jm.config.Meta.Apply(ops...); err != nil {
		return nil, storeError("store job", err)
	}
	failpoint.Hit(failpoint.Submit)
	return jm.startJob(r, splits).job(), nil
}

func newJobID() graph.JobID {
	var p [6]byte
	rand.Read(p[:])
	return graph.JobID(hex.EncodeToString(p[:]))
}
