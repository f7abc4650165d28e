package host

import "encoding/binary"

// customSection returns the content of a module's custom section, nil without. The module was parsed and judged when it
// was uploaded: here a walk over the section headers is enough. (wazero could keep custom sections, but refuses a module
// that has an empty one.)
func customSection(wasm []byte, name string) []byte {
	const header, custom = 8, 0
	if len(wasm) < header {
		return nil
	}
	for rest := wasm[header:]; len(rest) > 0; {
		id := rest[0]
		body, behind, ok := sized(rest[1:])
		if !ok {
			return nil
		}
		if id == custom {
			if n, content, ok := sized(body); ok && string(n) == name {
				return content
			}
		}
		rest = behind
	}
	return nil
}

// sized reads a length, and returns as many bytes as it says and those behind.
func sized(p []byte) (body, behind []byte, ok bool) {
	n, size := binary.Uvarint(p)
	if size <= 0 || n > uint64(len(p)-size) {
		return nil, nil, false
	}
	p = p[size:]
	return p[:n:n], p[n:], true
}
