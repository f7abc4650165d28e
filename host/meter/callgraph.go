package meter

import "github.com/wasmill/wasmill/host/module"

// uncountedBytes bounds the frames of calls that are not counted in depth.
const uncountedBytes = 64 << 10

// taken notes that function index can be called through a table.
func (w *rewriter) taken(index uint32) {
	i := int(index) - w.imported
	if i < 0 || w.isTaken[i] {
		return
	}
	w.isTaken[i] = true
	t := w.canonical[w.m.Functions[i].Type]
	w.byType[t] = append(w.byType[t], uint32(i))
}

// takenByModule notes the functions that element segments and globals name.
func (w *rewriter) takenByModule() {
	var c module.Cursor
	var in module.Instr
	expression := func(s module.Span) {
		for c.Reset(w.m, s.Start, s.End, "expression"); c.Next(&in); {
			if in.Op == module.OpRefFunc {
				w.taken(in.Index)
			}
		}
	}
	for i := range w.m.Elements {
		e := &w.m.Elements[i]
		for _, f := range e.Funcs {
			w.taken(f)
		}
		for _, s := range e.Exprs {
			expression(s)
		}
	}
	for _, g := range w.m.Globals {
		expression(g.Init)
	}
}

// judgeCalls decides from the call graph which functions count their calls in depth, and which are charged by their
// callers. The graph's nodes are the functions, then the types: a call through a table may arrive at any function of
// its type that is named as a value somewhere.
func (w *rewriter) judgeCalls() {
	g := &graph{w: w, functions: len(w.facts)}
	g.components(len(w.facts) + len(w.m.Types))
}

// graph finds the strongly connected components of the call graph by Tarjan's algorithm, without recursion: a module
// may have chains of calls as long as it has functions.
type graph struct {
	w         *rewriter
	functions int

	index []int32 // per node, from 1 on in the order of discovery
	low   []int32
	bytes []int64 // per node of a finished component: of the component and the longest way below it
	done  []bool  // its component is finished
	stack []int32
	path  []visit
	next  int32
}

// visit is one node whose edges are being followed.
type visit struct {
	node int32
	edge int
}

// edge returns the k-th edge out of a node.
func (g *graph) edge(node int32, k int) (int32, bool) {
	if int(node) >= g.functions {
		if to := g.w.byType[int(node)-g.functions]; k < len(to) {
			return int32(to[k]), true
		}
		return 0, false
	}
	f := &g.w.facts[node]
	if k < len(f.calls) {
		return int32(f.calls[k].callee), true
	}
	if k -= len(f.calls); k < len(f.through) {
		return int32(g.functions) + int32(f.through[k]), true
	}
	return 0, false
}

func (g *graph) components(nodes int) {
	g.index, g.low = make([]int32, nodes), make([]int32, nodes)
	g.bytes, g.done = make([]int64, nodes), make([]bool, nodes)
	for n := range nodes {
		if g.index[n] == 0 {
			g.enter(int32(n))
			for len(g.path) > 0 {
				g.step()
			}
		}
	}
}

func (g *graph) enter(n int32) {
	g.next++
	g.index[n], g.low[n] = g.next, g.next
	g.stack = append(g.stack, n)
	g.path = append(g.path, visit{node: n})
}

// step follows one edge of the newest visit, or ends it.
func (g *graph) step() {
	v := &g.path[len(g.path)-1]
	to, ok := g.edge(v.node, v.edge)
	if ok {
		v.edge++
		switch {
		case g.index[to] == 0:
			g.enter(to)
		case !g.done[to]:
			g.low[v.node] = min(g.low[v.node], g.index[to])
		}
		return
	}
	n := v.node
	g.path = g.path[:len(g.path)-1]
	if len(g.path) > 0 {
		caller := g.path[len(g.path)-1].node
		g.low[caller] = min(g.low[caller], g.low[n])
	}
	if g.low[n] == g.index[n] {
		g.finish(n)
	}
}

// finish takes the component whose first node is root off the stack and judges it.
func (g *graph) finish(root int32) {
	at := len(g.stack) - 1
	for g.stack[at] != root {
		at--
	}
	members := g.stack[at:]
	g.stack = g.stack[:at]
	own, below, cycle := int64(0), int64(0), len(members) > 1
	for _, n := range members {
		if int(n) < g.functions {
			own += int64(g.w.facts[n].frame)
		}
		for k := 0; ; k++ {
			to, ok := g.edge(n, k)
			if !ok {
				break
			}
			if g.done[to] {
				below = max(below, g.bytes[to])
			}
			cycle = cycle || to == n
		}
	}
	for _, n := range members {
		g.done[n] = true
		g.bytes[n] = own + below
		if int(n) < g.functions {
			g.judge(&g.w.facts[n], cycle, own+below)
		}
	}
}

// judge is for one function. Deep are those that can call themselves in some way, and those below which frames add up
// to more than uncountedBytes without that. Light are those that do little, whatever happens; callees were judged
// before, and those that are not light charge themselves.
func (g *graph) judge(f *facts, cycle bool, bytes int64) {
	f.deep = cycle || bytes > uncountedBytes
	weight := f.own
	for _, c := range f.calls {
		if weight > lightWeight {
			return
		}
		weight += int64(c.places) * g.w.facts[c.callee].light
	}
	if !f.deep && !f.heavy && weight <= lightWeight {
		f.light = max(1, weight)
	}
}
