package wasmill

import (
	"slices"
	"strings"
)

// Numbers of the ABI, as abi/README.md lists them.
const (
	abiVersion   = 1
	featureBatch = 1
	featureKeyed = 2
	featureRow   = 8
)

const sdkVersion = "go 0.1.0"

// manifest writes what describe answers, its keys in the order of the specification.
func (e *Env) manifest() []byte {
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
				w.object("", func() { f.write(&w) })
			}
		})
		w.array("operators", func() {
			for _, o := range e.operators {
				w.object("", func() { o.write(&w) })
			}
		})
	})
	return w.out
}

// features lists what the graph needs of its host, in rising order.
func (e *Env) features() []int64 {
	list := []int64{featureBatch}
	if slices.ContainsFunc(e.functions, func(f *function) bool { return f.keyed != nil }) {
		list = append(list, featureKeyed)
	}
	rows := slices.ContainsFunc(e.operators, func(o *operator) bool {
		return strings.HasPrefix(o.output, "row(") || strings.HasPrefix(o.key, "row(")
	})
	if rows {
		list = append(list, featureRow)
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
	w.array("inputs", func() { w.element(f.input) })
	w.textOr("key", f.key)
	w.textOr("accumulator", f.accumulator)
	w.text("output", f.output)
	w.flagOr("result", f.kind == kindReduce)
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
				w.object("", func() { w.text("from", in.name) })
			}
		})
	}
	if o.connector != nil {
		w.object("connector", func() { o.connector.write(w) })
	}
	if o.window != nil {
		w.object("window", func() {
			w.text("kind", "tumbling")
			w.number("sizeMs", o.window.size.Milliseconds())
		})
	}
	if o.watermarks != nil {
		w.object("watermarks", func() { w.numberOr("outOfOrderMs", o.watermarks.outOfOrderMs) })
	}
	w.numberOr("parallelism", int64(o.parallelism))
	w.textOr("key", o.key)
	w.textOr("output", o.output)
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
