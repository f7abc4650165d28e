package parquetrow

import "reflect"

// named is the name of a field of a group.
type named string

func (n named) Name() string { return string(n) }

// Value is asked for by Go structs only, and no row is made of one.
func (named) Value(reflect.Value) reflect.Value {
	panic("parquetrow: rows are written by column, and not from Go values")
}
