package api

import (
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// JobPage is a part of the list of jobs. Next, if any, is the cursor to ask for the rest with: ?after=NEXT.
type JobPage struct {
	Jobs []Job  `json:"jobs"`
	Next string `json:"next,omitempty"`
}

// ModulePage is a part of the list of modules.
type ModulePage struct {
	Modules []Module `json:"modules"`
	Next    string   `json:"next,omitempty"`
}

// TaskManagerPage is the list of TaskManagers.
type TaskManagerPage struct {
	TaskManagers []TaskManager `json:"taskManagers"`
}

// LogPage is what guests have logged, the oldest line first.
type LogPage struct {
	Lines []wire.LogLine `json:"lines"`
}

// JobMetrics is what a job's tasks have done: each task in the current attempt, all of them together since the job began.
type JobMetrics struct {
	Job      graph.JobID   `json:"job"`
	State    JobState      `json:"state"`
	Attempt  graph.Attempt `json:"attempt"`
	Restarts int           `json:"restarts"`
	Progress Progress      `json:"progress"`
	Tasks    []Task        `json:"tasks"`
}
