package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Row is a row of a result: an int64, a string, a Time, a Thousandths or nil for each column.
type Row []any

// Thousandths is a decimal with three places.
type Thousandths int64

// AppendJSON writes a row as a line: {"auction":1000,"price":90.800,"dateTime":"2026-01-01 00:00:00.050"}
func (r Row) AppendJSON(dst []byte, columns []string) []byte {
	for i, name := range columns {
		dst = appendValue(appendName(dst, i, name), r[i])
	}
	return append(dst, '}', '\n')
}

func appendValue(dst []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case Thousandths:
		if v < 0 {
			dst, v = append(dst, '-'), -v
		}
		return fmt.Appendf(dst, "%d.%03d", v/1000, v%1000)
	case Time:
		return append(v.utc().AppendFormat(append(dst, '"'), "2006-01-02 15:04:05.000"), '"')
	case string:
		return appendText(dst, v)
	}
	panic(fmt.Sprintf("a value is a %T", value))
}

// appendName begins column i of a row.
func appendName(dst []byte, i int, name string) []byte {
	before := byte(',')
	if i == 0 {
		before = '{'
	}
	return append(appendText(append(dst, before), name), ':')
}

func appendText(dst []byte, s string) []byte {
	for _, c := range []byte(s) {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			_ = e.Encode(s) // a string always encodes
			return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// canonical is a line in one spelling, so that equal rows are equal bytes: its columns in their order, numbers without needless
// zeros. A row that has other columns is an error. Folders are columns that its path gave.
func canonical(line []byte, columns []string, folders map[string]string) (string, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return "", err
	}
	if object == nil {
		return "", fmt.Errorf("null (expected an object)")
	}
	if rest := bytes.TrimSpace(line[d.InputOffset():]); len(rest) > 0 {
		return "", fmt.Errorf("%q behind the object", rest)
	}
	for name, value := range folders {
		if _, there := object[name]; !there {
			object[name] = value
		}
	}
	if len(object) > len(columns) {
		return "", fmt.Errorf("%d columns (expected %s)", len(object), strings.Join(columns, ", "))
	}
	var out []byte
	for i, name := range columns {
		value, there := object[name]
		if !there {
			return "", fmt.Errorf("no column %q (expected %s)", name, strings.Join(columns, ", "))
		}
		out = appendName(out, i, name)
		switch v := value.(type) {
		case nil:
			out = append(out, "null"...)
		case string:
			out = appendText(out, v)
		case json.Number:
			number, err := canonicalNumber(v.String())
			if err != nil {
				return "", fmt.Errorf("column %q: %w", name, err)
			}
			out = append(out, number...)
		default:
			return "", fmt.Errorf("column %q is a %T (expected a number or text)", name, v)
		}
	}
	return string(append(out, '}')), nil
}

func canonicalNumber(text string) (string, error) {
	if strings.ContainsAny(text, "eE") {
		return "", fmt.Errorf("%s (expected a number without exponent)", text)
	}
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		text = "0"
	}
	return text, nil
}
