package main

import (
	"errors"
	"io/fs"

	"github.com/wasmill/wasmill/host/module"
	"github.com/wasmill/wasmill/internal/api"
)

// Kinds of problems that no JobManager answers, beside those of api. The list only grows.
const (
	kindUsage  = "usage"  // the command line is wrong
	kindFailed = "failed" // anything else
)

// problem is an error as --output json prints it: the shape of the REST interface's problem+json.
type problem struct {
	Kind   string `json:"kind"`
	Status int    `json:"status,omitempty"` // of HTTP, when a JobManager has answered
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

func problemOf(err error) problem {
	p := problem{Kind: kindFailed, Detail: err.Error(), Hint: hintOf(err)}
	var usage *usageError
	var refused *api.Error
	var unreachable *api.UnreachableError
	var inspected *module.Error
	switch {
	case errors.As(err, &usage):
		p.Kind = kindUsage
	case errors.As(err, &refused):
		p.Kind, p.Status = refused.Kind, refused.Status
	case errors.As(err, &unreachable):
		p.Kind = api.KindUnavailable
	case errors.As(err, &inspected):
		p.Kind = api.KindInvalid
	case errors.Is(err, fs.ErrNotExist):
		p.Kind = api.KindNotFound
	}
	p.Title = p.Kind
	return p
}

// answerFailure prints what there is in place of an answer with --output json: the job that failed, or the problem.
func (a *app) answerFailure(err error) {
	if !a.json || a.answered || a.out.failure() != nil {
		return
	}
	var failed *jobFailed
	if errors.As(err, &failed) {
		_ = a.answer(failed.job, nil) // this is the end, and the error is reported already
		return
	}
	_ = a.answer(problemOf(err), nil)
}

// asksForJSON looks for --output json in a command line that was refused before it was read.
func asksForJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--output=json", "-o=json", "-ojson":
			return true
		case "--output", "-o":
			return i+1 < len(args) && args[i+1] == "json"
		}
	}
	return false
}
