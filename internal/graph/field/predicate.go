package field

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wasmill/wasmill/abi"
)

// Truth is what comes of a predicate.
type Truth uint8

const (
	No Truth = iota
	Yes
	Unreadable // the bytes are no value of the codec
)

// Predicate decides about values.
type Predicate func(v []byte) Truth

// operators of comparison, by what the order of field and constant must be.
var comparisons = map[string]func(order int) bool{
	"=":  func(order int) bool { return order == 0 },
	"!=": func(order int) bool { return order != 0 },
	"<":  func(order int) bool { return order < 0 },
	"<=": func(order int) bool { return order <= 0 },
	">":  func(order int) bool { return order > 0 },
	">=": func(order int) bool { return order >= 0 },
}

// NewPredicate makes ready to decide about values of codec c. An *Error says where in p a fault is.
func NewPredicate(c abi.Codec, p *abi.Predicate) (Predicate, error) { return newPredicate(c, p, 1) }

// maxDepth bounds how deep predicates nest.
const maxDepth = 16

func newPredicate(c abi.Codec, p *abi.Predicate, depth int) (Predicate, error) {
	switch p.Op {
	case "and", "or":
		return newJunction(c, p, depth)
	case "null", "notNull", "in", "=", "!=", "<", "<=", ">", ">=":
	default:
		return nil, faultf("op", "%q (expected =, !=, <, <=, >, >=, in, null, notNull, and, or)", p.Op)
	}
	f, err := Find(c, p.Field)
	switch n := len(p.Values); {
	case err != nil:
		return nil, faultf("field", "%s", err)
	case len(p.Of) > 0:
		return nil, faultf("of", "%d of %s (expected none)", len(p.Of), p.Op)
	case p.Op == "null" || p.Op == "notNull":
		if n > 0 {
			return nil, faultf("values", "%d of %s (expected none)", n, p.Op)
		}
		return nullity(f, p.Op == "null"), nil
	case p.Op == "in" && n == 0:
		return nil, faultf("values", "none of in (expected at least one)")
	case p.Op != "in" && n != 1:
		return nil, faultf("values", "%d of %s (expected one)", n, p.Op)
	case f.Type == abi.TypeBool && p.Op != "=" && p.Op != "!=":
		return nil, faultf("op", "%q of the field %q, a bool (expected = or !=)", p.Op, f.Name)
	}
	return newComparison(f, p)
}

func newJunction(c abi.Codec, p *abi.Predicate, depth int) (Predicate, error) {
	switch {
	case len(p.Of) == 0:
		return nil, faultf("of", "none of %s (expected at least one)", p.Op)
	case p.Field != "" || len(p.Values) > 0:
		return nil, faultf("field", "%q of %s (expected none)", p.Field, p.Op)
	case depth == maxDepth:
		return nil, faultf("of", "nests deeper than %d", maxDepth)
	}
	var parts []Predicate
	for i := range p.Of {
		part, err := newPredicate(c, &p.Of[i], depth+1)
		if err != nil {
			return nil, under(fmt.Sprintf("of[%d]", i), err)
		}
		parts = append(parts, part)
	}
	decided := No // by the first of them that comes to this
	if p.Op == "or" {
		decided = Yes
	}
	return func(v []byte) Truth {
		for _, part := range parts {
			if t := part(v); t == decided || t == Unreadable {
				return t
			}
		}
		return Yes - decided
	}, nil
}

// under is a fault of what lies at path.
func under(path string, err error) error {
	if f, ok := err.(*Error); ok && f.Path != "" {
		if strings.HasPrefix(f.Path, "[") {
			return &Error{Path: path + f.Path, Problem: f.Problem}
		}
		return &Error{Path: path + "." + f.Path, Problem: f.Problem}
	} else if ok {
		return &Error{Path: path, Problem: f.Problem}
	}
	return &Error{Path: path, Problem: err.Error()}
}

// Under is Error with its path behind another one.
func Under(path string, err error) *Error { return under(path, err).(*Error) }

func nullity(f *Field, null bool) Predicate {
	read := f.presence()
	return func(v []byte) Truth {
		switch s := read(v); {
		case s == Broken:
			return Unreadable
		case (s == Null) == null:
			return Yes
		}
		return No
	}
}

// presence reads whether the field is there.
func (f *Field) presence() func(v []byte) State {
	if f.Type.Variable() {
		return func(v []byte) State { _, s := f.Bytes(v); return s }
	}
	return func(v []byte) State { _, s := f.Word(v); return s }
}

// newComparison is =, !=, <, <=, >, >= and in.
func newComparison(f *Field, p *abi.Predicate) (Predicate, error) {
	switch f.Type {
	case abi.TypeI64, abi.TypeMs:
		return compareWords(f, p, func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) },
			func(word uint64) int64 { return int64(word) })
	case abi.TypeF64:
		return compareWords(f, p, func(text string) (float64, error) { return strconv.ParseFloat(text, 64) }, math.Float64frombits)
	case abi.TypeBool:
		return compareWords(f, p, func(text string) (uint64, error) {
			is, err := strconv.ParseBool(text)
			if is {
				return 1, err
			}
			return 0, err
		}, func(word uint64) uint64 { return word })
	case abi.TypeUTF8, abi.TypeBytes:
		return compareBytes(f, p)
	}
	return nil, faultf("field", "%q is %s (expected bool, i64, f64, ms, utf8 or bytes)", f.Name, f.Type)
}

// compareWords compares what lies in a slot. NaN is not equal to anything, not smaller and not larger.
func compareWords[T cmp.Ordered](f *Field, p *abi.Predicate, parse func(string) (T, error), of func(uint64) T) (Predicate, error) {
	var constants []T
	for i, text := range p.Values {
		c, err := parse(text)
		if err != nil || c != c {
			return nil, faultf(fmt.Sprintf("values[%d]", i), "%q is no %s", text, f.Type)
		}
		constants = append(constants, c)
	}
	holds := func(x T) bool {
		for _, c := range constants {
			if x == c {
				return true
			}
		}
		return false
	}
	if c := constants[0]; p.Op != "in" {
		holds = map[string]func(x T) bool{
			"=": func(x T) bool { return x == c }, "!=": func(x T) bool { return x != c },
			"<": func(x T) bool { return x < c }, "<=": func(x T) bool { return x <= c },
			">": func(x T) bool { return x > c }, ">=": func(x T) bool { return x >= c },
		}[p.Op]
	}
	return func(v []byte) Truth {
		word, s := f.Word(v)
		switch {
		case s == Broken:
			return Unreadable
		case s == There && holds(of(word)):
			return Yes
		}
		return No
	}, nil
}

func compareBytes(f *Field, p *abi.Predicate) (Predicate, error) {
	var constants [][]byte
	for i, text := range p.Values {
		if f.Type == abi.TypeUTF8 && !utf8.ValidString(text) {
			return nil, faultf(fmt.Sprintf("values[%d]", i), "%q is no UTF-8", text)
		}
		constants = append(constants, []byte(text))
	}
	compare := comparisons[p.Op]
	if p.Op == "in" {
		compare = comparisons["="]
	}
	return func(v []byte) Truth {
		b, s := f.Bytes(v)
		if s == Broken {
			return Unreadable
		}
		for _, c := range constants {
			if s == There && compare(bytes.Compare(b, c)) {
				return Yes
			}
		}
		return No
	}, nil
}
