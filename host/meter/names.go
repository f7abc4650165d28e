package meter

import (
	"encoding/binary"

	"github.com/wasmill/wasmill/host/module"
)

// Subsections of the name section that have function indices as keys.
const (
	namesFunctions = 1
	namesLocals    = 2
	namesLabels    = 3
)

// custom writes a custom section. Only the name section has function indices in it.
func (w *rewriter) custom(out, body []byte) []byte {
	name, data, ok := cutName(body)
	if !ok || name != "name" {
		return appendSection(out, module.SectionCustom, body)
	}
	return appendSection(out, module.SectionCustom, w.nameSection(appendName(nil, name), data))
}

// nameSection renumbers the functions in a name section. What cannot be read, and all behind it, is left out: names are
// no part of what a module does.
func (w *rewriter) nameSection(dst, data []byte) []byte {
	for len(data) > 0 {
		id := data[0]
		size, rest, ok := cutU32(data[1:])
		if !ok || uint64(size) > uint64(len(rest)) {
			return dst
		}
		body := rest[:size]
		data = rest[size:]
		switch id {
		case namesFunctions:
			body, ok = w.functionNames(body)
		case namesLocals, namesLabels:
			body, ok = w.innerNames(body)
		}
		if !ok {
			return dst
		}
		dst = appendU32(append(dst, id), uint32(len(body)))
		dst = append(dst, body...)
	}
	return dst
}

// functionNames renumbers the names of functions and adds those of quantum and the helpers.
func (w *rewriter) functionNames(p []byte) ([]byte, bool) {
	n, p, ok := cutU32(p)
	if !ok || uint64(n) > uint64(len(p)) {
		return nil, false
	}
	var own []byte // names up to quantum's index, then those behind it
	added := false
	quantum := func() {
		own = appendName(appendU32(own, w.write.quantum), ImportModule+"."+ImportName)
		added = true
	}
	for range n {
		var index uint32
		var name string
		if index, p, ok = cutU32(p); !ok {
			return nil, false
		}
		if name, p, ok = cutName(p); !ok {
			return nil, false
		}
		if int(index) >= w.imported && !added {
			quantum()
		}
		own = appendName(appendU32(own, w.functionIndex(index)), name)
	}
	if !added {
		quantum()
	}
	for i, h := range w.helpers {
		own = appendName(appendU32(own, w.helperFunction(i)), h.name())
	}
	return append(appendU32(nil, n+1+uint32(len(w.helpers))), own...), len(p) == 0
}

// innerNames renumbers the functions of an indirect name map: per function a map of its locals or labels.
func (w *rewriter) innerNames(p []byte) ([]byte, bool) {
	n, p, ok := cutU32(p)
	if !ok || uint64(n) > uint64(len(p)) {
		return nil, false
	}
	dst := appendU32(nil, n)
	for range n {
		var index, count uint32
		if index, p, ok = cutU32(p); !ok {
			return nil, false
		}
		dst = appendU32(dst, w.functionIndex(index))
		if count, p, ok = cutU32(p); !ok || uint64(count) > uint64(len(p)) {
			return nil, false
		}
		dst = appendU32(dst, count)
		for range count {
			var inner uint32
			var name string
			if inner, p, ok = cutU32(p); !ok {
				return nil, false
			}
			if name, p, ok = cutName(p); !ok {
				return nil, false
			}
			dst = appendName(appendU32(dst, inner), name)
		}
	}
	return dst, len(p) == 0
}

func cutU32(p []byte) (uint32, []byte, bool) {
	v, n := binary.Uvarint(p)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		return 0, nil, false
	}
	return uint32(v), p[n:], true
}

func cutName(p []byte) (string, []byte, bool) {
	n, p, ok := cutU32(p)
	if !ok || uint64(n) > uint64(len(p)) {
		return "", nil, false
	}
	return string(p[:n]), p[n:], true
}
