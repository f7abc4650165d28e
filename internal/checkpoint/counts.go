package checkpoint

import "maps"

// Counts is how much has passed through tasks. What a restart undoes is not among it, and what it repeats is there once.
type Counts struct {
	InputRead  int64            `json:"inputRead"`        // bytes of input consumed by sources
	SourceOut  int64            `json:"sourceOut"`        // records that sources have read
	RecordsOut int64            `json:"recordsOut"`       // records that tasks have sent
	SinkIn     map[string]int64 `json:"sinkIn,omitempty"` // records that each sink has taken, by uid
}

// Add adds what has passed besides.
func (c *Counts) Add(more *Counts) {
	c.InputRead += more.InputRead
	c.SourceOut += more.SourceOut
	c.RecordsOut += more.RecordsOut
	if len(more.SinkIn) > 0 {
		c.SinkIn = maps.Clone(c.SinkIn) // it may be that of what is counted on
		if c.SinkIn == nil {
			c.SinkIn = map[string]int64{}
		}
	}
	for uid, n := range more.SinkIn {
		c.SinkIn[uid] += n
	}
}

// AddCounts adds what has passed through tasks since their attempt began to what had passed before what it was restored from,
// nil for nothing. Tasks that had finished then are counted there.
func AddCounts(restored *Plan, tasks []Task) (sum Counts) {
	if restored != nil {
		sum = restored.Counts
	}
	for i := range tasks {
		if restored == nil || restored.Finished[tasks[i].Task] == nil {
			sum.Add(&tasks[i].Counts)
		}
	}
	return sum
}
