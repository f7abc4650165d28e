package wasmill

import (
	"slices"
	"strconv"
	"strings"
)

// Job names the job of this module and the function that defines its graph. It is called from init, once; define runs
// later, when the host asks for the graph, with the parameters of one submission.
func Job(name string, define func(*Env)) {
	if guest.define != nil {
		panic("wasmill.Job: called twice; a module holds one job")
	}
	guest.name, guest.define = name, define
}

// Env is what a definition has at hand: the job's parameters, and the graph that it grows.
type Env struct {
	name      string
	given     map[string]string
	params    []param
	functions []*function
	operators []*operator
	problems  []problem
	sides     []func() // look at the side outputs when the definition is complete
}

// problem is what is wrong with a definition, and how many operators that had before it.
type problem struct {
	at   int
	text string
}

type param struct {
	name     string
	required bool
	value    string // the default
	doc      string
}

func newEnv(name string, given map[string]string) *Env { return &Env{name: name, given: given} }

// Param reads a parameter that must be given. At upload, before there are parameters, it reads as empty. The doc, if
// any, is what `wasmill inspect` says about it.
func (e *Env) Param(name string, doc ...string) string {
	e.declare(param{name: name, required: true, doc: strings.Join(doc, " ")})
	return e.given[name]
}

// ParamOr reads a parameter that has a default.
func (e *Env) ParamOr(name, value string, doc ...string) string {
	e.declare(param{name: name, value: value, doc: strings.Join(doc, " ")})
	if v, ok := e.given[name]; ok {
		return v
	}
	return value
}

// ParamInt reads a whole number that must be given.
func (e *Env) ParamInt(name string, doc ...string) int64 {
	return e.number(name, e.Param(name, doc...))
}

// ParamIntOr reads a whole number that has a default.
func (e *Env) ParamIntOr(name string, value int64, doc ...string) int64 {
	return e.number(name, e.ParamOr(name, strconv.FormatInt(value, 10), doc...))
}

func (e *Env) number(name, text string) int64 {
	if _, given := e.given[name]; !given && text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		e.Fail("parameter " + strconv.Quote(name) + ": " + strconv.Quote(text) + " (expected a whole number)")
	}
	return n
}

// Fail refuses the definition: the job does not start, and the submission says text. The definition goes on, so that
// several problems are reported at once.
func (e *Env) Fail(text string) { e.failAt(len(e.operators), text) }

func (e *Env) failAt(operators int, text string) {
	e.problems = append(e.problems, problem{operators, text})
}

// wrong is what is wrong with the definition and its manifest, in the order of the graph; empty: nothing is.
func (e *Env) wrong(manifest []problem) string {
	all := append(e.problems, manifest...)
	slices.SortStableFunc(all, func(a, b problem) int { return a.at - b.at })
	var texts []string
	for _, p := range all {
		texts = append(texts, p.text)
	}
	return strings.Join(texts, "; ")
}

func (e *Env) declare(p param) {
	for _, known := range e.params {
		if known.name == p.name {
			return
		}
	}
	e.params = append(e.params, p)
}

// finish names what has no name yet and checks what only the whole graph can tell.
func (e *Env) finish() {
	for _, check := range e.sides {
		check()
	}
	taken := make(map[string]bool)
	for i, o := range e.operators {
		if o.named && taken[o.name] {
			e.failAt(i, "operator "+strconv.Quote(o.name)+": defined twice; give one of them another name with Name")
		}
		taken[o.name] = taken[o.name] || o.named
	}
	for _, o := range e.operators {
		if !o.named {
			o.name = unused(o.name, taken)
			taken[o.name] = true
		}
	}
	for i, o := range e.operators {
		if o.stateful() && o.uid == "" {
			e.failAt(i, "operator "+strconv.Quote(o.name)+" keeps state and has no uid; give it one with UID, "+
				"so that its state is found again when the job changes")
		}
		if o.kind == kindKey && o.parallelism == 0 {
			o.parallelism = o.inputs[0].from.parallelism // a key function runs where its records come from
		}
	}
	functions := make(map[string]bool)
	for _, f := range e.functions {
		if functions[f.name] {
			e.failAt(e.user(f), "function "+strconv.Quote(f.name)+": defined twice")
		}
		functions[f.name] = true
	}
}

// user is the number of the operator that runs f. One that windows ask has none: it is behind all.
func (e *Env) user(f *function) int {
	if i := slices.IndexFunc(e.operators, func(o *operator) bool { return o.function == f }); i >= 0 {
		return i
	}
	return len(e.operators)
}

// unused returns name, or name-2, name-3 ... whichever is free.
func unused(name string, taken map[string]bool) string {
	free := name
	for n := 2; taken[free]; n++ {
		free = name + "-" + strconv.Itoa(n)
	}
	return free
}
