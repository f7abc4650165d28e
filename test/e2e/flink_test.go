package e2e

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/test/harness"
)

// shopRecord is a line of examples/flink/data: an order, or a click, which has no amount.
type shopRecord struct {
	user, item string
	amount, at int64
}

func shopRecords(t *testing.T, path string) (all []shopRecord) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		at, err := time.Parse(time.RFC3339, line[len(line)-1])
		if err != nil {
			t.Fatal(err)
		}
		r := shopRecord{user: line[0], item: line[1], at: at.UnixMilli()}
		if len(line) == 4 {
			if r.amount, err = strconv.ParseInt(line[2], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, r)
	}
	return all
}

const minute, hour = int64(60_000), int64(3_600_000)

// shopAnswers is what the jobs of examples/flink write, computed from their definition.
var shopAnswers = map[string]func(orders, clicks []shopRecord) []string{
	"revenue": func(orders, _ []shopRecord) (lines []string) {
		for item, of := range by(orders, func(r shopRecord) string { return r.item }) {
			lines = append(lines, fmt.Sprintf("%s\t%d", item, amounts(of)))
		}
		return lines
	},
	"hourly": func(orders, _ []shopRecord) (lines []string) {
		for key, of := range by(orders, func(r shopRecord) string {
			return fmt.Sprintf("%d\t%d\t%s", r.at/hour*hour, r.at/hour*hour+hour, r.item)
		}) {
			lines = append(lines, fmt.Sprintf("%s\t%d", key, len(of)))
		}
		return lines
	},
	"average": func(orders, _ []shopRecord) (lines []string) {
		windows := map[string][]shopRecord{}
		for _, r := range orders {
			for start := r.at / (5 * minute) * 5 * minute; start > r.at-hour; start -= 5 * minute {
				key := fmt.Sprintf("%d\t%d\t%s", start, start+hour, r.item)
				windows[key] = append(windows[key], r)
			}
		}
		for key, of := range windows {
			lines = append(lines, key+"\t"+strconv.FormatFloat(float64(amounts(of))/float64(len(of)), 'g', -1, 64))
		}
		return lines
	},
	"sessions": func(_, clicks []shopRecord) (lines []string) {
		for user, of := range by(clicks, func(r shopRecord) string { return r.user }) {
			slices.SortFunc(of, func(a, b shopRecord) int { return cmp.Compare(a.at, b.at) })
			for len(of) > 0 {
				n := 1
				for n < len(of) && of[n].at <= of[n-1].at+20*minute { // a pause of the gap itself joins
					n++
				}
				lines = append(lines, fmt.Sprintf("%d\t%d\t%s\t%d", of[0].at, of[n-1].at+20*minute, user, n))
				of = of[n:]
			}
		}
		return lines
	},
	"abandoned": func(orders, clicks []shopRecord) (lines []string) {
		for _, c := range clicks {
			if !slices.ContainsFunc(orders, func(o shopRecord) bool { return o.user == c.user && o.at > c.at && o.at <= c.at+hour }) {
				lines = append(lines, c.user+" left "+c.item)
			}
		}
		return lines
	},
	"attributed": func(orders, clicks []shopRecord) (lines []string) {
		for _, o := range orders {
			for _, c := range clicks {
				if c.user == o.user && c.at <= o.at && o.at <= c.at+15*minute {
					lines = append(lines, o.user+" ordered "+o.item+" after "+c.item)
				}
			}
		}
		return lines
	},
	"converted": func(orders, clicks []shopRecord) (lines []string) {
		counts := map[string][2]int{}
		for i, of := range [][]shopRecord{clicks, orders} {
			for _, r := range of {
				key := fmt.Sprintf("%d %s", r.at/hour*hour, r.item)
				n := counts[key]
				n[i]++
				counts[key] = n
			}
		}
		for key, n := range counts {
			lines = append(lines, fmt.Sprintf("%s: %d of %d", key, n[1], n[0]))
		}
		return lines
	},
	"categories": func(orders, _ []shopRecord) (lines []string) {
		categories := map[string]string{"lamp": "light", "desk": "office", "chair": "office", "shelf": "storage", "rug": "textile", "clock": "decoration"}
		for _, o := range orders {
			lines = append(lines, o.user+" "+o.item+" "+categories[o.item])
		}
		return lines
	},
	"first": func(orders, _ []shopRecord) (lines []string) {
		last := map[string]int64{}
		for _, o := range orders { // in the order of the file
			if day := o.at / (24 * hour); last[o.user] < day {
				last[o.user] = day
				lines = append(lines, o.user+" "+o.item)
			}
		}
		return lines
	},
	"top": func(orders, _ []shopRecord) (lines []string) {
		for start, of := range by(orders, func(r shopRecord) string { return iso(r.at / hour * hour) }) {
			var sold []shopRecord
			for item, of := range by(of, func(r shopRecord) string { return r.item }) {
				sold = append(sold, shopRecord{item: item, amount: amounts(of), at: of[0].at / hour * hour})
			}
			slices.SortFunc(sold, func(a, b shopRecord) int { return cmp.Compare(b.amount, a.amount) })
			for i, s := range sold[:min(3, len(sold))] {
				lines = append(lines, fmt.Sprintf(`{"start":"%s","rank":%d,"sold":{"start":"%s","end":"%s","item":"%s","amount":%d}}`,
					start, i+1, start, iso(s.at+hour), s.item, s.amount))
			}
		}
		return lines
	},
}

func by(records []shopRecord, key func(shopRecord) string) map[string][]shopRecord {
	of := map[string][]shopRecord{}
	for _, r := range records {
		of[key(r)] = append(of[key(r)], r)
	}
	return of
}

func amounts(of []shopRecord) (sum int64) {
	for _, r := range of {
		sum += r.amount
	}
	return sum
}

func iso(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z") }

// The jobs of docs/flink.md do what they say, in each language, at any parallelism.
func TestJobsBesideFlinks(t *testing.T) {
	root := harness.Root(t)
	data := filepath.Join(root, "examples/flink/data")
	orders, clicks := shopRecords(t, data+"/orders.csv"), shopRecords(t, data+"/clicks.csv")
	check := func(t *testing.T, guest string, parallelisms ...string) {
		for name, answer := range shopAnswers {
			want := answer(orders, clicks)
			slices.Sort(want)
			if len(want) == 0 {
				t.Fatalf("%s: the answer is empty", name)
			}
			for _, parallelism := range parallelisms {
				t.Run(name+" at "+parallelism, func(t *testing.T) {
					out := t.TempDir()
					built.wasmill.Run(t, "run", guest, "--param", "job="+name, "--param", "data="+data,
						"--param", "output="+out, "--parallelism", parallelism).OK(t)
					harness.Same(t, harness.Output(t, out), strings.Join(want, "\n")+"\n")
				})
			}
		}
	}
	t.Run("go", func(t *testing.T) { check(t, goGuest(t, root+"/examples/flink/go"), "1", "3") })
	t.Run("rust", func(t *testing.T) { check(t, rustGuest(t, "flink"), "2") })
}

// shownOf are the languages of the jobs: what stands before and behind a job's name in its file, and what ends what the page does not show.
var shownOf = map[string][3]string{
	"go":   {"examples/flink/go/", ".go", "import "},
	"rust": {"examples/flink/rust/src/", ".rs", "use "},
}

// The page shows the jobs as they are.
func TestJobsBesideFlinksAreShownAsTheyAre(t *testing.T) {
	root := harness.Root(t)
	page, err := os.ReadFile(root + "/docs/flink.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range shopAnswers {
		for _, of := range shownOf {
			file, err := os.ReadFile(filepath.Join(root, of[0]+name+of[1]))
			if err != nil {
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(string(file), of[2])
			for _, rest := range strings.SplitAfter(after, "\n\n")[1:] { // behind the imports
				if rest = strings.TrimSpace(rest); !strings.Contains(string(page), rest) && !strings.HasPrefix(rest, "import") && !strings.HasPrefix(rest, "\"") {
					t.Errorf("docs/flink.md does not show, of %s:\n%s", of[0]+name+of[1], rest)
				}
			}
		}
	}
}
