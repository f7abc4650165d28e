package reference

import (
	"crypto/sha256"
	"fmt"
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

// rows gives every row of a result in its canonical spelling, with where it was found, as often as it is asked.
type rows func(each func(row, where string)) error

// Compare holds the files that a job has written for a query, JSON lines below dir, against the reference's answer.
func Compare(q *Query, e *Events, dir string) (*Difference, error) {
	return compare(q.Name, answerRows(q, e), fileRows(q, dir))
}

// compare goes over both results once to count rows, and again to find those that differ.
func compare(name string, want, got rows) (*Difference, error) {
	d := &Difference{Query: name}
	type hash [16]byte
	of := func(row string) hash {
		sum := sha256.Sum256([]byte(row))
		return hash(sum[:])
	}
	surplus := map[hash]int{} // how much more often a row stands in what was got
	if err := want(func(row, _ string) { surplus[of(row)]--; d.Expected++ }); err != nil {
		return nil, err
	}
	if err := got(func(row, _ string) { surplus[of(row)]++; d.Got++ }); err != nil {
		return nil, err
	}
	for _, n := range surplus {
		d.Missing += max(0, -n)
		d.More += max(0, n)
	}
	if d.Same() {
		return d, nil
	}
	var shown []string
	missing, more := 0, 0
	if err := want(func(row, _ string) {
		if h := of(row); surplus[h] < 0 && missing < examples {
			surplus[h]++
			missing++
			shown = append(shown, row+"-")
		}
	}); err != nil {
		return nil, err
	}
	if err := got(func(row, where string) {
		if h := of(row); surplus[h] > 0 && more < examples {
			surplus[h]--
			more++
			shown = append(shown, row+"+  ("+where+")")
		}
	}); err != nil {
		return nil, err
	}
	slices.Sort(shown) // rows of one key stand together
	for _, s := range shown {
		at := strings.LastIndexByte(s, '}') + 1
		d.Examples = append(d.Examples, s[at:at+1]+" "+s[:at]+s[at+1:])
	}
	return d, nil
}

func answerRows(q *Query, e *Events) rows {
	return func(each func(row, where string)) (err error) {
		var line []byte
		q.Answer(e, func(r Row) {
			line = r.AppendJSON(line[:0], q.Columns)
			row, wrong := canonical(line, q.Columns, nil)
			if wrong != nil {
				err = wrong
			}
			each(row, "")
		})
		return err
	}
}
