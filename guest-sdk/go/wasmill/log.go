package wasmill

// Level is how much a line of the log matters.
type Level uint32

// The levels of Log, as every SDK has them.
const (
	LevelDebug Level = 1
	LevelInfo  Level = 2
	LevelWarn  Level = 3
	LevelError Level = 4
)

// The kinds of metric.
const (
	counterKind = 1
	gaugeKind   = 2
)

// Log writes one line to the job's log, where it is tagged with job, operator and subtask. What is printed to stdout and
// stderr goes there, too, at levels info and error. Natively it prints to stderr.
func Log(level Level, text string) { hostLog(uint32(level), text) }

// CounterAdd adds n to a counter of the task, which its TaskManager serves among its metrics. It counts when the call
// that the guest is in succeeds. Natively it does nothing.
func CounterAdd(name string, n int64) { hostMetric(counterKind, name, n) }

// GaugeSet sets a gauge of the task, as CounterAdd adds to a counter.
func GaugeSet(name string, value int64) { hostMetric(gaugeKind, name, value) }
