package jobmanager

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/wire"
)

// A TaskManager that has registered gets no work before its end would be noticed: one killed in between would be missed
// for as long as its heartbeats may be silent.
func TestSlotsAreGivenOutOnlyWhenOpened(t *testing.T) {
	r := newResourceManager(time.Now)
	q := r.request("job", 2, 0)
	r.add(context.Background(), wire.Register{TaskManager: "a", Slots: 2}, 1, nil, time.Time{})
	if tms, slots, free := r.count(); tms != 0 || slots != 0 || free != 0 || len(r.list()) != 0 || len(q.granted) != 0 {
		t.Errorf("before: %d TaskManagers, %d slots, %d free, %d granted", tms, slots, free, len(q.granted))
	}
	r.open("a")
	if tms, slots, free := r.count(); tms != 1 || slots != 2 || free != 0 || len(r.list()) != 1 || len(q.granted) != 1 {
		t.Errorf("opened: %d TaskManagers, %d slots, %d free, %d granted", tms, slots, free, len(q.granted))
	}
	r.open("nobody")
}

// After a channel between two TaskManagers broke, jobs are kept from being on both, as long as there are others and it is not
// long ago. Of many pairs the newest count.
func TestTaskManagersAreKeptApart(t *testing.T) {
	now := time.Time{}.Add(time.Hour)
	r := newResourceManager(func() time.Time { return now })
	for _, id := range []wire.TaskManagerID{"a", "b", "c"} {
		r.add(context.Background(), wire.Register{TaskManager: id, Slots: 2}, 1, nil, now)
		r.open(id)
	}
	on := func(wanted int) string {
		defer r.release("job")
		var all []string
		for _, s := range <-r.request("job", wanted, 0).granted {
			all = append(all, string(s.TaskManager))
		}
		slices.Sort(all)
		return strings.Join(all, "")
	}
	if got := on(3); got != "abc" {
		t.Errorf("before: %s", got)
	}
	r.keepApart("b", "a")
	if got := on(4); got != "aacc" && got != "bbcc" {
		t.Errorf("a and b are apart: %s", got)
	}
	if got := on(6); got != "aabbcc" {
		t.Errorf("there are no other slots: %s", got)
	}
	now = now.Add(keptApart - 1)
	if got := on(2); strings.Contains(got, "a") && strings.Contains(got, "b") {
		t.Errorf("just before the end: %s", got)
	}
	now = now.Add(1)
	if got := on(3); got != "abc" {
		t.Errorf("afterwards: %s", got)
	}
	r.keepApart("a", "b")
	for i := range brokenKept {
		r.keepApart("x", wire.TaskManagerID(fmt.Sprint(i)))
	}
	if got := on(3); got != "abc" || len(r.apart) != brokenKept {
		t.Errorf("many pairs later: %s, %d pairs", got, len(r.apart))
	}
}
