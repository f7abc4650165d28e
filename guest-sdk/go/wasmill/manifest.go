package wasmill

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Numbers of the ABI, as abi/README.md lists them.
const (
	abiVersion    = 1
	featureBatch  = 1
	featureKeyed  = 2
	featureState  = 3
	featureTimer  = 4
	featureTwo    = 5
	featureAsked  = 6
	featureAsk    = 7
	featureRow    = 8
	featurePart   = 9
	featureAccum  = 10
	featureField  = 11
	featureWindow = 12
	featureMeet   = 14
	featureOwn    = 16
	featureTies   = 18
	featureEvent  = 19
	featureApply  = 20
)

const sdkVersion = "go 0.1.0"

// manifest writes what describe answers, its keys in the order of the specification.
func (e *Env) manifest() (manifest []byte, problems []problem) {
	var w jsonWriter
	w.object("", func() {
		w.number("abi", abiVersion)
		w.text("name", e.name)
		w.text("sdk", sdkVersion)
		w.array("features", func() {
			for _, f := range e.features() {
				w.elementNumber(f)
			}
		})
		w.array("params", func() {
			for _, p := range e.params {
				w.object("", func() { p.write(&w) })
			}
		})
		w.array("functions", func() {
			for _, f := range e.functions {
				w.at, w.of = e.user(f), "function "+strconv.Quote(f.name)
				w.object("", func() { f.write(&w) })
			}
		})
		w.array("operators", func() {
			for i, o := range e.operators {
				w.at, w.of = i, "operator "+strconv.Quote(o.name)
				w.object("", func() { o.write(&w) })
			}
		})
	})
	return w.out, w.problems
}

// features lists what the graph needs of its host, in rising order.
func (e *Env) features() []int64 {
	list := []int64{featureBatch}
	if slices.ContainsFunc(e.functions, func(f *function) bool { return f.keyed != nil }) {
		list = append(list, featureKeyed)
	}
	any := func(is func(p *processing) bool) bool {
		return slices.ContainsFunc(e.functions, func(f *function) bool { return f.processing != nil && is(f.processing) })
	}
	if any(func(p *processing) bool { return len(p.states)+len(p.scoped) > 0 }) {
		list = append(list, featureState)
	}
	if any(func(p *processing) bool { return p.timers }) {
		list = append(list, featureTimer)
	}
	if any(func(p *processing) bool { return len(p.inputs) > 1 }) || slices.ContainsFunc(e.operators, func(o *operator) bool { return o.kind == kindJoin }) {
		list = append(list, featureTwo)
	}
	if slices.ContainsFunc(e.functions, func(f *function) bool { return f.kind == kindTrigger || f.kind == kindEvict || f.kind == kindGap }) {
		list = append(list, featureAsked)
	}
	if slices.ContainsFunc(e.functions, func(f *function) bool { return f.kind == kindRequest }) {
		list = append(list, featureAsk)
	}
	rows := slices.ContainsFunc(e.operators, func(o *operator) bool {
		return strings.HasPrefix(o.output, "row(") || strings.HasPrefix(o.key, "row(")
	})
	letters := slices.ContainsFunc(e.functions, func(f *function) bool { return f.input == letters.name })
	if rows || letters {
		list = append(list, featureRow)
	}
	if slices.ContainsFunc(e.functions, func(f *function) bool { return f.kind == kindPartition }) {
		list = append(list, featurePart)
	}
	if slices.ContainsFunc(e.functions, func(f *function) bool { return f.schema != nil }) {
		list = append(list, featureAccum)
	}
	if slices.ContainsFunc(e.operators, func(o *operator) bool { return o.fields != nil || o.predicate != nil || o.aggregates != nil }) {
		list = append(list, featureField)
	}
	if slices.ContainsFunc(e.operators, func(o *operator) bool { return o.kind == kindWindow || o.window != nil && o.window.special() }) {
		list = append(list, featureWindow)
	}
	if slices.ContainsFunc(e.operators, func(o *operator) bool { return o.kind == kindJoin && o.window != nil }) ||
		any(func(p *processing) bool { return p.broadcasts() }) {
		list = append(list, featureMeet)
	}
	if any(func(p *processing) bool {
		return p.key == "" || p.begins || slices.ContainsFunc(p.states, func(s State) bool { return s.spec().scope == scopeOperator })
	}) {
		list = append(list, featureOwn)
	}
	if slices.ContainsFunc(e.operators, func(o *operator) bool {
		return slices.ContainsFunc(o.aggregates, func(a Agg) bool { return len(a.then) > 0 })
	}) {
		list = append(list, featureTies)
	}
	if any(func(p *processing) bool {
		return slices.ContainsFunc(p.states, func(s State) bool { return s.spec().event })
	}) {
		list = append(list, featureEvent)
	}
	if any(func(p *processing) bool { return p.applies }) {
		list = append(list, featureApply)
	}
	return list
}

func (p *param) write(w *jsonWriter) {
	w.text("name", p.name)
	w.flagOr("required", p.required)
	w.textOr("default", p.value)
	w.textOr("doc", p.doc)
}

func (f *function) write(w *jsonWriter) {
	w.number("id", int64(f.id))
	w.text("name", f.name)
	w.text("kind", f.kind)
	w.array("inputs", func() {
		if f.processing == nil {
			w.element(f.input)
			return
		}
		for _, in := range f.processing.inputs {
			w.element(in)
		}
	})
	w.textOr("key", f.key)
	w.textOr("accumulator", f.accumulator)
	w.text("output", f.output)
	if p := f.processing; p != nil && len(p.sides) > 0 {
		w.array("sides", func() {
			for _, s := range p.sides {
				w.element(s.codecName())
			}
		})
	}
	w.flagOr("result", f.kind == kindReduce)
	w.flagOr("combine", f.merges)
	w.flagOr("begins", f.processing != nil && f.processing.begins)
	w.flagOr("applies", f.processing != nil && f.processing.applies)
	w.flagOr("pulls", f.kind == kindWindow && f.accumulator == "")
	w.flagOr("failures", f.failures)
	if states := f.states(); len(states) > 0 {
		w.array("states", func() {
			for i, s := range states {
				w.object("", func() { s.write(w, f.scopeOf(i)) })
			}
		})
	}
}

// states are those that the function declares, by their numbers.
func (f *function) states() (all []*stateSpec) {
	if f.processing != nil {
		for _, s := range f.processing.states {
			all = append(all, s.spec())
		}
		for _, s := range f.processing.scoped {
			all = append(all, s.spec())
		}
	}
	if f.schema != nil {
		all = append(all, f.schema)
	}
	return all
}

// scopeOf is the scope of state i.
func (f *function) scopeOf(i int) string {
	if p := f.processing; p != nil && i >= len(p.states) && i < len(p.states)+len(p.scoped) {
		return "window"
	}
	return "keyed"
}

func (s *stateSpec) write(w *jsonWriter, scope string) {
	w.text("name", s.name)
	w.text("scope", cmp.Or(s.scope, scope))
	w.text("kind", s.kind)
	w.text("codec", s.codec)
	w.textOr("key", s.key)
	w.numberOr("ttlMs", w.millis("TTL of state "+strconv.Quote(s.name), s.ttl))
	if s.event {
		w.text("time", "event")
	}
	w.numberOr("version", int64(s.version))
	w.flagOr("migrates", s.migrate != nil)
	w.numberOr("oldest", int64(s.oldest))
}

// sideCount is how many side outputs the function has.
func (f *function) sideCount() int {
	if f.processing == nil {
		return 0
	}
	return len(f.processing.sides)
}

func (o *operator) write(w *jsonWriter) {
	w.text("name", o.name)
	w.textOr("uid", o.uid)
	w.text("kind", o.kind)
	if o.function != nil {
		w.text("function", o.function.name)
	}
	if len(o.inputs) > 0 {
		w.array("inputs", func() {
			for _, in := range o.inputs {
				w.object("", func() {
					w.text("from", in.from.name)
					w.numberOr("side", int64(in.side))
					w.textOr("partition", in.partition)
				})
			}
		})
	}
	if o.connector != nil {
		w.object("connector", func() { o.connector.write(w) })
	}
	if o.window != nil {
		w.object("window", func() { o.window.write(w) })
	}
	if o.interval != nil {
		w.object("interval", func() { o.interval.write(w) })
	}
	w.textOr("outer", o.outer)
	w.textOr("hint", string(o.hint))
	if o.requests != nil {
		w.object("requests", func() { o.requests.write(w) })
	}
	if o.watermarks != nil {
		w.object("watermarks", func() {
			w.numberOr("outOfOrderMs", w.millis("outOfOrder", o.watermarks.outOfOrder))
			w.flagOr("guest", o.watermarks.guest)
			w.textOr("group", o.watermarks.group)
			w.numberOr("driftMs", w.millis("Alignment", o.watermarks.drift))
			w.numberOr("idleMs", w.millis("Idleness", o.watermarks.idle))
		})
	}
	w.numberOr("parallelism", int64(o.parallelism))
	w.textOr("key", o.key)
	w.textOr("output", o.output)
	w.textOr("onTrap", o.onTrap)
	w.textOr("chaining", o.chaining)
	o.writeFields(w)
	if len(o.order) > 0 {
		w.array("order", func() {
			for _, by := range o.order {
				w.element(string(by))
			}
		})
	}
	w.textOr("slotGroup", o.slotGroup)
	w.textOr("preAggregate", o.preAggregate)
}

// writeFields writes what the operator does with fields.
func (o *operator) writeFields(w *jsonWriter) {
	if len(o.fields) > 0 {
		w.array("fields", func() {
			for _, f := range o.fields {
				w.element(string(f))
			}
		})
	}
	if o.predicate != nil {
		w.object("predicate", func() { o.predicate.write(w) })
	}
	if len(o.aggregates) > 0 {
		w.array("aggregates", func() {
			for i := range o.aggregates {
				w.object("", func() { o.aggregates[i].write(w) })
			}
		})
	}
}

func (c *connector) write(w *jsonWriter) {
	w.text("type", c.kind)
	if len(c.config) > 0 {
		w.object("config", func() {
			for _, s := range c.config {
				w.text(s.key, s.value)
			}
		})
	}
}
