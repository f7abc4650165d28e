package operator

import (
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// RequestError is a record whose request came to nothing, of a function that is not told of such.
type RequestError struct {
	Record  string
	Data    []byte
	Outcome abi.Outcome
	Tries   int
	Why     string
}

func (e *RequestError) Error() string {
	text := fmt.Sprintf("request for %s: %s", e.Record, e.Why)
	if e.Tries > 1 {
		text += fmt.Sprintf(" (tried %d times)", e.Tries)
	}
	return text
}

// describe has the function say what to ask about those that are fresh.
func (r *Requests) describe() error {
	for lo := 0; lo < len(r.fresh); {
		hi := r.fill(r.fresh, lo, len(r.fresh), callBytes, false)
		err := r.ask(r.fresh[lo:hi])
		if err != nil {
			part := r.fresh[lo:hi]
			err = r.config.Calls.Retry(err, len(part), func(lo, hi int) error {
				r.fill(part, lo, hi, maxInt, false)
				return r.ask(part[lo:hi])
			}, r.units(part))
		}
		if err != nil {
			return err
		}
		lo = hi
	}
	clear(r.fresh)
	r.fresh = r.fresh[:0]
	return nil
}

const maxInt = int(^uint(0) >> 1)

// fill writes records from lo, up to hi of them or about so many bytes, as groups, each of which is one record.
func (r *Requests) fill(list []*inquiry, lo, hi, bytes int, answers bool) (end int) {
	r.groups.Reset()
	end = lo
	for ; end < hi && (end == lo || r.groups.Size() < bytes); end++ {
		q := list[end]
		r.groups.Begin(abi.Group{Key: q.key})
		r.groups.List(abi.ListInput0, 0, 1, []int64{q.time}, [][]byte{q.value})
		if answers {
			r.answer = q.answer.Append(r.answer[:0])
			r.groups.List(abi.ListAnswers, 0, 1, nil, [][]byte{r.answer})
		}
		r.groups.EndGroup()
	}
	return end
}

// ask makes the call for the groups that were filled, which are part, and takes in what it answers: all of it or nothing.
func (r *Requests) ask(part []*inquiry) error {
	reply, err := r.config.Calls.Request(&r.groups)
	if err != nil {
		return err
	}
	asked := make([]*abi.Request, len(part))
	for len(reply) > 0 {
		var entry abi.ReplyEntry
		if entry, reply, err = abi.NextReplyEntry(reply); err != nil {
			return &ReplyError{Problem: err.Error()}
		}
		if int(entry.Group) >= len(part) || asked[entry.Group] != nil {
			return &ReplyError{Problem: fmt.Sprintf("the request function answered for group %d of %d", entry.Group, len(part))}
		}
		if asked[entry.Group], err = r.requestOf(&entry); err != nil {
			return &ReplyError{Problem: err.Error()}
		}
	}
	for i, q := range part {
		if asked[i] == nil {
			r.finish(q, abi.Answer{Outcome: abi.Unasked})
			continue
		}
		q.request = append(q.request[:0], asked[i].Body...)
		r.size += len(q.request)
		q.timeout = time.Duration(asked[i].TimeoutMs) * time.Millisecond
		if q.timeout == 0 {
			q.timeout = time.Duration(r.config.Requests.TimeoutMs) * time.Millisecond
		}
		r.unsent = append(r.unsent, q)
	}
	return nil
}

// requestOf is the one request of a group.
func (r *Requests) requestOf(entry *abi.ReplyEntry) (*abi.Request, error) {
	action, rest, err := abi.NextAction(entry.Actions)
	switch {
	case err != nil:
		return nil, err
	case action.Op != abi.ActionRequest || len(rest) > 0:
		return nil, fmt.Errorf("the request function answered %d actions for group %d, the first of op %d (expected one request)", entry.Count, entry.Group, action.Op)
	}
	q, err := abi.ParseRequest(action.Value)
	switch {
	case err != nil:
		return nil, err
	case q.Record != 0:
		return nil, fmt.Errorf("the request function asked for record %d of group %d (expected 0: a group has one)", q.Record, entry.Group)
	case string(q.Target) != r.config.Requests.Client:
		return nil, fmt.Errorf("the request function asks the client %q (expected %q)", q.Target, r.config.Requests.Client)
	}
	return &q, nil
}

// respond has results go out, about a call of them.
func (r *Requests) respond() error {
	r.leaving = r.all.ready(r.leaving[:0], responseRecords, callBytes)
	if len(r.leaving) == 0 {
		return nil
	}
	part := r.leaving
	if !r.config.Failures {
		for i, q := range part {
			if o := q.answer.Outcome; o != abi.Answered && o != abi.Unasked {
				if part = part[:i]; i == 0 { // those before it come out first
					return &RequestError{Record: q.name(), Data: q.value, Outcome: o, Tries: q.tries, Why: string(q.answer.Body)}
				}
				break
			}
		}
	}
	r.fill(part, 0, len(part), maxInt, true)
	err := r.config.Calls.Response(&r.groups)
	if err != nil {
		err = r.config.Calls.Retry(err, len(part), func(lo, hi int) error {
			r.fill(part, lo, hi, maxInt, true)
			return r.config.Calls.Response(&r.groups)
		}, r.units(part))
	}
	if err != nil {
		return err
	}
	for _, q := range part {
		r.leave(q)
	}
	clear(r.leaving)
	return nil
}

func (q *inquiry) name() string { return fmt.Sprintf("record %d of %s", q.number, q.from) }

// units says what the units of a call for part are.
func (r *Requests) units(part []*inquiry) func(i int) Unit {
	return func(i int) Unit {
		q := part[i]
		return Unit{Row: -1, Name: q.name(), Data: q.value, Key: q.key, Time: q.time, Skip: func() error {
			r.leave(q)
			return nil
		}}
	}
}
