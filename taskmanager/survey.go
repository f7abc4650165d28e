package taskmanager

import (
	"maps"
	"slices"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// note remembers the versions of what a file has of the states that may have several.
func (k *keeper) note(name string, states []snapshot.State, info snapshot.Info) {
	found := checkpoint.Versions{}
	for i, version := range info.Oldest {
		switch s := &states[i]; state.Kind(s.Kind) {
		case state.Bytes, state.List, state.Map:
			found.Add(s.Operator, s.Name, int(version))
		}
	}
	if k.versions == nil {
		k.versions = map[string]checkpoint.Versions{}
	}
	k.versions[name] = found
}

// survey is what its files have together, nil while one of them is another attempt's: what that has is found when it is folded.
func (k *keeper) survey() checkpoint.Versions {
	maps.DeleteFunc(k.versions, func(name string, _ checkpoint.Versions) bool {
		return !slices.ContainsFunc(k.files, func(f checkpoint.File) bool { return f.Name == name })
	})
	if len(k.versions) < len(k.files) {
		return nil
	}
	all := checkpoint.Versions{}
	for _, found := range k.versions {
		for uid, states := range found {
			all.AddAll(uid, states)
		}
	}
	return all
}
