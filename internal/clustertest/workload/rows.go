package workload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Rows reads lines of JSON, of which every eleventh is no row: those are told of in dead letters, once each; the others come out as
// they are, and are counted by name and minute.
var Rows = &Workload{
	Name: "rows", Guest: "formats", Outputs: []string{"copies", "counts", "letters"}, Params: map[string]string{"bad": "deadLetter", "times": "ms"},
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 22))
		files := make([][]string, 4)
		for i := range records {
			line := fmt.Sprintf(`{"x":[%d],"id":%d,"name":"n%d","price":%d.5,"at":%d}`, i, i, i%5, i, max(0, int64(i)*1000-r.Int64N(4000)))
			if i%11 == 10 {
				line = strings.Replace(line, `"id":`, `"id":-`, 1) + "]"
			}
			files[i%len(files)] = append(files[i%len(files)], line)
		}
		return Input{"input": files}
	},
	Check: checkRows,
}

// row is a line of the input, or of the copies.
type row struct {
	ID    int64   `json:"id"`
	Name  string  `json:"name"`
	Price float64 `json:"price"`
	At    any     `json:"at"`
}

func checkRows(in Input, out map[string][]File) error {
	rows := map[int64]row{} // that have not come out
	bad := map[string]bool{}
	counts := map[string]int64{} // by minute and name, those that are not counted
	for _, lines := range in["input"] {
		for _, l := range lines {
			var r row
			if json.Unmarshal([]byte(l), &r) != nil {
				bad[l] = true
				continue
			}
			rows[r.ID] = r
			counts[fmt.Sprint(int64(r.At.(float64))/60000, r.Name)]++
		}
	}
	for _, l := range linesOf(out["copies"]) {
		var r row
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			return fmt.Errorf("copies: %q: %w", l, err)
		}
		if was, ok := rows[r.ID]; !ok || was.Name != r.Name || was.Price != r.Price {
			return fmt.Errorf("copies: %q came out, or came out again", l)
		}
		delete(rows, r.ID)
	}
	for _, l := range linesOf(out["counts"]) {
		var c struct {
			Start int64  `json:"start"`
			Key   string `json:"key"`
			Value int64  `json:"value"`
		}
		if err := json.Unmarshal([]byte(l), &c); err != nil {
			return fmt.Errorf("counts: %q: %w", l, err)
		}
		window := fmt.Sprint(c.Start/60000, c.Key)
		if counts[window] -= c.Value; counts[window] < 0 {
			return fmt.Errorf("counts: %q: %d too many", l, -counts[window])
		}
	}
	for _, l := range linesOf(out["letters"]) {
		_, line, _ := strings.Cut(l, "\t")
		if !bad[line] {
			return fmt.Errorf("letters: %q came out, or came out again", l)
		}
		delete(bad, line)
	}
	for window, n := range counts {
		if n > 0 {
			return missing("%d rows, %d letters, and %d in the counts of %s did not come out", len(rows), len(bad), n, window)
		}
	}
	if len(rows)+len(bad) > 0 {
		return missing("%d rows and %d letters did not come out", len(rows), len(bad))
	}
	return nil
}
