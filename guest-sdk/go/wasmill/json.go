package wasmill

import (
	"strconv"
	"time"
)

// jsonWriter writes JSON by hand: the host compares the hash of a manifest, so its bytes are fixed by this file and not
// by a library's version.
type jsonWriter struct {
	out   []byte
	comma bool // something stands before in the same object or array

	at       int       // the operator that is written, or runs the function that is
	of       string    // what is written, for people
	problems []problem // with it
}

// millis is d in the milliseconds that manifests have. call is what it was said to: what is lost there is a problem.
func (w *jsonWriter) millis(call string, d time.Duration) int64 {
	if lost := fraction(call, d); lost != "" {
		w.problems = append(w.problems, problem{w.at, w.of + ": " + lost})
	}
	return d.Milliseconds()
}

// fraction says what is wrong with a duration that is not of whole milliseconds.
func fraction(call string, d time.Duration) string {
	if d%time.Millisecond == 0 {
		return ""
	}
	return d.String() + " in " + call + " (expected whole milliseconds)"
}

func (w *jsonWriter) separate() {
	if w.comma {
		w.out = append(w.out, ',')
	}
	w.comma = true
}

func (w *jsonWriter) key(name string) {
	w.separate()
	w.quote(name)
	w.out = append(w.out, ':')
}

// object writes {...}, as the value of name, or as an element when name is empty.
func (w *jsonWriter) object(name string, fields func()) { w.nest(name, '{', '}', fields) }

// array writes [...], as the value of name.
func (w *jsonWriter) array(name string, elements func()) { w.nest(name, '[', ']', elements) }

func (w *jsonWriter) nest(name string, open, end byte, inside func()) {
	if name != "" {
		w.key(name)
	} else {
		w.separate()
	}
	w.out = append(w.out, open)
	w.comma = false
	inside()
	w.out = append(w.out, end)
	w.comma = true
}

func (w *jsonWriter) text(name, value string) {
	w.key(name)
	w.quote(value)
}

// textOr writes the field unless it is empty; numberOr unless it is zero; flagOr unless it is false.
func (w *jsonWriter) textOr(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *jsonWriter) number(name string, value int64) {
	w.key(name)
	w.out = strconv.AppendInt(w.out, value, 10)
}

func (w *jsonWriter) numberOr(name string, value int64) {
	if value != 0 {
		w.number(name, value)
	}
}

func (w *jsonWriter) flagOr(name string, value bool) {
	if value {
		w.key(name)
		w.out = append(w.out, "true"...)
	}
}

// element writes a string or number of an array.
func (w *jsonWriter) element(text string) {
	w.separate()
	w.quote(text)
}

func (w *jsonWriter) elementNumber(n int64) {
	w.separate()
	w.out = strconv.AppendInt(w.out, n, 10)
}

// quote writes a string. Bytes that are not UTF-8 become U+FFFD, as ranging over a string has it.
func (w *jsonWriter) quote(s string) {
	const hex = "0123456789abcdef"
	w.out = append(w.out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.out = append(w.out, '\\', byte(r))
		case r < ' ':
			w.out = append(w.out, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			w.out = append(w.out, string(r)...)
		}
	}
	w.out = append(w.out, '"')
}
