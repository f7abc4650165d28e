package jsonrow

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wasmill/wasmill/abi"
)

// modelRow is the row of a line by encoding/json, which is what the decoder is held against.
func modelRow(s *abi.Schema, line []byte) ([]byte, error) {
	if !utf8.Valid(line) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var object map[string]json.RawMessage
	if err := d.Decode(&object); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more behind the object")
	}
	if object == nil {
		return nil, errors.New("null")
	}
	return modelObject(s, object)
}

func modelObject(s *abi.Schema, object map[string]json.RawMessage) ([]byte, error) {
	var w abi.RowWriter
	w.Reset(s)
	for i := range s.Fields {
		f := &s.Fields[i]
		raw, there := object[f.Name]
		if !there {
			if !f.Nullable {
				return nil, errors.New("missing")
			}
			continue
		}
		null, in, bits, part, err := modelValue(f, raw)
		switch {
		case err != nil:
			return nil, err
		case null:
			w.SetNull(i)
		case in:
			w.SetI64(i, int64(bits))
		default:
			w.SetBytes(i, part)
		}
	}
	return w.AppendTo(nil), nil
}

func modelValue(f *abi.Field, raw json.RawMessage) (null, in bool, bits uint64, part []byte, err error) {
	isNull := string(raw) == "null"
	if isNull && f.Nullable {
		return true, false, 0, nil, nil
	}
	if isNull && f.Type != abi.TypeJSON {
		return false, false, 0, nil, errors.New("null")
	}
	var text string
	quoted := json.Unmarshal(raw, &text) == nil
	switch f.Type {
	case abi.TypeBool:
		var v bool
		err = json.Unmarshal(raw, &v)
		if v {
			bits = 1
		}
		return false, true, bits, nil, err
	case abi.TypeI64:
		var v int64
		err = json.Unmarshal(raw, &v)
		return false, true, uint64(v), nil, err
	case abi.TypeF64:
		var v float64
		err = json.Unmarshal(raw, &v)
		return false, true, f64bits(v), nil, err
	case abi.TypeMs:
		var v int64
		if !quoted {
			err = json.Unmarshal(raw, &v)
			return false, true, uint64(v), nil, err
		}
		at, err := modelTime(text)
		return false, true, uint64(at.UnixMilli()), nil, err
	case abi.TypeUTF8:
		if !quoted {
			err = errors.New("no string")
		}
		return false, false, 0, []byte(text), err
	case abi.TypeJSON:
		return false, false, 0, raw, nil
	case abi.TypeBytes:
		if !quoted {
			return false, false, 0, nil, errors.New("no string")
		}
		part, err = base64.StdEncoding.DecodeString(text)
		return false, false, 0, part, err
	case abi.TypeDecimal:
		if !quoted {
			text = string(raw)
		} else if !json.Valid([]byte(text)) {
			return false, false, 0, nil, errors.New("no number")
		}
		part, err = modelDecimal(text, f)
		return false, false, 0, part, err
	case abi.TypeList:
		part, err = modelList(f, raw)
		return false, false, 0, part, err
	}
	var object map[string]json.RawMessage
	if err = json.Unmarshal(raw, &object); err == nil {
		part, err = modelObject(f.Row, object)
	}
	return false, false, 0, part, err
}

var timeShape = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)([.,]\d{1,9})?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)?$`)

func modelTime(text string) (time.Time, error) {
	parts := timeShape.FindStringSubmatch(text)
	if parts == nil {
		return time.Time{}, errors.New("no time")
	}
	zone := strings.ReplaceAll(parts[4], ":", "")
	if zone == "" {
		zone = "Z"
	}
	return time.Parse("2006-01-02T15:04:05.999999999Z0700", parts[1]+"T"+parts[2]+strings.Replace(parts[3], ",", ".", 1)+zone)
}

func modelList(f *abi.Field, raw json.RawMessage) ([]byte, error) {
	var all []json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	var w abi.ListWriter
	w.Reset(len(all))
	for i, raw := range all {
		null, in, bits, part, err := modelValue(f.Elem, raw)
		switch {
		case err != nil:
			return nil, err
		case null:
			w.SetNull(i)
		case in:
			w.SetI64(i, int64(bits))
		default:
			w.SetBytes(i, part)
		}
	}
	return w.AppendTo(nil), nil
}

func modelDecimal(text string, f *abi.Field) ([]byte, error) {
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return nil, err // that it is too large included
	}
	v, ok := new(big.Rat).SetString(text)
	if !ok || text[0] == '+' || text[0] == '.' {
		return nil, errors.New("no number")
	}
	v.Mul(v, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(f.Scale)), nil)))
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(f.Precision)), nil)
	if !v.IsInt() || new(big.Int).Abs(v.Num()).Cmp(limit) >= 0 {
		return nil, errors.New("does not fit")
	}
	n := v.Num()
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	hi, lo := new(big.Int).Rsh(n, 64).Uint64(), new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1)).Uint64()
	return abi.AppendDecimal(nil, int64(hi), lo), nil
}

// twice says whether a key stands twice in an object of the line: a null or a misfit that a later value would have replaced
// is a fault of the decoder's, and not of the model's.
func twice(line []byte) bool {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	type level struct {
		object, key bool
		keys        map[string]bool
	}
	var stack []level
	for {
		t, err := d.Token()
		if err != nil {
			return false
		}
		top := len(stack) - 1
		isKey := top >= 0 && stack[top].object && stack[top].key
		switch v := t.(type) {
		case json.Delim:
			switch v {
			case '{':
				stack = append(stack, level{object: true, key: true, keys: map[string]bool{}})
				continue
			case '[':
				stack = append(stack, level{})
				continue
			}
			stack = stack[:top]
			top--
		case string:
			if isKey {
				if stack[top].keys[v] {
					return true
				}
				stack[top].keys[v] = true
				stack[top].key = false
				continue
			}
		}
		if top >= 0 && stack[top].object {
			stack[top].key = true
		}
	}
}
