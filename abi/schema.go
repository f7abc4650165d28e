package abi

import (
	"fmt"
	"strconv"
	"strings"
)

// FieldType is what a field of a row holds. The list only grows.
type FieldType uint8

const (
	TypeBool    FieldType = 1  // in place: 0 or 1
	TypeI64     FieldType = 2  // in place
	TypeF64     FieldType = 3  // in place: IEEE 754 bits
	TypeMs      FieldType = 4  // in place: i64 milliseconds since the Unix epoch
	TypeUTF8    FieldType = 5  // variable part: valid UTF-8
	TypeBytes   FieldType = 6  // variable part
	TypeJSON    FieldType = 7  // variable part: UTF-8, one JSON value
	TypeDecimal FieldType = 8  // variable part: 16 bytes, the unscaled number in two's complement, little-endian
	TypeList    FieldType = 9  // variable part: see ListHeaderSize
	TypeRow     FieldType = 10 // variable part: a row
)

var typeNames = [...]string{
	TypeBool: "bool", TypeI64: "i64", TypeF64: "f64", TypeMs: "ms", TypeUTF8: "utf8", TypeBytes: "bytes",
	TypeJSON: "json", TypeDecimal: "decimal", TypeList: "list", TypeRow: "row",
}

func (t FieldType) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return "type " + strconv.Itoa(int(t))
}

// Variable says whether values of the type lie behind the slots, and the slot has their offset and length.
func (t FieldType) Variable() bool { return t >= TypeUTF8 }

// Limits of a schema: no table that people work with comes near them, and they bound what a decoder does for one row.
const (
	MaxFields       = 1024 // of one row
	MaxNesting      = 16   // lists and rows inside each other, the outermost row included
	MaxFieldName    = 255  // bytes
	MaxPrecision    = 38   // decimal digits that fit 16 bytes
	maxSchemaText   = 1 << 20
	schemaMaxFields = 16384 // of one schema, nested rows included
)

// Field is one field of a row, or the element of a list, which has no name.
type Field struct {
	Name             string
	Type             FieldType
	Nullable         bool
	Precision, Scale int     // of a decimal
	Elem             *Field  // of a list
	Row              *Schema // of a nested row
}

// Schema is the type of a row: what is written between the parentheses of row(...). It is not changed once it is made.
type Schema struct {
	Fields []Field
}

// ParseSchema reads a row codec, such as
//
//	row(key: utf8, value: i64, note: utf8?, prices: list(decimal(12, 2)), at: row(lat: f64, lon: f64)?)
//
// A name that is not a letter or underscore followed by letters, digits and underscores is quoted ("first name"), with \"
// and \\ for the two characters. Spaces between the parts do not matter. A codec that is not a row is an error.
func ParseSchema(c Codec) (*Schema, error) {
	if len(c) > maxSchemaText {
		return nil, fmt.Errorf("codec: %d bytes (expected <= %d)", len(c), maxSchemaText)
	}
	p := schemaParser{text: string(c)}
	if !p.word("row") {
		return nil, fmt.Errorf("codec %q: not a row", abbreviate(string(c)))
	}
	s, err := p.row(1)
	if err == nil {
		p.space()
		if p.at < len(p.text) {
			err = p.expected("the end")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("codec %q: %w", abbreviate(string(c)), err)
	}
	return s, nil
}

// Codec returns the schema in its canonical spelling: two codecs are the same when these are.
func (s *Schema) Codec() Codec {
	var b strings.Builder
	s.print(&b)
	return Codec(b.String())
}

// Index returns the position of the field of that name, -1 when there is none.
func (s *Schema) Index(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Choose returns the positions of the fields of these names, in their order; without names, of all fields.
func (s *Schema) Choose(names []string) ([]int, error) {
	var chosen []int
	for _, name := range names {
		i := s.Index(strings.TrimSpace(name))
		if i < 0 {
			return nil, fmt.Errorf("no field %q in %s", name, s.Codec())
		}
		chosen = append(chosen, i)
	}
	for i := 0; i < len(s.Fields) && len(names) == 0; i++ {
		chosen = append(chosen, i)
	}
	return chosen, nil
}

func (s *Schema) print(b *strings.Builder) {
	b.WriteString("row(")
	for i := range s.Fields {
		if i > 0 {
			b.WriteString(", ")
		}
		f := &s.Fields[i]
		if isIdentifier(f.Name) {
			b.WriteString(f.Name)
		} else {
			b.WriteByte('"')
			for _, c := range []byte(f.Name) {
				if c == '"' || c == '\\' {
					b.WriteByte('\\')
				}
				b.WriteByte(c)
			}
			b.WriteByte('"')
		}
		b.WriteString(": ")
		f.print(b)
	}
	b.WriteByte(')')
}

func (f *Field) print(b *strings.Builder) {
	switch f.Type {
	case TypeDecimal:
		fmt.Fprintf(b, "decimal(%d, %d)", f.Precision, f.Scale)
	case TypeList:
		b.WriteString("list(")
		f.Elem.print(b)
		b.WriteByte(')')
	case TypeRow:
		f.Row.print(b)
	default:
		b.WriteString(f.Type.String())
	}
	if f.Nullable {
		b.WriteByte('?')
	}
}

// schemaParser reads a codec's text from the left, one character at a time.
type schemaParser struct {
	text   string
	at     int
	fields int // read so far, nested ones included
}

// row reads what follows the word row.
func (p *schemaParser) row(depth int) (*Schema, error) {
	if depth > MaxNesting {
		return nil, fmt.Errorf("more than %d lists and rows inside each other at byte %d", MaxNesting, p.at)
	}
	if !p.char('(') {
		return nil, p.expected("(")
	}
	s := &Schema{}
	seen := make(map[string]bool)
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("field %q stands twice", name)
		}
		seen[name] = true
		if !p.char(':') {
			return nil, p.expected(":")
		}
		f, err := p.field(depth)
		if err != nil {
			return nil, err
		}
		f.Name = name
		s.Fields = append(s.Fields, f)
		if p.fields++; len(s.Fields) > MaxFields || p.fields > schemaMaxFields {
			return nil, fmt.Errorf("too many fields at byte %d (expected <= %d in a row, %d in all)", p.at, MaxFields, schemaMaxFields)
		}
		if p.char(')') {
			return s, nil
		}
		if !p.char(',') {
			return nil, p.expected(", or )")
		}
	}
}

// field reads a type with its question mark.
func (p *schemaParser) field(depth int) (Field, error) {
	p.space()
	f := Field{Type: p.typeWord()}
	var err error
	switch f.Type {
	case 0:
		return f, p.expected("a type: " + strings.Join(typeNames[TypeBool:], ", "))
	case TypeDecimal:
		err = p.decimal(&f)
	case TypeList:
		if depth+1 > MaxNesting {
			return f, fmt.Errorf("more than %d lists and rows inside each other at byte %d", MaxNesting, p.at)
		}
		if !p.char('(') {
			return f, p.expected("(")
		}
		var elem Field
		elem, err = p.field(depth + 1)
		f.Elem = &elem
		if err == nil && !p.char(')') {
			err = p.expected(")")
		}
	case TypeRow:
		f.Row, err = p.row(depth + 1)
	}
	if err != nil {
		return f, err
	}
	f.Nullable = p.char('?')
	return f, nil
}

func (p *schemaParser) decimal(f *Field) error {
	if !p.char('(') {
		return p.expected("(")
	}
	at := p.at
	f.Precision = p.number()
	if !p.char(',') {
		return p.expected(",")
	}
	f.Scale = p.number()
	if !p.char(')') {
		return p.expected(")")
	}
	if f.Precision < 1 || f.Precision > MaxPrecision || f.Scale < 0 || f.Scale > f.Precision {
		return fmt.Errorf("decimal(%d, %d) at byte %d (expected 1 <= precision <= %d, 0 <= scale <= precision)", f.Precision, f.Scale, at, MaxPrecision)
	}
	return nil
}

// number reads an unsigned number of at most three digits without a leading zero; -1 when there is none.
func (p *schemaParser) number() int {
	p.space()
	at := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	digits := p.text[at:p.at]
	if digits == "" || len(digits) > 3 || len(digits) > 1 && digits[0] == '0' {
		return -1
	}
	n, _ := strconv.Atoi(digits)
	return n
}

func (p *schemaParser) name() (string, error) {
	p.space()
	name := ""
	if p.char('"') {
		for {
			if p.at == len(p.text) {
				return "", p.expected("the name's closing quote")
			}
			c := p.text[p.at]
			p.at++
			if c == '"' {
				break
			}
			if c == '\\' {
				if p.at == len(p.text) || p.text[p.at] != '"' && p.text[p.at] != '\\' {
					return "", p.expected(`\" or \\`)
				}
				c = p.text[p.at]
				p.at++
			}
			name += string([]byte{c})
		}
	} else {
		at := p.at
		for p.at < len(p.text) && isNameByte(p.text[p.at], p.at == at) {
			p.at++
		}
		name = p.text[at:p.at]
	}
	if name == "" || len(name) > MaxFieldName || !validText(name) {
		return "", fmt.Errorf("byte %d: field name %q (expected 1 to %d bytes of UTF-8 without control characters)", p.at, abbreviate(name), MaxFieldName)
	}
	return name, nil
}

func (p *schemaParser) typeWord() FieldType {
	for t := TypeBool; int(t) < len(typeNames); t++ {
		if p.word(typeNames[t]) {
			return t
		}
	}
	return 0
}

// word takes w if it is the next whole word.
func (p *schemaParser) word(w string) bool {
	rest := p.text[p.at:]
	if !strings.HasPrefix(rest, w) || len(rest) > len(w) && isNameByte(rest[len(w)], false) {
		return false
	}
	p.at += len(w)
	return true
}

func (p *schemaParser) char(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *schemaParser) space() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

func (p *schemaParser) expected(what string) error {
	found := "the end"
	if p.at < len(p.text) {
		found = strconv.Quote(abbreviate(p.text[p.at:]))
	}
	return fmt.Errorf("byte %d: %s (expected %s)", p.at, found, what)
}

func isNameByte(c byte, first bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9'
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i], i == 0) {
			return false
		}
	}
	return s != ""
}

// abbreviate cuts what a message quotes.
func abbreviate(s string) string {
	if len(s) > 120 {
		return s[:117] + "..."
	}
	return s
}
