package snapshot

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// OwnPrefix begins the name that a value of an operator's own scope has in files, so that it is no state's.
const OwnPrefix = "$own:"

// listPrefix stands behind it when the value is a list that a function has declared.
const listPrefix = "$list:"

// ListName is the name in an operator's own scope of a list that its function declares.
func ListName(state string) string { return listPrefix + state }

// mapPrefix stands there when the value is a map of which every subtask has a copy.
const mapPrefix = "$map:"

// MapName is the name in an operator's own scope of a broadcast state that its function declares.
func MapName(state string) string { return mapPrefix + state }

// DeclaredMap is the broadcast state that a state of a file is a copy of; false: it is something else.
func DeclaredMap(name string) (state string, ok bool) {
	return strings.CutPrefix(name, OwnPrefix+mapPrefix)
}

// EachOfMap calls yield for the entries of a map, which lies as a list of its keys, each with its value behind it.
func EachOfMap(stored []byte, yield func(version uint16, key, value []byte)) error {
	for rest := stored; len(rest) > 0; {
		_, key, behind, err := NextElement(rest)
		if err != nil {
			return err
		}
		version, value, behind, err := NextElement(behind)
		if err != nil {
			return err
		}
		yield(version, key, value)
		rest = behind
	}
	return nil
}

// DeclaredList is the declared list that a state of a file is a part of; false: it is something else.
func DeclaredList(name string) (state string, ok bool) {
	return strings.CutPrefix(name, OwnPrefix+listPrefix)
}

// A list of an operator's own scope is one value, that of the subtask: its elements one behind the other,
//
//	0 u32 length of the value   4 u16 schema version   6 u16 zero   8 value
const elementHeader = 8

// AppendElement appends an element to a list.
func AppendElement(list []byte, version uint16, value []byte) []byte {
	list = binary.LittleEndian.AppendUint32(list, uint32(len(value)))
	list = binary.LittleEndian.AppendUint32(list, uint32(version))
	return append(list, value...)
}

// ElementBytes is how long a value of so many bytes is in a list.
func ElementBytes(value int) int { return elementHeader + value }

// NextElement takes the first element off a list.
func NextElement(list []byte) (version uint16, value, rest []byte, err error) {
	if len(list) < elementHeader {
		return 0, nil, nil, fmt.Errorf("%d bytes of an element (expected >= %d): %w", len(list), elementHeader, ErrDamaged)
	}
	n := uint64(binary.LittleEndian.Uint32(list))
	if n > uint64(len(list)-elementHeader) {
		return 0, nil, nil, fmt.Errorf("an element of %d bytes, %d are left: %w", n, len(list)-elementHeader, ErrDamaged)
	}
	end := elementHeader + int(n)
	return binary.LittleEndian.Uint16(list[4:]), list[elementHeader:end:end], list[end:], nil
}
