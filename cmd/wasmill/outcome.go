package main

import (
	"errors"

	"github.com/wasmill/wasmill/internal/api"
)

// outcomeIn gives the error of a JobManager that has ended while it did what a command has asked the hint where the outcome is
// seen. accepted: it has answered that it does it, and was followed.
func outcomeIn(err error, accepted bool, hint string, args ...any) error {
	var unreachable *api.UnreachableError
	var refused *api.Error
	if errors.As(err, &refused) && refused.Hint != "" { // it is there, and knows
		return err
	}
	if !passing(err) || errors.As(err, &unreachable) && !unreachable.Sent && !accepted {
		return err
	}
	return withHint(err, "when the JobManager is back, "+hint, args...)
}

// What the hints say about each sort of command; %s is the job.
const (
	changeSeenIn     = "`last changes` of `wasmill info %s` says what became of it; if it is not there, nothing of it was done"
	savepointSeenIn  = "`wasmill savepoint list %[1]s` has it if it was completed, and `wasmill info %[1]s` says whether the job has ended"
	checkpointSeenIn = "`wasmill checkpoints %s` has it if it was completed"
	endSeenIn        = "`wasmill info %s` says whether the job has ended"
	lossSeenIn       = "`wasmill info %s` names what was given up"
)
