package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Ledger moves money between accounts: the total is conserved, and the records of an account have no gap.
var Ledger = &Workload{
	Name: "ledger", Guest: "ledger", Outputs: []string{""}, Timeless: true,
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 12))
		files := make([][]string, 2)
		for i := range records {
			from := r.IntN(10)
			to := (from + 1 + r.IntN(9)) % 10
			files[i%2] = append(files[i%2], fmt.Sprintf("a%d,a%d,%d", from, to, 1+r.IntN(1000)))
		}
		return Input{"input": files}
	},
	Check: checkLedger,
}

// Congested is a ledger that takes far longer to book than to read: much is in flight at any time.
var Congested = &Workload{
	Name: "congested ledger", Guest: Ledger.Guest, Params: map[string]string{"effort": "10000"}, Outputs: Ledger.Outputs, Make: Ledger.Make, Check: Ledger.Check,
}

func checkLedger(in Input, out map[string][]File) error {
	want := map[string][]int64{} // deltas by account, in no order
	for _, lines := range in["input"] {
		for _, l := range lines {
			f := strings.Split(l, ",")
			var amount int64
			if _, err := fmt.Sscan(f[2], &amount); err != nil {
				return err
			}
			want[f[0]] = append(want[f[0]], -amount)
			want[f[1]] = append(want[f[1]], amount)
		}
	}
	got, balance := map[string][]int64{}, map[string]int64{}
	for _, f := range out[""] {
		for _, l := range f.Lines {
			account, rest, _ := strings.Cut(l, ",")
			var seq int
			var delta, after int64
			if _, err := fmt.Sscanf(rest, "%d,%d,%d", &seq, &delta, &after); err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			if seq != len(got[account])+1 {
				return fmt.Errorf("%s: account %s: record %d behind %d", f.Name, account, seq, len(got[account]))
			}
			got[account] = append(got[account], delta)
			if balance[account] += delta; balance[account] != after {
				return fmt.Errorf("%s: account %s: balance %d at record %d (its records make %d)", f.Name, account, after, seq, balance[account])
			}
		}
	}
	total := int64(0)
	var wrong error
	for account, deltas := range want {
		wrong = worst(wrong, sameNumbers("account "+account, deltas, got[account]))
		total += balance[account]
	}
	if wrong != nil {
		return wrong
	}
	if total != 0 {
		return fmt.Errorf("the total is %d (expected 0)", total)
	}
	return nil
}
