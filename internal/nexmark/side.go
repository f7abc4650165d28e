package nexmark

import "strconv"

// SideInputKeys is how many keys the table has that q13 joins.
const SideInputKeys = 10_000

// SideInput is the value of a key of the table that q13 joins.
func SideInput(key uint64) string { return strconv.FormatUint(key, 10) }

// AppendSideInput writes a line of that table: {"key":7,"value":"7"}
func AppendSideInput(dst []byte, key uint64) []byte {
	dst = strconv.AppendUint(append(dst, `{"key":`...), key, 10)
	return append(append(append(dst, `,"value":"`...), SideInput(key)...), '"', '}', '\n')
}
