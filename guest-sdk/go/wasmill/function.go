package wasmill

import "unsafe"

// function is an entry of the module's function table: what the manifest says of it, and how it is composed.
type function struct {
	id                              uint32
	name, kind                      string
	input, key, accumulator, output string // codecs

	step  func(b *binding) (any, error)         // a func(T) that runs it for one record
	loop  func(c *chain, step any) func()       // runs a step for each record of the chain's input
	keyed func(b *binding) (groupRunner, error) // of a keyed function, instead of step and loop

	failures   bool        // of a request function: it is told of requests without an answer
	processing *processing // of a process function
	schema     *stateSpec  // of a reduce or aggregate whose accumulators have a version above 0
	merges     bool        // a reduce or aggregate that can merge accumulators
}

func mapFunction[T, R any](name string, f func(T) R, in codec[T], out codec[R]) *function {
	return &function{name: name, kind: kindMap, input: in.name, output: out.name, loop: loopOf(in),
		step: func(b *binding) (any, error) {
			next, err := next(b, out)
			return func(v T) { next(f(v)) }, err
		}}
}

func filterFunction[T any](name string, f func(T) bool, in codec[T]) *function {
	return &function{name: name, kind: kindFilter, input: in.name, output: in.name, loop: loopOf(in),
		step: func(b *binding) (any, error) {
			next, err := next(b, in)
			return func(v T) {
				if f(v) {
					next(v)
				}
			}, err
		}}
}

func flatMapFunction[T, R any](name string, f func(T, func(R)), in codec[T], out codec[R]) *function {
	return &function{name: name, kind: kindFlatMap, input: in.name, output: out.name, loop: loopOf(in),
		step: func(b *binding) (any, error) {
			next, err := next(b, out)
			return func(v T) { f(v, next) }, err
		}}
}

// watermarkFunction is a timestampFunction that also says how far event time has come.
func watermarkFunction[T any](name string, f func(T) (int64, int64), in codec[T]) *function {
	return &function{name: name, kind: kindTimestamp, input: in.name, output: in.name, loop: loopOf(in),
		step: func(b *binding) (any, error) {
			next, err := next(b, in)
			cell := b.scope.time
			return func(v T) {
				var watermark int64
				cell.now, watermark = f(v)
				cell.seen = max(cell.seen, watermark)
				next(v)
			}, err
		}}
}

func timestampFunction[T any](name string, f func(T) int64, in codec[T]) *function {
	return &function{name: name, kind: kindTimestamp, input: in.name, output: in.name, loop: loopOf(in),
		step: func(b *binding) (any, error) {
			next, err := next(b, in)
			cell := b.scope.time
			return func(v T) {
				cell.now = f(v)
				cell.seen = max(cell.seen, cell.now)
				next(v)
			}, err
		}}
}

func keyFunction[T, K any](name string, f func(T) K, in codec[T], key codec[K]) *function {
	return &function{name: name, kind: kindKey, input: in.name, key: key.name, output: in.name, loop: loopOf(in),
		step: func(b *binding) (any, error) {
			next, err := next(b, in)
			cell := b.scope.key
			if text, ok := any(f).(func(T) string); ok {
				if o := b.keysOnly(); o != nil {
					return keysTo(o, text), err
				}
				return func(v T) {
					k := text(v)
					cell.bytes = unsafe.Slice(unsafe.StringData(k), len(k))
					next(v)
				}, err
			}
			return func(v T) {
				cell.bytes = key.appendKey(cell.bytes[:0], f(v))
				next(v)
			}, err
		}}
}

// keysOnly returns the output, when there is nothing else behind a key function and the host wants only its keys: the way
// to every native count, and worth a shorter one.
func (b *binding) keysOnly() *output {
	if len(b.children) != 0 || len(b.outputs) != 1 || b.scope.time != nil {
		return nil
	}
	if o := b.outputs[0]; o.columns&columnKeys != 0 && o.columns&columnValues == 0 {
		return o
	}
	return nil
}

func keyValueFunction[T, K, V any](name string, f func(T) (K, V), in codec[T], key codec[K], value codec[V]) *function {
	return &function{name: name, kind: kindKey, input: in.name, key: key.name, output: value.name, loop: loopOf(in),
		step: func(b *binding) (any, error) {
			next, err := next(b, value)
			cell := b.scope.key
			if f, ok := any(f).(func(T) (string, V)); ok {
				return func(v T) {
					k, made := f(v)
					cell.bytes = unsafe.Slice(unsafe.StringData(k), len(k))
					next(made)
				}, err
			}
			return func(v T) {
				k, made := f(v)
				cell.bytes = key.appendKey(cell.bytes[:0], k)
				next(made)
			}, err
		}}
}

// loopOf returns the loop that reads values by the codec in.
func loopOf[T any](in codec[T]) func(c *chain, step any) func() {
	return func(c *chain, step any) func() {
		keys := c.wantsInputKey()
		if f, ok := step.(func(string)); ok && !keys && in.name == utf8.name {
			return func() { c.eachString(f) }
		}
		f := step.(func(T))
		return func() {
			values := &c.in
			for i := range values.n {
				c.record = uint32(i)
				if keys && values.keyOffs != nil {
					c.inputKey.bytes = values.keys[values.keyOffs[i]:values.keyOffs[i+1]]
				}
				f(in.decode(values.value(i)))
			}
		}
	}
}

// eachString is the loop over texts, which are read where they lie.
func (c *chain) eachString(f func(string)) {
	for i := range c.in.n {
		p := c.in.value(i)
		c.record = uint32(i)
		f(unsafe.String(unsafe.SliceData(p), len(p)))
	}
}

// value returns the bytes of value i, nothing when the batch has no values.
func (b *batch) value(i int) []byte {
	if b.valueOffs == nil {
		return nil
	}
	return b.values[b.valueOffs[i]:b.valueOffs[i+1]]
}
