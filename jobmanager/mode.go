package jobmanager

import (
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
)

// setMode makes a new job one of the mode that its submission asks for, or the JobManager's options if it asks for none.
func (jm *JobManager) setMode(g *graph.JobGraph, s *api.Submit) error {
	mode := s.Mode
	if mode == "" {
		mode = jm.config.Mode
	}
	streams := func() error {
		if why := g.NotStreaming(); why != "" {
			return api.Errorf(api.KindInvalid, "mode: streaming, but %s", why).WithHint("run it with --mode batch, or say the bounds of the ranges")
		}
		return nil
	}
	switch mode {
	case "", api.ModeStreaming:
		return streams()
	case api.ModeBatch, api.ModeAutomatic:
	default:
		return api.Errorf(api.KindInvalid, "mode: %q (expected streaming, batch or automatic)", mode)
	}
	for _, i := range g.Sources() {
		op := &g.Operators[i]
		made, err := jm.connectorOf(op)
		if err != nil {
			return connectorError(err)
		}
		if made.(connector.Source).Bounded() {
			continue
		}
		if mode == api.ModeAutomatic {
			return streams()
		}
		return api.Errorf(api.KindInvalid, "mode: batch, but source %q (%s) does not end", op.Name, op.Connector.Type).
			WithHint("run it in streaming mode, or have the source end")
	}
	if why := g.NotBatch(); why != "" {
		if mode == api.ModeAutomatic {
			return streams()
		}
		return api.Errorf(api.KindInvalid, "mode: batch, but %s", why).WithHint("run it in streaming mode")
	}
	if s.From != "" {
		if mode == api.ModeAutomatic {
			return streams()
		}
		return api.Errorf(api.KindInvalid, "mode: batch, but from: %s (a job in batch mode has no state to go on with)", s.From).
			WithHint("run it in streaming mode, or from the beginning")
	}
	g.MakeBatch()
	return nil
}

// checkEnding refuses operators that take all that their inputs have before they put anything out, where a source before them does
// not end.
func (jm *JobManager) checkEnding(g *graph.JobGraph) error {
	for i := range g.Operators {
		o := &g.Operators[i]
		why, instead := o.AtEnd()
		if why == "" {
			continue
		}
		for _, s := range g.SourcesBefore(i) {
			op := &g.Operators[s]
			made, err := jm.connectorOf(op)
			if err != nil {
				return connectorError(err)
			}
			if !made.(connector.Source).Bounded() {
				return api.Errorf(api.KindInvalid, "%s %q puts out nothing before its input ends (%s), and source %q (%s) does not end", o.Kind, o.Name, why, op.Name, op.Connector.Type).
					WithHint("have the source end, or %s", instead)
			}
		}
	}
	return nil
}

// takesCheckpoints says whether the job does. In batch mode what is lost is done again from the outputs of the stage before.
func (j *jobMaster) takesCheckpoints() bool { return j.jm.takesCheckpoints() && !j.record.Graph.Batch }

// refuseBatch answers why what is about checkpoints cannot be asked of a job in batch mode.
func refuseBatch(r *jobRecord) error {
	if !r.Graph.Batch {
		return nil
	}
	return api.Errorf(api.KindConflict, "job %s runs in batch mode, which takes no checkpoints", r.ID).
		WithHint("let it end, or cancel it and run it again")
}
