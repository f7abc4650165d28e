package field

import (
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// Aggregate is one whose field and filter were found.
type Aggregate struct {
	Kind   string
	Over   *Field    // nil: all of the record, or none of it
	N      int       // of top and bottom
	Then   []*Field  // decide among records that are equal
	Filter Predicate // nil: every record counts
	Result abi.Field // its field in the results
}

// ranks says whether the aggregate has a result for each of several records.
func (a *Aggregate) Ranks() bool { return a.Kind == abi.AggregateTop || a.Kind == abi.AggregateBottom }

// KeepsRecords says whether the aggregate is of one or several records whole.
func (a *Aggregate) KeepsRecords() bool { return among(recordKinds, a.Kind) }

// MaxTop is the largest N of top and bottom: the records of a key lie in one accumulator.
const MaxTop = 1000

// NewAggregates finds the fields of aggregates over values of codec c. An *Error says which one has a fault, and where in it.
func NewAggregates(c abi.Codec, list []abi.Aggregate) ([]Aggregate, error) {
	if len(list) == 0 {
		return nil, faultf("", "none (expected at least one)")
	}
	made := make([]Aggregate, len(list))
	for i := range list {
		a, err := newAggregate(c, &list[i])
		if err != nil {
			return nil, under(fmt.Sprintf("[%d]", i), err)
		}
		if a.Ranks() && len(list) > 1 {
			return nil, faultf(fmt.Sprintf("[%d].kind", i), "%s beside %d others (expected it alone: it has several results)", a.Kind, len(list)-1)
		}
		made[i] = *a
	}
	return made, nil
}

// wants is what kinds of aggregates ask of their field.
var wants = map[string]struct {
	field, whole bool // must have, may do without
	types        []abi.FieldType
}{
	abi.AggregateCount:    {whole: true},
	abi.AggregateSum:      {field: true, types: []abi.FieldType{abi.TypeI64, abi.TypeF64}},
	abi.AggregateAvg:      {field: true, types: []abi.FieldType{abi.TypeI64, abi.TypeF64}},
	abi.AggregateMin:      {field: true, types: ordered},
	abi.AggregateMax:      {field: true, types: ordered},
	abi.AggregateDistinct: {field: true, types: []abi.FieldType{abi.TypeBool, abi.TypeI64, abi.TypeF64, abi.TypeMs, abi.TypeUTF8, abi.TypeBytes, abi.TypeDecimal}},
	abi.AggregateMinBy:    {field: true, types: ordered},
	abi.AggregateMaxBy:    {field: true, types: ordered},
	abi.AggregateFirst:    {whole: true, types: ordered},
	abi.AggregateLast:     {whole: true, types: ordered},
	abi.AggregateTop:      {field: true, types: ordered},
	abi.AggregateBottom:   {field: true, types: ordered},
}

var (
	ordered  = []abi.FieldType{abi.TypeI64, abi.TypeF64, abi.TypeMs}
	deciding = []abi.FieldType{abi.TypeI64, abi.TypeF64, abi.TypeMs, abi.TypeUTF8, abi.TypeBytes}
)

func newAggregate(c abi.Codec, a *abi.Aggregate) (*Aggregate, error) {
	want, known := wants[a.Kind]
	made := &Aggregate{Kind: a.Kind, N: 1}
	if !known {
		return nil, faultf("kind", "%q (expected count, sum, min, max, avg, countDistinct, minBy, maxBy, first, last, top or bottom)", a.Kind)
	}
	if a.Name == "" || len(a.Name) > abi.MaxFieldName {
		return nil, faultf("name", "%q (expected 1 to %d bytes)", a.Name, abi.MaxFieldName)
	}
	switch ranks := made.Ranks(); {
	case !ranks && a.N != 0:
		return nil, faultf("n", "%d of %s (expected none)", a.N, a.Kind)
	case ranks && (a.N < 1 || a.N > MaxTop):
		return nil, faultf("n", "%d (expected 1 <= n <= %d)", a.N, MaxTop)
	case ranks:
		made.N = a.N
	}
	if a.Field != "" || want.field {
		f, err := Find(c, a.Field)
		if err != nil {
			return nil, faultf("field", "%s", err)
		}
		if !among(want.types, f.Type) {
			return nil, faultf("field", "%q is %s, and %s takes %s", f.Name, f.Type, a.Kind, names(want.types))
		}
		made.Over = f
	}
	then, err := decisive(c, a)
	if err != nil {
		return nil, err
	}
	made.Then = then
	if a.Filter != nil {
		p, err := NewPredicate(c, a.Filter)
		if err != nil {
			return nil, under("filter", err)
		}
		made.Filter = p
	}
	return made, made.settle(c, a.Name)
}

// decisive finds the fields that decide among records that are equal.
func decisive(c abi.Codec, a *abi.Aggregate) (then []*Field, err error) {
	for i, name := range a.Then {
		path := fmt.Sprintf("then[%d]", i)
		f, err := Find(c, name)
		switch {
		case err != nil:
			return nil, faultf(path, "%s", err)
		case !among(recordKinds, a.Kind):
			return nil, faultf(path, "%q of %s (expected none)", name, a.Kind)
		case a.Field == "":
			return nil, faultf(path, "%q without a field before it (expected one: the order of records is all that counts)", name)
		case !f.Decides():
			return nil, faultf(path, "%q is %s (expected %s)", name, f.Type, names(deciding))
		}
		then = append(then, f)
	}
	return then, nil
}

// recordKinds are those that keep records.
var recordKinds = []string{abi.AggregateMinBy, abi.AggregateMaxBy, abi.AggregateFirst, abi.AggregateLast, abi.AggregateTop, abi.AggregateBottom}

// among says whether a type is one of those; without any, every type is.
func among[T comparable](types []T, t T) bool {
	for _, one := range types {
		if one == t {
			return true
		}
	}
	return len(types) == 0
}

func names(types []abi.FieldType) string {
	var all []string
	for _, t := range types {
		all = append(all, t.String())
	}
	return strings.Join(all, ", ")
}

// settle says what the results of the aggregate are.
func (a *Aggregate) settle(c abi.Codec, name string) error {
	switch a.Kind {
	case abi.AggregateCount, abi.AggregateDistinct:
		a.Result = abi.Field{Name: name, Type: abi.TypeI64}
		return nil
	case abi.AggregateSum, abi.AggregateAvg, abi.AggregateMin, abi.AggregateMax:
		a.Result = abi.Field{Name: name, Type: a.Over.Type, Nullable: a.MayLack()}
		return nil
	}
	a.Result = abi.Field{Name: name, Type: abi.TypeBytes}
	if t, ok := scalars[c]; ok {
		a.Result.Type = t
	} else if c == abi.CodecJSON {
		a.Result.Type = abi.TypeJSON
	} else if s, err := abi.ParseSchema(c); err == nil {
		a.Result.Type, a.Result.Row = abi.TypeRow, s
	}
	a.Result.Nullable = a.MayLack() && !a.Ranks()
	return nil
}

// MayLack says whether a key may have no value that counts.
func (a *Aggregate) MayLack() bool { return a.Filter != nil || a.Over != nil && a.Over.Nullable }

// Rank is the field of the results of top and bottom that says which of several records one is, from 1.
const Rank = "rank"

// Results is the schema of what comes of aggregates: start and end of the window, the key or the fields of a key that is a row,
// and a field an aggregate; of top and bottom the rank before it. keyName is the name of a key that is one value. whole has a
// key that is a row be one field, too.
func Results(windowed bool, key abi.Codec, keyName string, whole bool, list []Aggregate) *abi.Schema {
	s := &abi.Schema{}
	if windowed {
		s.Fields = append(s.Fields, abi.Field{Name: "start", Type: abi.TypeMs}, abi.Field{Name: "end", Type: abi.TypeMs})
	}
	if of, err := abi.ParseSchema(key); err == nil && whole {
		s.Fields = append(s.Fields, abi.Field{Name: keyName, Type: abi.TypeRow, Row: of})
	} else if err == nil {
		s.Fields = append(s.Fields, of.Fields...)
	} else if t, ok := scalars[key]; ok {
		s.Fields = append(s.Fields, abi.Field{Name: keyName, Type: t})
	} else {
		s.Fields = append(s.Fields, abi.Field{Name: keyName, Type: abi.TypeBytes})
	}
	for i := range list {
		if list[i].Ranks() {
			s.Fields = append(s.Fields, abi.Field{Name: Rank, Type: abi.TypeI64})
		}
		s.Fields = append(s.Fields, list[i].Result)
	}
	return s
}

// Tally is the schema of what comes of a count or a sum: as Results, of a key that is one field and a number of codec value.
func Tally(windowed bool, key, value abi.Codec) *abi.Schema {
	number := Aggregate{Result: abi.Field{Name: "value", Type: scalars[value]}}
	return Results(windowed, key, "key", true, []Aggregate{number})
}

// CheckResults says what is wrong with a codec for results of that schema: it has other fields, or two of one name. Names are
// free.
func CheckResults(output abi.Codec, results *abi.Schema) error {
	s, err := abi.ParseSchema(output)
	if err != nil {
		return fmt.Errorf("%w (expected %s, under names of your own)", err, results.Codec())
	}
	same := len(s.Fields) == len(results.Fields)
	renamed := &abi.Schema{Fields: append([]abi.Field(nil), results.Fields...)}
	for i := 0; same && i < len(s.Fields); i++ {
		renamed.Fields[i].Name = s.Fields[i].Name
	}
	if !same || renamed.Codec() != s.Codec() {
		return fmt.Errorf("%s (expected %s, under names of your own)", output, results.Codec())
	}
	return nil
}
