package field

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// Total says whether an aggregate that keeps records keeps the same ones in whatever order they come: those between which its fields do not
// decide are equal altogether. Its values are of codec c; alike are fields that the records of a key have in common.
func (a *Aggregate) Total(c abi.Codec, alike []*Field) bool {
	if a.Over == nil || a.Over.Type == abi.TypeF64 { // the order of arrival, or NaNs of different bits
		return false
	}
	schema, err := abi.ParseSchema(c)
	if err != nil {
		return true // the value itself decides
	}
	for i := range schema.Fields {
		is := func(f *Field) bool { return len(f.steps) == 1 && f.Name == schema.Fields[i].Name }
		tells := func(f *Field) bool { return is(f) && f.tells() }
		if !is(a.Over) && !slices.ContainsFunc(a.Then, tells) && !slices.ContainsFunc(alike, func(f *Field) bool { return is(f) && f.isAlike() }) {
			return false
		}
	}
	return true
}

// tells says whether values are the same in the field where it does not decide between them. Leading has NaNs for equal, and null for as
// large as the largest number.
func (f *Field) tells() bool {
	return f.Type != abi.TypeF64 && !(f.Ordered() && f.Nullable)
}

// isAlike says whether values are the same in the field where their keys are, which have one NaN and one zero.
func (f *Field) isAlike() bool { return f.Type != abi.TypeF64 && f.Type != abi.TypeJSON }
