package jobmanager

import (
	"reflect"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/wire"
)

// The slowest of a group is so of the tasks that have told, in the attempt that runs.
func TestTheSlowestOfEachGroup(t *testing.T) {
	of := func(attempt int, group string, watermark int64) wire.TaskMetrics {
		m := wire.TaskMetrics{}
		m.Attempt++
		for range attempt - 1 {
			m.Attempt++
		}
		if group != "" {
			m.Aligned = &wire.Aligned{Group: group, Watermark: watermark}
		}
		return m
	}
	tasks := []wire.TaskMetrics{of(2, "orders", 70), of(2, "", 0), of(2, "clicks", 5), of(2, "orders", 40), of(1, "orders", 10), of(2, "orders", 90)}
	got := slowest("j", 2, slices.Values(tasks))
	want := []wire.Slowest{{Job: "j", Attempt: 2, Group: "clicks", Watermark: 5}, {Job: "j", Attempt: 2, Group: "orders", Watermark: 40}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v (expected %+v)", got, want)
	}
}
