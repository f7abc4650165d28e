package reference

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Difference is what the rows of two results do not have in common. Order does not matter, how often a row stands does.
type Difference struct {
	Query         string
	Expected, Got int
	Missing, More int      // rows that one result has and the other has not
	Examples      []string // some of both, in order: "- row" is missing, "+ row  (file:line)" is one too many
}

// Same says that there is none.
func (d *Difference) Same() bool { return d.Missing == 0 && d.More == 0 }

func (d *Difference) String() string {
	if d.Same() {
		return fmt.Sprintf("%s: %d rows, as expected", d.Query, d.Got)
	}
	return fmt.Sprintf("%s: %d rows (expected %d): %d are missing, %d should not be there\n%s", d.Query, d.Got, d.Expected, d.Missing, d.More, strings.Join(d.Examples, "\n"))
}

// examples are so many rows of a difference at most, of either side.
const examples = 10

// digest stands for a row's canonical line: rows of all queries together would take gigabytes.
type digest [16]byte

func digestOf(line []byte) digest {
	sum := sha256.Sum256(line)
	return digest(sum[:])
}

// Expected is the answer of a query on some events, against which any number of results can be held.
type Expected struct {
	query  *Query
	events *Events
	rows   int
	often  map[digest]int // how often each row stands
}

// Expect answers a query.
func Expect(q *Query, e *Events) *Expected {
	x := &Expected{query: q, events: e, often: map[digest]int{}}
	x.each(func(line []byte) {
		x.rows++
		x.often[digestOf(line)]++
	})
	return x
}

// each calls do for every row of the answer in its canonical line.
func (x *Expected) each(do func(line []byte)) {
	var line []byte
	x.query.Answer(x.events, func(r Row) {
		line = r.appendCanonical(line[:0], x.query.Columns)
		do(line)
	})
}

// Compare holds the files that a job has written, JSON lines below dir, against the answer. Hidden files and those whose name begins
// with an underscore do not count; a folder that is called column=value gives its rows that column; the windows of q12, whose times
// nobody can foresee, are added up.
func (x *Expected) Compare(dir string) (*Difference, error) {
	d := &Difference{Query: x.query.Name, Expected: x.rows}
	missing := maps.Clone(x.often) // less than 0: more often than expected
	if err := x.got(dir, func(r found) {
		d.Got++
		missing[digestOf(r.line)]--
	}); err != nil {
		return nil, err
	}
	for _, n := range missing {
		d.Missing += max(0, n)
		d.More += max(0, -n)
	}
	if d.Same() {
		return d, nil
	}
	return d, x.explain(d, dir, missing)
}

// example is a row that only one side has.
type example struct{ line, sign, where string }

// explain goes over both results again for rows that differ.
func (x *Expected) explain(d *Difference, dir string, missing map[digest]int) error {
	var all []example
	x.each(func(line []byte) {
		if h := digestOf(line); missing[h] > 0 && len(all) < examples {
			missing[h]--
			all = append(all, example{string(line), "-", ""})
		}
	})
	most := len(all) + examples
	if err := x.got(dir, func(r found) {
		if h := digestOf(r.line); missing[h] < 0 && len(all) < most {
			missing[h]++
			all = append(all, example{string(r.line), "+", fmt.Sprintf("  (%s:%d)", r.path, r.number)})
		}
	}); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b example) int { // rows of one key stand together
		return strings.Compare(a.line+b.sign, b.line+a.sign)
	})
	for _, e := range all {
		d.Examples = append(d.Examples, e.sign+" "+e.line+e.where)
	}
	return nil
}

// got calls do for every row that a job has written, in its canonical line.
func (x *Expected) got(dir string, do func(found)) error {
	if x.query.Name == "q12" {
		return addedUp(dir, x.query.Columns, do)
	}
	return rowsBelow(dir, x.query.Columns, func(line []byte) bool { return x.often[digestOf(line)] > 0 }, do)
}

// appendCanonical writes the row's canonical line.
func (r Row) appendCanonical(dst []byte, columns []string) []byte {
	for i, name := range columns {
		dst = appendName(dst, i, name)
		dst = appendValue(dst, r[i])
		if _, ok := r[i].(Thousandths); ok {
			dst = bytes.TrimRight(bytes.TrimRight(dst, "0"), ".") // as canonicalNumber does; it has a point
		}
	}
	return append(dst, '}')
}
