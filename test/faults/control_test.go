//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// requests are the names of control requests, those of TaskManagers first.
var requests = []string{"register", "heartbeat", "report", "acknowledge", "split", "deploy", "cancel", "commit", "trigger", "conclude"}

// troubled is row 12: control requests are lost, carried out twice, or carried out while their caller is told that nobody
// answers. All of them now and then; and those of a name, the first three that a process sends each in another way.
func troubled() []scenario {
	all := []scenario{{row: "12", name: "all requests", prepare: func(x *run) { x.trouble("", 0.05) }, fault: func(x *run) {
		x.completes(1)
		x.strike()
		x.completes(2)
		x.mended()
		x.until(30*time.Second, "requests are dropped, doubled, and carried out without an answer", func(ctx context.Context) bool {
			x.keepUp()
			x.look(ctx)
			met := ""
			for _, p := range x.processes() {
				met += strings.Join(p.points(), "\n") + "\n"
			}
			return strings.Contains(met, " dropped\n") && strings.Contains(met, " twice\n") && strings.Contains(met, " answer lost\n")
		})
		x.calm()
	}}}
	for _, name := range requests {
		all = append(all, scenario{row: "12", name: name, fullOnly: !slices.Contains([]string{"acknowledge", "commit", "deploy"}, name),
			prepare: func(x *run) { x.trouble(":"+name, 0.1) },
			fault: func(x *run) {
				x.completes(1)
				x.tms[x.random.IntN(2)].kill()
				x.mended()
			},
			last: func(x *run) { // to the end: the last requests were in trouble, too
				for _, p := range x.processes() {
					if strings.Contains(strings.Join(p.points(), "\n"), "request "+name+" ") {
						return
					}
				}
				x.t.Errorf("no request %s was in trouble: nothing was tested", name)
			}})
	}
	return all
}

// trouble has every process make trouble of requests of a name, or all, as long as it is not calm: sooner or later, with a
// chance each kind, or the first three of a name.
func (x *run) trouble(name string, chance float64) {
	x.t.Helper()
	if err := os.WriteFile(x.path("trouble"), nil, 0o666); err != nil {
		x.t.Fatal(err)
	}
	fates := []string{"drop", "twice", "lost"}
	x.random.Shuffle(len(fates), func(i, k int) { fates[i], fates[k] = fates[k], fates[i] })
	if name != "" {
		for _, f := range fates {
			x.always += fmt.Sprintf(",request%s=%s:1@1?%s", name, f, x.path("trouble"))
		}
	}
	for _, f := range fates {
		x.always += fmt.Sprintf(",request%s=%s:%g?%s", name, f, chance, x.path("trouble"))
	}
}

// calm ends the trouble.
func (x *run) calm() {
	x.t.Helper()
	if err := os.Remove(x.path("trouble")); err != nil {
		x.t.Fatal(err)
	}
	x.pass(100 * time.Millisecond)
}
