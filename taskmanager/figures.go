package taskmanager

import "github.com/wasmill/wasmill/internal/wire"

// Figures is what one task has done since it began.
type Figures struct {
	wire.TaskMetrics
	Operators string // of its chain, for people: "files -> split -> word"
}

// Figures returns those of every task of the attempts that run here.
func (tm *TaskManager) Figures() []Figures {
	var all []Figures
	for _, t := range tm.tasks() {
		all = append(all, Figures{TaskMetrics: t.figures(), Operators: t.name})
	}
	return all
}
