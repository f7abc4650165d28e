package nexmark

import "strconv"

// AppendJSON writes an event that has all its fields as one line:
//
//	{"event_type":2,"person":null,"auction":null,"bid":{"auction":1000,"bidder":1001,...,"dateTime":"2026-01-01T00:00:00.050","extra":"..."}}
//
// What this package makes needs no escapes.
func AppendJSON(dst []byte, e *Event) []byte {
	dst = append(dst, `{"event_type":`...)
	dst = append(dst, '0'+byte(e.Kind))
	for kind := range Kind(Kinds) {
		dst = append(dst, ',', '"')
		dst = append(dst, kind.String()...)
		dst = append(dst, '"', ':')
		if kind != e.Kind {
			dst = append(dst, "null"...)
			continue
		}
		dst = appendObject(dst, e)
	}
	return append(dst, '}', '\n')
}

func appendObject(dst []byte, e *Event) []byte {
	before := byte('{')
	for i, f := range fields[e.Kind] {
		dst = append(dst, before, '"')
		dst = append(dst, f.Name...)
		dst = append(dst, '"', ':')
		switch f.Type {
		case Number:
			dst = strconv.AppendInt(dst, e.Numbers[i], 10)
		case Time:
			dst = append(dst, '"')
			dst = AppendTime(dst, e.Numbers[i], 'T')
			dst = append(dst, '"')
		default:
			dst = append(dst, '"')
			dst = append(dst, e.Texts[i]...)
			dst = append(dst, '"')
		}
		before = ','
	}
	return append(dst, '}')
}
