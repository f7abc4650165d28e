package wasmill

import "strconv"

// Direction is one in which records are sorted.
type Direction string

const (
	Ascending  Direction = "asc"
	Descending Direction = "desc"
)

// SortField is a field to sort by, and its direction.
type SortField struct {
	field Field
	order Direction
}

// Ascending sorts by the field, the smallest first: numbers by size, NaN behind all, text and bytes by their bytes, null first.
func (f Field) Ascending() SortField { return SortField{f, Ascending} }

// Descending sorts by the field, the largest first.
func (f Field) Descending() SortField { return SortField{f, Descending} }

// SortPartition puts out the records of each subtask in the order of what of answers: a number, text, bytes, or a row, which goes by
// its fields. The input must end. What does not fit in memory is sorted on disk. In streaming mode the host keeps the records until
// the input has ended: the operator needs a UID. With one subtask, all records are sorted.
func SortPartition[T, K any](in *Stream[T], name string, of func(T) K, order Direction) *Stream[T] {
	return sorted(in, KeyBy(in, name+" by", of).op, name, []Direction{order})
}

// SortPartitionByFields is SortPartition by fields of the record, the first one before the second; no record enters the guest for it.
func SortPartitionByFields[T any](in *Stream[T], name string, by ...SortField) *Stream[T] {
	key, orders := keyToSort(in, "sort", name, by)
	return sorted(in, key, name, orders)
}

// keyToSort adds a key operator over the fields that an operator goes by.
func keyToSort[T any](in *Stream[T], what, name string, by []SortField) (key *operator, orders []Direction) {
	key = &operator{kind: kindKey, inputs: in.edges(), output: in.codec.name}
	for _, f := range by {
		key.fields, orders = append(key.fields, f.field), append(orders, f.order)
	}
	if len(by) == 0 {
		in.env.Fail(what + " " + strconv.Quote(name) + ": by no field (expected one at least)")
	}
	key.rename(name + " by")
	return in.env.add(key), orders
}

// sorted adds the operator that sorts by the keys that another one gives.
func sorted[T any](in *Stream[T], key *operator, name string, by []Direction) *Stream[T] {
	o := in.env.add(&operator{kind: kindSortPartition, inputs: []edge{{from: key, partition: "forward"}}, output: in.codec.name, order: by, before: key})
	o.rename(name)
	return &Stream[T]{env: in.env, op: o, codec: in.codec}
}
