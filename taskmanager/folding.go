package taskmanager

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// folding is the guest of a reduce or aggregate, for the operator and for what folds ahead of it: it makes the calls.
type folding struct {
	handle *handle
	header abi.CallHeader
	input  *batch // that is being processed
}

// Accumulate implements operator.Folder.
func (s *folding) Accumulate(groups *abi.GroupsWriter) ([]byte, error) {
	return s.call(abi.VerbAccumulate, groups)
}

// Merge implements operator.Folder.
func (s *folding) Merge(groups *abi.GroupsWriter) ([]byte, error) {
	return s.call(abi.VerbMerge, groups)
}

func (s *folding) call(verb abi.Verb, groups *abi.GroupsWriter) ([]byte, error) {
	effects, err := s.handle.keyed(verb, &s.header, groups)
	if err != nil {
		return nil, err
	}
	return effects.Reply, nil
}

// Migrate implements operator.Folder.
func (s *folding) Migrate(state int, from uint16, elements *abi.Builder, name func(record uint32) string) (*abi.Batch, error) {
	return s.handle.migrate(state, from, elements, name)
}

// Retry implements operator.Folder.
func (s *folding) Retry(err error, n int, call func(lo, hi int) error, describe func(int) operator.Unit) error {
	return s.handle.retry(err, n, call, func(i int) poisoned {
		u := describe(i)
		if u.Row < 0 {
			return poisoned{kind: "result", name: u.Name, data: u.Data, key: u.Key, time: u.Time}
		}
		return recordUnit(s.input, &u)
	})
}
