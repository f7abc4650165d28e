// Package jsonfault says in JSON's own words what is wrong with JSON that a person or a guest wrote: where, what is
// there, what was expected. It knows nothing of what the JSON is about, and names no Go type.
package jsonfault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Describe says what err, from decoding data, means: "byte 12: invalid character ...", or
// "params.input: number (expected a string)".
func Describe(data []byte, err error) string {
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("byte %d: %s", syntax.Offset, syntax)
	case errors.As(err, &typed):
		given := typed.Value
		if given == "bool" {
			given = "boolean"
		}
		problem := fmt.Sprintf("%s (expected %s)", given, expected(typed))
		if path := pathAt(data, typed.Offset); path != "" {
			return path + ": " + problem
		}
		return problem
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// expected names the JSON type that the value should have had.
func expected(e *json.UnmarshalTypeError) string {
	t := e.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	if !strings.HasPrefix(e.Value, "number") {
		return "a number"
	}
	switch t.Kind() { // a number, but not one of these
	case reflect.Float32, reflect.Float64:
		return fmt.Sprintf("a number of at most %d bits", t.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 that fits in %d bits", t.Bits())
	}
	return fmt.Sprintf("a whole number that fits in %d bits", t.Bits())
}

// pathAt is the path of the value that ends, or for an object or array begins, at offset: "operators[2].name"; empty for
// the whole.
func pathAt(data []byte, offset int64) string {
	d := json.NewDecoder(bytes.NewReader(data))
	w := walk{d: d, until: offset}
	w.value("")
	return w.found
}

type walk struct {
	d     *json.Decoder
	until int64
	found string
}

// value walks over one value and reports whether to go on.
func (w *walk) value(path string) bool {
	token, err := w.d.Token()
	if err != nil {
		return false
	}
	if w.d.InputOffset() >= w.until {
		w.found = path
		return false
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return true
	}
	for i := 0; w.d.More(); i++ {
		inner := fmt.Sprintf("%s[%d]", path, i)
		if delim == '{' {
			name, err := w.d.Token()
			if err != nil {
				return false
			}
			inner = strings.TrimPrefix(fmt.Sprintf("%s.%v", path, name), ".")
		}
		if !w.value(inner) {
			return false
		}
	}
	_, err = w.d.Token()
	return err == nil
}
