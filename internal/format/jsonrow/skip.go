package jsonrow

// space is where something else than white space stands, from p[i] on.
func space(p []byte, i int) int {
	for i < len(p) && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r') {
		i++
	}
	return i
}

// skip passes over the value at p[i], with spaces before it, and returns where it ends; -1: there is a fault.
func (d *Decoder) skip(p []byte, i, depth int) int {
	if i < len(p) && p[i] <= ' ' {
		i = space(p, i)
	}
	if i < len(p) {
		switch p[i] {
		case '"':
			end, _ := d.quote(p, i+1)
			if end < 0 {
				return end
			}
			return end + 1
		case '{':
			return d.skipObject(p, i, depth)
		case '[':
			return d.skipList(p, i, depth)
		case 'n':
			if follows(p, i, null) {
				return i + len(null)
			}
		case 't':
			if follows(p, i, yes) {
				return i + len(yes)
			}
		case 'f':
			if follows(p, i, no) {
				return i + len(no)
			}
		default:
			if end := number(p, i); end >= 0 {
				return end
			}
		}
	}
	return d.unexpected(p, i, "a value")
}

func (d *Decoder) skipObject(p []byte, i, depth int) int {
	if depth == maxDepth {
		return d.fail(i, "too many objects and lists in each other")
	}
	i = space(p, i+1)
	if i < len(p) && p[i] == '}' {
		return i + 1
	}
	for {
		if i == len(p) || p[i] != '"' {
			return d.unexpected(p, i, "a key")
		}
		end, _ := d.quote(p, i+1)
		if end < 0 {
			return end
		}
		if i = space(p, end+1); i == len(p) || p[i] != ':' {
			return d.unexpected(p, i, ":")
		}
		if i = d.skip(p, i+1, depth+1); i < 0 {
			return i
		}
		i = space(p, i)
		switch {
		case i < len(p) && p[i] == ',':
			i = space(p, i+1)
		case i < len(p) && p[i] == '}':
			return i + 1
		default:
			return d.unexpected(p, i, ", or }")
		}
	}
}

func (d *Decoder) skipList(p []byte, i, depth int) int {
	if depth == maxDepth {
		return d.fail(i, "too many objects and lists in each other")
	}
	i = space(p, i+1)
	if i < len(p) && p[i] == ']' {
		return i + 1
	}
	for {
		if i = d.skip(p, i, depth+1); i < 0 {
			return i
		}
		i = space(p, i)
		switch {
		case i < len(p) && p[i] == ',':
			i++
		case i < len(p) && p[i] == ']':
			return i + 1
		default:
			return d.unexpected(p, i, ", or ]")
		}
	}
}

// number is where the number at p[i] ends, -1 when there is none.
func number(p []byte, i int) int {
	if i < len(p) && p[i] == '-' {
		i++
	}
	whole := i
	if i = digits(p, i); i == whole || i > whole+1 && p[whole] == '0' {
		return -1
	}
	if i < len(p) && p[i] == '.' {
		fraction := i + 1
		if i = digits(p, fraction); i == fraction {
			return -1
		}
	}
	if i < len(p) && p[i]|0x20 == 'e' {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		exponent := i
		if i = digits(p, exponent); i == exponent {
			return -1
		}
	}
	return i
}

func digits(p []byte, i int) int {
	for i < len(p) && p[i]-'0' <= 9 {
		i++
	}
	return i
}

// Valid says what keeps p from being one JSON value in UTF-8; nil: nothing.
func (d *Decoder) Valid(p []byte) error {
	d.scratch, d.high, d.fault = d.scratch[:0], highBits, nil
	if i := d.skip(p, 0, 0); i >= 0 {
		if i = space(p, i); i < len(p) {
			d.unexpected(p, i, "the end")
		}
	}
	if at := invalidAt(p); d.fault == nil && at < len(p) {
		d.fail(at, "not UTF-8")
	}
	if d.fault != nil {
		return d.fault
	}
	return nil
}
