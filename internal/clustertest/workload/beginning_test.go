package workload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The beginning of an output is told from one that lacks something in its middle, or has something that is wrong or came again.
func TestVerifyBeginning(t *testing.T) {
	const (
		whole = iota
		beginning
		wrong
	)
	moves := Input{"input": {{"a0,a1,5", "a0,a1,7"}}}
	copied := Input{"input": {{"0,0,aa", "0,1,bb"}, {"1,0,cc"}}}
	late := Input{"input": {{"k0,100,5", "k0,1500,1", "k0,200,7"}}} // the last one is late, or is not
	counted := Input{"input": {{"k0", "k1", "k0"}}}
	poisoned := Input{"input": {{"k0,1", "k1,7", "k0,8"}}}
	for name, c := range map[string]struct {
		w    *Workload
		in   Input
		out  map[string]string // by file
		want int
	}{
		"no output yet":              {Copy, copied, nil, beginning},
		"all":                        {Copy, copied, map[string]string{"part-1-0-0": "0,0,aa 1,0,cc 0,1,bb"}, whole},
		"some":                       {Copy, copied, map[string]string{"part-1-0-0": "0,0,aa"}, beginning},
		"some, and what is prepared": {Copy, copied, map[string]string{"part-1-0-0": "0,0,aa", ".part-2-0-0.pending": "0,1,bb"}, beginning},
		"a gap":                      {Copy, copied, map[string]string{"part-1-0-0": "1,0,cc 0,1,bb"}, wrong},
		"again":                      {Copy, copied, map[string]string{"part-1-0-0": "0,0,aa", "part-2-0-0": "0,0,aa"}, wrong},
		"other lines":                {Copy, copied, map[string]string{"part-1-0-0": "0,0,ab"}, wrong},
		"all moves":                  {Ledger, moves, map[string]string{"part-1-0-0": "a0,1,-5,-5 a0,2,-7,-12 a1,1,7,7 a1,2,5,12"}, whole},
		"one side of a move":         {Ledger, moves, map[string]string{"part-1-0-0": "a0,1,-7,-7"}, beginning},
		"a move that was none":       {Ledger, moves, map[string]string{"part-1-0-0": "a1,1,5,5", "part-2-0-0": "a1,2,6,11"}, wrong},
		"a move again":               {Ledger, moves, map[string]string{"part-1-0-0": "a0,1,-5,-5 a0,2,-7,-12", "part-2-0-0": "a1,1,5,5 a1,2,5,10"}, wrong},
		"the late line is to come":   {Windows, late, map[string]string{"results/part-1-0-0": "0,k0,5"}, beginning},
		"it was not late":            {Windows, late, map[string]string{"results/part-1-0-0": "0,k0,12 1000,k0,1"}, whole},
		"it was late":                {Windows, late, map[string]string{"results/part-1-0-0": "0,k0,5 1000,k0,1", "late/part-1-0-0": "k0,200,7"}, whole},
		"it counts, and was late":    {Windows, late, map[string]string{"results/part-1-0-0": "0,k0,12", "late/part-1-0-0": "k0,200,7"}, wrong},
		"a line that is not late":    {Windows, late, map[string]string{"results/part-1-0-0": "0,k0,7"}, wrong},
		"a window again":             {Windows, late, map[string]string{"results/part-1-0-0": "0,k0,12", "results/part-2-0-0": "0,k0,12"}, wrong},
		"all counts":                 {Sleepy(2, 8), counted, map[string]string{"part-1-0-0": "k0,1 k1,1", "part-2-0-0": "k0,2"}, whole},
		"counts to come":             {Sleepy(2, 8), counted, map[string]string{"part-1-0-0": "k0,1"}, beginning},
		"a count again":              {Sleepy(2, 8), counted, map[string]string{"part-1-0-0": "k0,1 k1,1", "part-2-0-0": "k0,1"}, wrong},
		"a count of nothing":         {Sleepy(2, 8), counted, map[string]string{"part-1-0-0": "k0,1 k0,2 k0,3 k1,1"}, wrong},
		"letters to come":            {Poison, poisoned, map[string]string{"good/part-1-0-0": "k0,1,1 k0,8,2"}, beginning},
		"a letter behind a gap":      {PoisonTimers, poisoned, map[string]string{"letters/part-1-0-0": "timer\tk9\tfor\xa07\xa0of\xa0key\tk9"}, wrong},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, o := range c.w.Outputs {
				if len(c.out) > 0 {
					_ = os.MkdirAll(filepath.Join(dir, "output", o), 0o777) // tells below
				}
			}
			for file, lines := range c.out {
				lines = strings.ReplaceAll(strings.ReplaceAll(lines, " ", "\n"), "\xa0", " ")
				if err := os.WriteFile(filepath.Join(dir, "output", file), []byte(lines+"\n"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.w.VerifyBeginning(dir, c.in); (err != nil) != (c.want == wrong) {
				t.Errorf("as a beginning: %v", err)
			}
			if err := c.w.Verify(dir, c.in); (err != nil) != (c.want != whole) {
				t.Errorf("as a whole: %v", err)
			}
		})
	}
}
