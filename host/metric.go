package host

import (
	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// Limits of an instance's metrics: each name is a time series that somebody stores.
const (
	maxMetrics         = 100
	maxMetricNameBytes = 64
)

// metric adds value to a counter (kind 1) or sets a gauge (kind 2) of the guest's own, named by letters, digits and
// underscores. The change counts only if the call ends well. Names beyond 100 an instance are dropped, with a log line.
//
//	wasmill.metric(kind, name ptr, name len i32, value i64)
//
// For example, with "bad_lines" at 512: metric(1, 512, 9, 3) counts three more bad lines.
var metric = hostFunction{
	module: abi.ImportModule, name: abi.ImportMetric,
	params: []api.ValueType{i32, i32, i32, i64},
	call: func(i *Instance, stack []uint64) {
		kind := abi.MetricKind(uint32(stack[0]))
		if kind != abi.MetricCounter && kind != abi.MetricGauge {
			panic(errorf(KindBadPointer, "metric: kind %d (expected 1 or 2)", kind))
		}
		name := i.view("metric name", uint32(stack[1]), uint32(stack[2]))
		if !isMetricName(name) {
			panic(errorf(KindBadPointer, "metric: name %q (expected 1 to %d of a-z, A-Z, 0-9 and _, not first a digit)", clean(string(name), maxMetricNameBytes), maxMetricNameBytes))
		}
		i.meter(kind, name, int64(stack[3]))
	},
}

func isMetricName(name []byte) bool {
	for k, c := range name {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (k == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return 0 < len(name) && len(name) <= maxMetricNameBytes
}

// meters are an instance's metrics, and what the call that runs changes of them.
type meters struct {
	byName  map[metricKey]int // index in all
	all     []meterChange
	changed []int // indices in all
	full    bool  // said once that there are too many
}

type metricKey struct {
	kind abi.MetricKind
	name string
}

type meterChange struct {
	metricKey
	value   int64
	changed bool
}

func (i *Instance) meter(kind abi.MetricKind, name []byte, value int64) {
	k, ok := i.byName[metricKey{kind, string(name)}]
	if !ok {
		if len(i.all) == maxMetrics {
			i.tooManyMetrics()
			return
		}
		if i.byName == nil {
			i.byName = make(map[metricKey]int)
		}
		key := metricKey{kind, string(name)}
		k = len(i.all)
		i.byName[key] = k
		i.all = append(i.all, meterChange{metricKey: key})
	}
	m := &i.all[k]
	if !m.changed {
		m.changed, m.value = true, 0
		i.changed = append(i.changed, k)
	}
	if kind == abi.MetricGauge {
		m.value = value
	} else {
		m.value += value
	}
}

func (i *Instance) tooManyMetrics() {
	if !i.full {
		i.full = true
		i.logLine(abi.LogWarn, "this guest has more than 100 metrics: further ones are dropped")
	}
}

// applyMetrics hands on what the call changed.
func (i *Instance) applyMetrics() {
	for _, k := range i.changed {
		m := &i.all[k]
		if i.config.Metric != nil {
			i.config.Metric(m.kind, m.name, m.value)
		}
		m.changed = false
	}
	i.changed = i.changed[:0]
}

// forgetMetrics drops what a call changed that did not end well.
func (i *Instance) forgetMetrics() {
	for _, k := range i.changed {
		i.all[k].changed = false
	}
	i.changed = i.changed[:0]
}
