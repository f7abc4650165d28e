package reference

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written makes files of a result below a directory.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCompare(t *testing.T) {
	e := events(t, bid(1230, 1, 7, "10:00:00"), bid(1230, 1, 7, "10:00:01"), bid(246, 2, 250, "23:50:00"))
	const one, two = `{"auction":1230,"price":7}`, `{"auction":246,"price":250}`
	for _, c := range []struct {
		name, query string
		files       map[string]string
		want        string
	}{
		{"in any order, in any files, fields in any order", "q2", map[string]string{"part-0": two + "\n\n" + one + "\n", "part-1": `{ "price" : 7.0, "auction": 1230 }`, "sub/part-2": ""}, "q2: 3 rows, as expected"},
		{"hidden files do not count", "q2", map[string]string{"part-0": one + "\n" + one + "\n" + two, ".part-1": one, "_SUCCESS": "x", ".pending/part": one}, "q2: 3 rows, as expected"},
		{"how often a row stands counts", "q2", map[string]string{"p": one + "\n" + two}, "q2: 2 rows (expected 3): 1 are missing, 0 should not be there\n- " + one},
		{"more often, too", "q2", map[string]string{"p": one + "\n" + one + "\n" + one + "\n" + two}, "q2: 4 rows (expected 3): 0 are missing, 1 should not be there\n+ " + one + "  (DIR/p:1)"},
		{"like rows stand together", "q2", map[string]string{"p": one + "\n" + one + "\n" + `{"auction":246,"price":251}`}, "q2: 3 rows (expected 3): 1 are missing, 1 should not be there\n- " + two + "\n+ " + `{"auction":246,"price":251}  (DIR/p:3)`},
		{"decimals are numbers", "q1", map[string]string{
			"p": strings.Join([]string{`{"auction":1230,"bidder":1,"price":6.3560,"dateTime":"2026-03-01 10:00:00.000","extra":"accc"}`,
				`{"auction":1230,"bidder":1,"price":6.356,"dateTime":"2026-03-01 10:00:01.000","extra":"accc"}`, `{"auction":246,"bidder":2,"price":227,"dateTime":"2026-03-01 23:50:00.000","extra":"a\u0063cc"}`}, "\n"),
		}, "q1: 3 rows, as expected"},
		{"folders are columns", "q10", map[string]string{
			"dt=2026-03-01/hm=10%3A00/p": `{"auction":1230,"bidder":1,"price":7,"dateTime":"2026-03-01 10:00:00.000","extra":"accc"}` + "\n" + `{"auction":1230,"bidder":1,"price":7,"dateTime":"2026-03-01 10:00:01.000","extra":"accc"}`,
			"dt=2026-03-01/hm=23:50/p":   `{"auction":246,"bidder":2,"price":250,"dateTime":"2026-03-01 23:50:00.000","extra":"accc"}`,
		}, "q10: 3 rows, as expected"},
		{"the windows of processing time add up", "q12", map[string]string{
			"p": `{"bidder":1,"bid_count":1,"starttime":"x","endtime":"y"}` + "\n" + `{"bidder":2,"bid_count":1,"starttime":"x","endtime":"y"}` + "\n" + `{"bidder":1,"bid_count":1,"starttime":"z","endtime":"zz"}`,
		}, "q12: 2 rows, as expected"},
		{"and are told apart", "q12", map[string]string{"p": `{"bidder":1,"bid_count":1,"starttime":"x","endtime":"y"}`}, "q12: 1 rows (expected 2): 2 are missing, 1 should not be there\n+ " +
			`{"bidder":1,"bid_count":1}  (DIR/p:1)` + "\n- " + `{"bidder":1,"bid_count":2}` + "\n- " + `{"bidder":2,"bid_count":1}`},
	} {
		dir := written(t, c.files)
		q, err := Find(c.query)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Expect(q, e).Compare(dir)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.ReplaceAll(d.String(), dir, "DIR"); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
	for content, want := range map[string]string{
		`{"auction":1}`:                        `DIR/p: line 1: no column "price" (expected auction, price)`,
		`{"auction":1,"price":2,"x":3}`:        `DIR/p: line 1: 3 columns (expected auction, price)`,
		`{"auction":1,"price":2}` + "\n" + `x`: `DIR/p: line 2: invalid character 'x' looking for beginning of value`,
		`{"auction":1,"price":[2]}`:            `DIR/p: line 1: column "price" is a []interface {} (expected a number or text)`,
		`{"auction":1,"price":2e1}`:            `DIR/p: line 1: column "price": 2e1 (expected a number without exponent)`,
		`{"auction":1,"price":2} {}`:           `DIR/p: line 1: "{}" behind the object`,
		`null`:                                 `DIR/p: line 1: null (expected an object)`,
	} {
		dir := written(t, map[string]string{"p": content})
		q, _ := Find("q2")
		if _, err := Expect(q, e).Compare(dir); err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
			t.Errorf("%s: %v\nexpected %s", content, err, want)
		}
	}
	if _, err := Find("q24"); err == nil || err.Error() != `query "q24" (expected q0 to q23)` {
		t.Error(err)
	}
}

// What the reference writes is what it expects, for every query.
func TestCompareTakesTheAnswer(t *testing.T) {
	e := events(t, bid(1230, 1, 0, "10:00:07"), person(1, "Ann \"A\"", "OR", "10:00:00"), auction(1230, 1, 10, "10:00:00", "10:01:00"), bidFrom(1230, 1, 1250000, "10:00:05", "Apple", "https://x/a/b/c/?q=1&channel_id=5"), bid(1230, 2, 250, "10:00:06"))
	for i := range Queries {
		q := &Queries[i]
		columns := q.Columns
		if q.Name == "q12" {
			columns = append(columns[:2:2], "starttime", "endtime")
		}
		var file []byte
		Expect(q, e).each(func(line []byte) {
			if again, err := canonical(line, q.Columns, nil); err != nil || again != string(line) {
				t.Errorf("%s: %s is no canonical line but %s, %v", q.Name, line, again, err)
			}
		})
		q.Answer(e, func(r Row) {
			if q.Name == "q12" {
				r = append(r, Time(0), Time(10_000))
			}
			file = r.AppendJSON(file, columns)
		})
		d, err := Expect(q, e).Compare(written(t, map[string]string{"p": string(file)}))
		if err != nil || !d.Same() || d.Got == 0 {
			t.Errorf("%s: %v, %v", q.Name, d, err)
		}
	}
}
