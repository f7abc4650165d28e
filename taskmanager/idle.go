package taskmanager

import (
	"time"

	"github.com/wasmill/wasmill/internal/wire"
)

// rouse says that something comes, or may come, of a split.
func (in *sourceInput) rouse(o *openSplit) {
	if o.quiet.IsZero() {
		return
	}
	o.quiet = time.Time{}
	for a := range in.assigners() {
		a.setIdle(o.lane, false)
	}
	in.chain.idle = in.assigner.idle
	in.showIdle()
}

// rest makes idle what has been caught up for longer than each assigner's patience, and answers whether that has changed
// anything. A split that is to be asked again is asked first: the task may have been held up for longer.
func (in *sourceInput) rest(now time.Time) (changed bool) {
	if in.look.IsZero() || in.look.After(now) {
		return false
	}
	in.look = time.Time{}
	for a := range in.assigners() {
		if a.patience == 0 {
			continue
		}
		for _, o := range in.open {
			switch at := o.quiet.Add(a.patience); {
			case o.quiet.IsZero() || a.lanes.quiet[o.lane]:
			case at.After(now):
				in.look = sooner(in.look, at)
			case !o.wake.After(now):
				in.look = now
			default:
				a.setIdle(o.lane, true)
				changed = true
			}
		}
	}
	if changed {
		in.chain.watermark, in.chain.idle = in.assigner.watermark(), in.assigner.idle
		in.showIdle()
	}
	return changed
}

// showIdle tells which splits are idle to somebody.
func (in *sourceInput) showIdle() {
	var all []wire.Idle
	for _, o := range in.open {
		for a := range in.assigners() {
			if a.lanes.quiet[o.lane] {
				all = append(all, wire.Idle{What: o.from, Since: o.quiet})
				break
			}
		}
	}
	in.chain.metrics.setIdle(all)
}
