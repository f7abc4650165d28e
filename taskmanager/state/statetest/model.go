package statetest

import (
	"maps"
	"slices"

	"github.com/wasmill/wasmill/taskmanager/state"
)

const groups = 8

var (
	windows = state.Spec{Operator: "b", Name: "windows", Kind: state.Words}
	sums    = state.Spec{Operator: "a", Name: "sums", Kind: state.Bytes, Version: 3}
	brief   = state.Spec{Operator: "b", Name: "brief", Kind: state.Bytes, TTL: 500}
	logs    = state.Spec{Operator: "b", Name: "logs", Kind: state.List}
	carts   = state.Spec{Operator: "a", Name: "carts", Kind: state.Map}
	alarms  = state.Spec{Operator: "a", Name: "alarms", Kind: state.Timer}
	offers  = state.Spec{Operator: "a", Name: "offers", Kind: state.Map, TTL: 300, Version: 2}
	news    = state.Spec{Operator: "b", Name: "news", Kind: state.List, TTL: 300}
	scraps  = state.Spec{Operator: "a", Name: "scraps", Kind: state.Piece}
)

// model is what a store should hold.
type model struct {
	now     int64 // by which entries have ended
	at      int64 // from which what is written lives
	windows map[state.Namespace]map[string]uint64
	sums    map[string]string
	brief   map[string]briefly
	logs    map[string][]string
	carts   map[string]map[string]string
	alarms  map[string]int64 // "time key"
	offers  map[string]map[string]briefly
	news    map[string][]briefly
	scraps  map[state.Namespace]map[scrap]string
	own     string
}

// scrap is a piece of a key.
type scrap struct {
	key    string
	number uint32
}

type briefly struct {
	value  string
	expiry int64
}

func newModel() *model {
	return &model{
		windows: map[state.Namespace]map[string]uint64{}, sums: map[string]string{}, brief: map[string]briefly{},
		logs: map[string][]string{}, carts: map[string]map[string]string{}, alarms: map[string]int64{},
		offers: map[string]map[string]briefly{}, news: map[string][]briefly{},
		scraps: map[state.Namespace]map[scrap]string{},
	}
}

func (m *model) clone() *model {
	c := *m
	c.windows, c.carts, c.logs = map[state.Namespace]map[string]uint64{}, map[string]map[string]string{}, map[string][]string{}
	for k, v := range m.windows {
		c.windows[k] = maps.Clone(v)
	}
	for k, v := range m.carts {
		c.carts[k] = maps.Clone(v)
	}
	for k, v := range m.logs {
		c.logs[k] = slices.Clone(v)
	}
	c.scraps = map[state.Namespace]map[scrap]string{}
	for k, v := range m.scraps {
		c.scraps[k] = maps.Clone(v)
	}
	c.offers, c.news = map[string]map[string]briefly{}, map[string][]briefly{}
	for k, v := range m.offers {
		c.offers[k] = maps.Clone(v)
	}
	for k, v := range m.news {
		c.news[k] = slices.Clone(v)
	}
	c.sums, c.brief, c.alarms = maps.Clone(m.sums), maps.Clone(m.brief), maps.Clone(m.alarms)
	return &c
}

// ends is the end of what is written now.
func (m *model) ends(s state.Spec) int64 { return max(m.at+s.TTL, 1) }
