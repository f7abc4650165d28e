package jobmanager

import (
	"errors"
	"testing"

	"github.com/wasmill/wasmill/internal/checkpoint"
)

// What a job goes on from, when of three checkpoints some are damaged.
func TestChoose(t *testing.T) {
	errBusy := errors.New("the store does not answer")
	for _, c := range []struct {
		name    string
		whole   string // of the checkpoints 1 to 3, the oldest first: w, damaged -, unknown ?
		output  string // that they have committed: o
		job     string // r: output may be repeated; b: it began with a savepoint, which is checkpoint 1; o: it has committed output
		want    choice
		unknown bool
	}{
		{name: "all whole", whole: "www", output: "ooo", job: "o", want: choice{at: 2}},
		{name: "the newest damaged, nothing shown", whole: "ww-", output: "   ", want: choice{at: 1}},
		{name: "the newest damaged, which has shown output", whole: "ww-", output: "ooo", job: "o", want: choice{at: -1, repeats: true, stuck: true}},
		{name: "the same, output may be repeated", whole: "ww-", output: "ooo", job: "or", want: choice{at: 1, repeats: true}},
		{name: "older ones have shown output", whole: "ww-", output: "oo ", job: "o", want: choice{at: 1}},
		{name: "back over one that has shown some", whole: "w--", output: " o ", job: "o", want: choice{at: -1, repeats: true, stuck: true}},
		{name: "all damaged, nothing shown ever", whole: "---", output: "   ", want: choice{at: -1}},
		{name: "all damaged, output long ago", whole: "---", output: "   ", job: "o", want: choice{at: -1, stuck: true}},
		{name: "all damaged, output may be repeated", whole: "---", output: "   ", job: "or", want: choice{at: -1, repeats: true}},
		{name: "all damaged, begun with a savepoint", whole: "---", output: "   ", job: "b", want: choice{at: -1, stuck: true}},
		{name: "the newest cannot be read now", whole: "ww?", output: "   ", want: choice{at: 2}, unknown: true},
		{name: "nor one before a damaged one", whole: "w?-", output: "   ", want: choice{at: 1}, unknown: true},
	} {
		r := &jobRecord{}
		for i, o := range c.output {
			r.Checkpoints = append(r.Checkpoints, decided{ID: checkpoint.ID(i + 1), Output: o == 'o'})
		}
		for _, is := range c.job {
			r.Rewind, r.Output = r.Rewind || is == 'r', r.Output || is == 'o'
			if is == 'b' {
				r.Origin = &origin{}
			}
		}
		got, err := r.choose(r.Checkpoints, func(d decided) (bool, error) {
			switch c.whole[d.ID-1] {
			case '?':
				return false, errBusy
			case 'w':
				return true, nil
			}
			return false, nil
		})
		if got != c.want || (err != nil) != c.unknown {
			t.Errorf("%s: %+v, %v (expected %+v)", c.name, got, err, c.want)
		}
	}
}
