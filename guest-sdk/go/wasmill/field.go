package wasmill

import (
	"strconv"
	"time"
)

// Field names a field of a value that is a row, "a.b" being b in the row a; empty, it is the value itself, if that is a number,
// text or bytes. What is said of fields is done by the host: the record never enters the guest.
type Field string

// Predicate is a condition on fields. A comparison with null does not hold.
type Predicate struct {
	op, field string
	values    []string
	of        []Predicate
	fault     string
}

// Eq holds where the field is equal to v: a number, text, bool, bytes or time.
func (f Field) Eq(v any) Predicate { return f.compare("=", v) }

// Ne holds where the field is another value than v.
func (f Field) Ne(v any) Predicate { return f.compare("!=", v) }

// Lt holds where the field is less than v.
func (f Field) Lt(v any) Predicate { return f.compare("<", v) }

// Le holds where the field is at most v.
func (f Field) Le(v any) Predicate { return f.compare("<=", v) }

// Gt holds where the field is more than v.
func (f Field) Gt(v any) Predicate { return f.compare(">", v) }

// Ge holds where the field is at least v.
func (f Field) Ge(v any) Predicate { return f.compare(">=", v) }

// In holds where the field is one of those.
func (f Field) In(v ...any) Predicate { return f.compare("in", v...) }

// IsNull holds where the field, or the row that it is in, is null.
func (f Field) IsNull() Predicate { return f.compare("null") }

// NotNull holds where the field is there.
func (f Field) NotNull() Predicate { return f.compare("notNull") }

// And holds where all of them do.
func And(all ...Predicate) Predicate { return Predicate{op: "and", of: all} }

// Or holds where one of them does.
func Or(any ...Predicate) Predicate { return Predicate{op: "or", of: any} }

func (f Field) compare(op string, constants ...any) Predicate {
	p := Predicate{op: op, field: string(f)}
	for _, c := range constants {
		text, ok := constant(c)
		if !ok {
			p.fault = "predicate on " + strconv.Quote(string(f)) + ": a constant that is no number, text, bool, bytes or time"
		}
		p.values = append(p.values, text)
	}
	return p
}

// constant is a value as the manifest has it.
func constant(v any) (string, bool) {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case string:
		return v, true
	case []byte:
		return string(v), true
	case bool:
		return strconv.FormatBool(v), true
	case time.Time:
		return strconv.FormatInt(v.UnixMilli(), 10), true
	}
	return "", false
}

func (p *Predicate) faults() string {
	for i := range p.of {
		if fault := p.of[i].faults(); fault != "" {
			return fault
		}
	}
	return p.fault
}

func (p *Predicate) write(w *jsonWriter) {
	w.text("op", p.op)
	w.textOr("field", p.field)
	if len(p.values) > 0 {
		w.array("values", func() {
			for _, v := range p.values {
				w.element(v)
			}
		})
	}
	if len(p.of) > 0 {
		w.array("of", func() {
			for i := range p.of {
				w.object("", func() { p.of[i].write(w) })
			}
		})
	}
}

// Where keeps the records for which a condition on their fields holds. The host decides: no record enters the guest for it.
func (s *Stream[T]) Where(name string, p Predicate) *Stream[T] {
	if fault := p.faults(); fault != "" {
		s.env.Fail(name + ": " + fault)
	}
	o := &operator{kind: kindFilter, inputs: s.edges(), output: s.codec.name, predicate: &p}
	o.rename(name)
	return &Stream[T]{env: s.env, op: s.env.add(o), codec: s.codec}
}

// KeyByFields gives each record a key: a field of it that cannot be null, of which K is the type; or several, or one that may be
// null, and K has the codec of a row of them. No record enters the guest for it.
func KeyByFields[K, T any](in *Stream[T], name string, fields ...Field) *KeyedStream[K, T] {
	key := codecOf[K](in.env, name)
	o := &operator{kind: kindKey, inputs: in.edges(), key: key.name, output: in.codec.name, fields: fields}
	o.rename(name)
	return &KeyedStream[K, T]{env: in.env, op: in.env.add(o), key: key, value: in.codec}
}
