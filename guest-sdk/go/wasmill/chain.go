package wasmill

import "strconv"

// none is the u32 that stands for "no index".
const none = ^uint32(0)

// chain is an open handle: functions composed into one, with what leaves it.
type chain struct {
	in        batch
	record    uint32 // of the input, that runs now: what a failure names
	inputKey  keyCell
	heads     []head
	outputs   []*output
	assigners []*timeCell
}

// head is a function that reads the handle's input number input: by batches, or by groups if it is keyed.
type head struct {
	input uint32
	run   func()
	keyed groupRunner
}

// keyCell holds the key bytes of the record that runs, as the nearest key function or the input has them. Each key
// function has a cell of its own, so that one branch of a chain does not see the keys of another.
type keyCell struct{ bytes []byte }

// timeCell is the same for timestamps, with the newest that a call has seen.
type timeCell struct {
	now  int64
	seen int64
}

// scope is where the records behind a function have their key and timestamp from.
type scope struct {
	key  *keyCell
	time *timeCell // nil: the input's
}

// binding is what a function of a chain is composed with.
type binding struct {
	chain    *chain
	scope    scope // of the records that it puts out
	children []child
	outputs  []*output            // of the main output
	sides    map[uint32][]*output // of side outputs, by tag
}

// child is a function that takes the records of another: step is a func(T) for a T that both must agree on.
type child struct {
	name string
	step any
}

// functionSpec is one function of a handle as the host gives it.
type functionSpec struct {
	id, upstream, input uint32
	outputs             []outputSpec
}

type outputSpec struct{ tag, number, columns uint32 }

// fault is why the host's bytes cannot be used: a status of the ABI and a sentence.
type fault struct {
	status  uint32
	problem string
}

func (f *fault) Error() string { return f.problem }

// compose makes a chain of the functions in specs, of which each comes behind the one it takes its records from.
func compose(table []*function, specs []functionSpec) (*chain, error) {
	c := &chain{}
	bindings := make([]binding, len(specs))
	for i, s := range specs {
		if int(s.id) >= len(table) {
			return nil, &fault{statusUnknownFunction, "function " + strconv.Itoa(int(s.id)) + " of " + strconv.Itoa(len(table))}
		}
		if err := c.bind(table, specs, bindings, i); err != nil {
			return nil, err
		}
	}
	for i := len(specs) - 1; i >= 0; i-- {
		if err := c.link(table, specs, bindings, i); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// bind settles, from the head down, where the records behind function i have their key and time from.
func (c *chain) bind(table []*function, specs []functionSpec, bindings []binding, i int) error {
	s, f, b := specs[i], table[specs[i].id], &bindings[i]
	b.chain, b.scope = c, scope{key: &c.inputKey}
	if s.upstream != none {
		if s.upstream >= uint32(i) || f.keyed != nil {
			return &fault{statusBadInput, "function " + strconv.Quote(f.name) + " cannot follow function " + strconv.Itoa(int(s.upstream)) + " of the handle"}
		}
		b.scope = bindings[s.upstream].scope
	}
	if f.kind == kindKey || f.keyed != nil {
		b.scope.key = &keyCell{}
	}
	if f.kind == kindTimestamp || f.keyed != nil {
		b.scope.time = &timeCell{}
	}
	if f.kind == kindTimestamp {
		c.assigners = append(c.assigners, b.scope.time)
	}
	for _, o := range s.outputs {
		if int(o.tag) > f.sideCount() {
			return &fault{statusBadInput, "function " + strconv.Quote(f.name) + " has no side output " + strconv.Itoa(int(o.tag))}
		}
		out := &output{chain: c, number: o.number, columns: o.columns, key: b.scope.key, time: b.scope.time}
		out.grow()
		c.outputs = append(c.outputs, out)
		if o.tag == 0 {
			b.outputs = append(b.outputs, out)
			continue
		}
		if b.sides == nil {
			b.sides = make(map[uint32][]*output)
		}
		b.sides[o.tag] = append(b.sides[o.tag], out)
	}
	return nil
}

// link composes function i, from the leaves up, and hands it to the function before it.
func (c *chain) link(table []*function, specs []functionSpec, bindings []binding, i int) error {
	s, f, b := specs[i], table[specs[i].id], &bindings[i]
	if f.keyed != nil {
		run, err := f.keyed(b)
		c.heads = append(c.heads, head{input: s.input, keyed: run})
		return err
	}
	step, err := f.step(b)
	if err != nil {
		return err
	}
	if s.upstream != none {
		up := &bindings[s.upstream]
		up.children = append(up.children, child{f.name, step})
		return nil
	}
	c.heads = append(c.heads, head{input: s.input, run: f.loop(c, step)})
	return nil
}

// wantsInputKey says whether an output has its keys from the input.
func (c *chain) wantsInputKey() bool {
	for _, o := range c.outputs {
		if o.key == &c.inputKey && o.columns&columnKeys != 0 {
			return true
		}
	}
	return false
}

// begin forgets what a call that failed has left.
func (c *chain) begin() {
	c.record = none
	c.in = batch{}
	for _, o := range c.outputs {
		o.reset()
	}
	for _, t := range c.assigners {
		t.seen = noTimestamp
	}
}

// end sends what is left and reports the newest timestamp that every assigner has reached.
func (c *chain) end() {
	c.record = none
	for _, o := range c.outputs {
		o.flush()
	}
	newest := int64(noTimestamp)
	for i, t := range c.assigners {
		if i == 0 || t.seen < newest {
			newest = t.seen
		}
	}
	if newest != noTimestamp {
		hostWatermark(newest)
	}
}

// process runs the heads that read the input number input over the batch p.
func (c *chain) process(input uint32, p []byte) error {
	if !c.in.parse(p) {
		return &fault{statusBadInput, "the batch cannot be read"}
	}
	for _, h := range c.heads {
		if h.input == input && h.run != nil {
			h.run()
		}
	}
	c.end()
	return nil
}

// next composes what takes the records of a function: the functions behind it and its outputs.
func next[R any](b *binding, values codec[R]) (func(R), error) {
	var takers []func(R)
	for i := len(b.children) - 1; i >= 0; i-- { // they were linked last first
		step, ok := b.children[i].step.(func(R))
		if !ok {
			return nil, &fault{statusBadInput, "function " + strconv.Quote(b.children[i].name) + " takes another type than the one before it makes"}
		}
		takers = append(takers, step)
	}
	for _, o := range b.outputs {
		takers = append(takers, leaf(o, values))
	}
	switch len(takers) {
	case 0:
		return func(R) {}, nil
	case 1:
		return takers[0], nil
	case 2:
		first, second := takers[0], takers[1]
		return func(v R) { first(v); second(v) }, nil
	}
	return func(v R) {
		for _, take := range takers {
			take(v)
		}
	}, nil
}

// leaf puts records into o. What the host wants is settled here, not record by record.
func leaf[R any](o *output, values codec[R]) func(R) {
	key := o.columns&columnKeys != 0
	time := o.columns&columnTimestamps != 0 && o.time != nil
	value := o.columns&columnValues != 0
	switch {
	case key && !value && !time:
		return func(R) {
			o.keys = append(o.keys, o.key.bytes...)
			o.end()
		}
	case value && !key && !time:
		if text, ok := any(o.addText).(func(R)); ok {
			return text
		}
		return func(v R) {
			o.values = values.append(o.values, v)
			o.end()
		}
	}
	return func(v R) {
		if key {
			o.keys = append(o.keys, o.key.bytes...)
		}
		if time {
			o.timestamps = append(o.timestamps, o.time.now)
		}
		if value {
			o.values = values.append(o.values, v)
		}
		o.end()
	}
}
