package graph

import (
	"cmp"
	"strconv"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// ofWindow says whether functions of a kind serve windows, beside the function of an operator.
func ofWindow(kind abi.FunctionKind) bool {
	return kind == abi.FunctionTrigger || kind == abi.FunctionEvict || kind == abi.FunctionGap
}

// windowFunctions are those that a window names.
func (b *builder) windowFunctions(w *abi.Window) (all []*abi.Function) {
	if w == nil {
		return nil
	}
	for _, name := range windowNames(w) {
		if f := b.functions[name.function]; f != nil && name.function != "" {
			all = append(all, f)
		}
	}
	return all
}

// named is a function that a window names, and the place where it does.
type named struct {
	path, function string
	kind           abi.FunctionKind
}

func windowNames(w *abi.Window) []named {
	all := []named{{".gap", w.Gap, abi.FunctionGap}}
	if w.Trigger != nil {
		all = append(all, named{".trigger.function", w.Trigger.Function, abi.FunctionTrigger})
	}
	if w.Evictor != nil {
		all = append(all, named{".evictor.function", w.Evictor.Function, abi.FunctionEvict})
	}
	return all
}

func (b *builder) checkWindow(path string, o *abi.Operator, kind kindRules) error {
	w := o.Window
	switch {
	case w == nil && o.Kind == abi.OperatorWindow:
		return faultf(path, "none (expected one: a window function has results of windows)")
	case w == nil:
		return nil
	case !kind.window:
		return faultf(path, "given (a %s has none)", o.Kind)
	}
	if err := checkWindowKind(path, w, o); err != nil {
		return err
	}
	for _, name := range windowNames(w) {
		f := b.functions[name.function]
		switch {
		case name.function == "":
		case f == nil:
			return faultf(path+name.path, "%q is not in the module's function table", name.function)
		case f.Kind != name.kind:
			return faultf(path+name.path, "%q is of kind %s (expected %s)", name.function, f.Kind, name.kind)
		}
	}
	if o.Kind == abi.OperatorJoin && (w.Trigger != nil || w.Evictor != nil || w.Gap != "") {
		return faultf(path, "with a trigger, evictor or gap function, of a join (expected none of these)")
	}
	if err := checkTrigger(path, w); err != nil {
		return err
	}
	if err := b.checkEvictor(path+".evictor", o); err != nil {
		return err
	}
	return b.checkWindowStates(path, o)
}

// checkWindowKind checks what the shape of windows is said to be.
func checkWindowKind(path string, w *abi.Window, o *abi.Operator) error {
	switch {
	case w.Kind == "count":
		return checkCountWindow(path, w)
	case w.Kind == abi.WindowAll:
		return checkWindowOfAll(path, w, o)
	case w.Count != 0 || w.CountSlide != 0:
		return faultf(path+".count", "%d of a %s window (expected none: only windows of records have one)", w.Count, w.Kind)
	case w.Kind != "tumbling" && w.Kind != "sliding" && w.Kind != "session" && w.Kind != "global":
		return faultf(path+".kind", "%q (expected tumbling, sliding, session, count or global)", w.Kind)
	case w.Kind != "session" && w.Gap != "":
		return faultf(path+".gap", "%q of a %s window (expected none: only sessions have one)", w.Gap, w.Kind)
	case w.Kind != "session" && w.GapMs != 0:
		return faultf(path+".gap", "%s of a %s window (expected none: only sessions have one)", ms(w.GapMs), w.Kind)
	case w.Kind == "global":
		return checkGlobalWindow(path, w)
	case w.Kind == "session" && w.Gap != "" && w.GapMs != 0:
		return faultf(path+".gap", "%s beside the function %q (expected one of the two)", ms(w.GapMs), w.Gap)
	case w.Kind == "session" && w.Gap == "" && w.GapMs <= 0:
		return faultf(path+".gap", "%s (expected > 0s)", ms(w.GapMs))
	case w.Kind == "session" && (w.SizeMs != 0 || w.SlideMs != 0 || w.OffsetMs != 0):
		return faultf(path, "sessions of a size, slide or offset (expected a gap and nothing of these)")
	case w.Kind == "session":
		return checkWindowTime(path, w)
	case w.SizeMs <= 0:
		return faultf(path+".size", "%s (expected > 0s)", ms(w.SizeMs))
	case (w.Kind == "sliding") != (w.SlideMs != 0):
		return faultf(path+".slide", "%s of a %s window (expected one > 0s of a sliding window, and none of another)", ms(w.SlideMs), w.Kind)
	case w.SlideMs < 0 || w.SlideMs > w.SizeMs:
		return faultf(path+".slide", "%s (expected 0s < slide <= %s, its size)", ms(w.SlideMs), ms(w.SizeMs))
	case w.OffsetMs <= -w.SizeMs || w.OffsetMs >= w.SizeMs:
		return faultf(path+".offset", "%s (expected -%s < offset < %s, its size)", ms(w.OffsetMs), ms(w.SizeMs), ms(w.SizeMs))
	}
	return checkWindowTime(path, w)
}

// windowOf is what a manifest says of a window, an offset before the multiples as the one behind them that cuts alike.
func windowOf(said *abi.Window) *abi.Window {
	if said == nil || said.OffsetMs >= 0 {
		return said
	}
	w := *said
	step := cmp.Or(w.SlideMs, w.SizeMs)
	w.OffsetMs = (w.OffsetMs%step + step) % step
	return &w
}

func checkWindowOfAll(path string, w *abi.Window, o *abi.Operator) error {
	switch {
	case w.LatenessMs != 0:
		return faultf(path+".lateness", "%s of a join of all that there is (expected none: no window ends that a record could be late for)", ms(w.LatenessMs))
	case *w != (abi.Window{Kind: abi.WindowAll}):
		return faultf(path, "%s with a size, count or time (expected nothing of these: all meets)", w)
	case o.Kind != abi.OperatorJoin:
		return faultf(path+".kind", "%q of a %s (expected of a join only)", w.Kind, o.Kind)
	}
	return nil
}

func checkGlobalWindow(path string, w *abi.Window) error {
	switch {
	case w.LatenessMs != 0:
		return faultf(path+".lateness", "%s of a global window (expected none: it has no end that a record could be late for)", ms(w.LatenessMs))
	case w.SizeMs != 0 || w.SlideMs != 0 || w.OffsetMs != 0 || w.Time != "":
		return faultf(path, "a global window with a time (expected nothing of time: it has no end)")
	case w.Trigger == nil || w.Trigger.Kind == abi.TriggerNever:
		return faultf(path+".trigger", "none of a global window, which has no end (expected one, or it would never have a result)")
	}
	return nil
}

// maxCountSlices bounds what a key keeps for windows of records.
const maxCountSlices = 1024

func checkCountWindow(path string, w *abi.Window) error {
	switch {
	case w.Count < 1:
		return faultf(path+".count", "%d (expected >= 1)", w.Count)
	case w.CountSlide < 0 || w.CountSlide > w.Count:
		return faultf(path+".countSlide", "%d (expected 1 <= slide <= %d, its count)", w.CountSlide, w.Count)
	case w.CountSlide > 0 && w.Count/gcd(w.Count, w.CountSlide) > maxCountSlices:
		return faultf(path+".countSlide", "%d of %d records makes slices of %d (expected at most %d of them in a window)", w.CountSlide, w.Count, gcd(w.Count, w.CountSlide), maxCountSlices)
	case w.LatenessMs != 0:
		return faultf(path+".lateness", "%s of windows of records (expected none: nothing is late for them)", ms(w.LatenessMs))
	case w.SizeMs != 0 || w.SlideMs != 0 || w.OffsetMs != 0 || w.GapMs != 0 || w.Gap != "" || w.Time != "":
		return faultf(path, "windows of records with a time (expected a count and nothing of time)")
	case w.Trigger != nil || w.Evictor != nil:
		return faultf(path, "windows of records with a trigger or evictor (expected none: their count is one. A global window takes both)")
	}
	return nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func checkWindowTime(path string, w *abi.Window) error {
	switch {
	case w.Time != "" && w.Time != "event" && w.Time != "processing":
		return faultf(path+".time", "%q (expected event or processing)", w.Time)
	case w.LatenessMs < 0:
		return faultf(path+".lateness", "%s (expected >= 0s)", ms(w.LatenessMs))
	case w.LatenessMs > 0 && w.Time == "processing":
		return faultf(path+".lateness", "%s of windows of processing time (expected none: nothing is late there)", ms(w.LatenessMs))
	}
	return nil
}

// checkTrigger checks what a trigger has, and whether it goes with the window.
func checkTrigger(path string, w *abi.Window) error {
	t := w.Trigger
	if t == nil {
		return nil
	}
	path += ".trigger"
	continuous := t.Kind == abi.TriggerContinuousEventTime || t.Kind == abi.TriggerContinuousProcessingTime
	switch t.Kind {
	case abi.TriggerEventTime, abi.TriggerProcessingTime, abi.TriggerCount, abi.TriggerContinuousEventTime, abi.TriggerContinuousProcessingTime,
		abi.TriggerDelta, abi.TriggerGuest:
	case abi.TriggerNever:
		return faultf(path+".kind", "never of a %s window (expected one that fires, or the window would never have a result)", w.Kind)
	default:
		return faultf(path+".kind", "%q (expected eventTime, processingTime, count, continuousEventTime, continuousProcessingTime, delta or guest)", t.Kind)
	}
	switch {
	case t.Kind == abi.TriggerCount && t.Count < 1:
		return faultf(path+".count", "%d (expected >= 1)", t.Count)
	case t.Kind != abi.TriggerCount && t.Count != 0:
		return faultf(path+".count", "%d of a trigger %s (expected none)", t.Count, t.Kind)
	case continuous && t.EveryMs <= 0:
		return faultf(path+".every", "%s (expected > 0s)", ms(t.EveryMs))
	case !continuous && t.EveryMs != 0:
		return faultf(path+".every", "%s of a trigger %s (expected none)", ms(t.EveryMs), t.Kind)
	case t.Kind != abi.TriggerDelta && (t.Threshold != "" || t.Field != ""):
		return faultf(path+".threshold", "%q of a trigger %s (expected none)", t.Threshold, t.Kind)
	case (t.Function != "") != (t.Kind == abi.TriggerGuest):
		return faultf(path+".function", "%q of a trigger %s (expected that of a trigger guest, and none of another)", t.Function, t.Kind)
	case t.Kind == abi.TriggerDelta && w.Kind == "session":
		return faultf(path+".kind", "delta of a session (expected another: sessions that become one have no last result in common)")
	case w.Time == "processing" && (t.Kind == abi.TriggerEventTime || t.Kind == abi.TriggerContinuousEventTime):
		return faultf(path+".kind", "%s of windows of processing time (expected one of processing time: event time says nothing about them)", t.Kind)
	case t.Kind == abi.TriggerDelta:
		return checkThreshold(path+".threshold", t.Threshold)
	}
	return nil
}

func checkThreshold(path, text string) error {
	if n, err := strconv.ParseFloat(text, 64); err != nil || !(n >= 0) {
		return faultf(path, "%q (expected a number >= 0)", text)
	}
	return nil
}

func (b *builder) checkEvictor(path string, o *abi.Operator) error {
	e := o.Window.Evictor
	if e == nil {
		return nil
	}
	f := b.functions[o.Function]
	switch {
	case o.Kind != abi.OperatorWindow:
		return faultf(path, "of a %s, which keeps no records (expected a window function over all records)", o.Kind)
	case f != nil && f.Accumulator != "":
		return faultf(path, "of the window function %q, which has an accumulator and keeps no records (expected one over all records)", f.Name)
	}
	switch e.Kind {
	case abi.EvictCount, abi.EvictTime, abi.EvictDelta, abi.EvictGuest:
	default:
		return faultf(path+".kind", "%q (expected count, time, delta or guest)", e.Kind)
	}
	switch {
	case e.Kind == abi.EvictCount && e.Count < 1:
		return faultf(path+".count", "%d (expected >= 1)", e.Count)
	case e.Kind != abi.EvictCount && e.Count != 0:
		return faultf(path+".count", "%d of an evictor %s (expected none)", e.Count, e.Kind)
	case e.Kind == abi.EvictTime && e.KeepMs <= 0:
		return faultf(path+".keep", "%s (expected > 0s)", ms(e.KeepMs))
	case e.Kind != abi.EvictTime && e.KeepMs != 0:
		return faultf(path+".keep", "%s of an evictor %s (expected none)", ms(e.KeepMs), e.Kind)
	case e.Kind != abi.EvictDelta && (e.Threshold != "" || e.Field != ""):
		return faultf(path+".threshold", "%q of an evictor %s (expected none)", e.Threshold, e.Kind)
	case (e.Function != "") != (e.Kind == abi.EvictGuest):
		return faultf(path+".function", "%q of an evictor %s (expected that of an evictor guest, and none of another)", e.Function, e.Kind)
	case e.Kind == abi.EvictDelta:
		return checkThreshold(path+".threshold", e.Threshold)
	}
	return nil
}

// checkWindowStates sees that windows that become one keep nothing that nobody could make one of.
func (b *builder) checkWindowStates(path string, o *abi.Operator) error {
	f := b.functions[o.Function]
	if o.Kind != abi.OperatorWindow || o.Window.Kind != "session" || f == nil {
		return nil
	}
	for _, s := range f.States {
		if s.Scope == abi.ScopeWindow {
			return faultf(path+".kind", "session, and function %q keeps the state %q of a window (expected state of the key: sessions become one)", f.Name, s.Name)
		}
	}
	return nil
}

// checkWindowState checks a state of scope window: it lies beside what the window keeps.
func checkWindowState(path string, s *abi.State) error {
	switch {
	case s.Kind != "value":
		return faultf(path+".kind", "%s of scope window (expected value)", s.Kind)
	case s.TTL != 0:
		return faultf(path+".ttlMs", "%d of scope window (expected none: it ends with the window)", s.TTL)
	case s.Version != 0:
		return faultf(path+".version", "%d of scope window (expected none)", s.Version)
	}
	return nil
}

// resolveWindow holds what a window says of fields against the values, and what its functions take.
func resolveWindow(path string, g *JobGraph, op *Operator) error {
	if op.Window == nil || len(op.Inputs) == 0 {
		return nil
	}
	value := g.Codec(op.Inputs[0].From, op.Inputs[0].Side)
	if t := op.Window.Trigger; t != nil && t.Kind == abi.TriggerDelta {
		if err := checkMeasured(path+".window.trigger.field", value, t.Field); err != nil {
			return err
		}
	}
	if e := op.Window.Evictor; e != nil && e.Kind == abi.EvictDelta {
		if err := checkMeasured(path+".window.evictor.field", value, e.Field); err != nil {
			return err
		}
	}
	for _, f := range op.WindowFunctions {
		if len(f.Inputs) > 0 && f.Inputs[0] != "" && value != "" && f.Inputs[0] != value {
			return faultf(path+".window", "%q sends %s, and function %q takes %s", g.Operators[op.Inputs[0].From].Name, value, f.Name, f.Inputs[0])
		}
	}
	return nil
}

// checkMeasured checks that a field is one that distances can be told of.
func checkMeasured(path string, value abi.Codec, name string) error {
	f, err := field.Find(value, name)
	if err != nil {
		return faultf(path, "%v", err)
	}
	if !f.Ordered() {
		return faultf(path, "%q is of type %s (expected i64, f64 or ms)", f.Name, f.Type)
	}
	return nil
}
