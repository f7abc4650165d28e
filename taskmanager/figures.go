package taskmanager

import "github.com/wasmill/wasmill/internal/wire"

// Figures are what one task has done so far.
type Figures struct {
	wire.TaskMetrics
	Operators string           // of its chain: "files -> split -> word"
	Late      int64            // records whose window had fired
	Guest     map[string]int64 // what its guests count, by the names that they use; nil without
}

// Figures returns those of every task of the attempts that run here.
func (tm *TaskManager) Figures() []Figures {
	var out []Figures
	for _, t := range tm.tasks() {
		out = append(out, Figures{TaskMetrics: t.figures(), Operators: t.name, Late: t.metrics.late.Load(), Guest: t.guests.all()})
	}
	return out
}
