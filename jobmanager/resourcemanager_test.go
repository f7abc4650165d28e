package jobmanager

import (
	"context"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/wire"
)

// A TaskManager that has registered gets no work before its end would be noticed: one killed in between would be missed
// for as long as its heartbeats may be silent.
func TestSlotsAreGivenOutOnlyWhenOpened(t *testing.T) {
	r := newResourceManager()
	q := r.request("job", 2)
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
