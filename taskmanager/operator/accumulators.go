package operator

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// accumulators brings those of older schema versions to the version declared, before the guest or anybody else sees them.
// What comes of it is stored at once, whatever becomes of the call: it says the same in other bytes.
type accumulators struct {
	batch *abi.Builder
	some  []uint32 // groups, as numbers of all, whose accumulators are in the batch
	shy   bool     // one that was not needed yet could not be migrated: it is not tried again
}

// isOld says whether the accumulator of a group must be migrated.
func (f *fold) isOld(g *group) bool {
	return !g.dropped && g.pane.table.Version(g.entry) < f.spec.Version && g.pane.table.Value(g.entry) != nil
}

// current sees to it that the accumulator of a group is of the version declared. It migrates as many of those behind it as
// fit beside it: they will be needed, too.
func (f *fold) current(number uint32) error {
	if f.spec.Version == 0 || !f.isOld(&f.all[number]) {
		return nil
	}
	last := number + 1
	if !f.older.shy {
		last = uint32(len(f.all))
	}
	err := f.migrate(number, last)
	if err != nil && len(f.older.some) > 1 {
		f.older.shy = true
		err = f.migrate(number, number+1)
	}
	return err
}

// migrate migrates the accumulators of all[first:last] that are of the version of the first, as many as make a call.
func (f *fold) migrate(first, last uint32) error {
	o := &f.older
	if o.batch == nil {
		o.batch = abi.NewBuilder(abi.ColumnValues)
	}
	o.batch.Reset()
	o.some = o.some[:0]
	from := f.all[first].pane.table.Version(f.all[first].entry)
	for i := first; i < last && o.batch.Size() < callBytes; i++ {
		if g := &f.all[i]; f.isOld(g) && g.pane.table.Version(g.entry) == from {
			o.some = append(o.some, i)
			o.batch.Append(abi.Record{Value: g.pane.table.Value(g.entry)})
		}
	}
	made, err := f.folder.Migrate(f.schema, from, o.batch, func(record uint32) string { return f.nameOlder(from, record) })
	if err != nil {
		return err
	}
	for i, number := range o.some {
		g := &f.all[number]
		if g.dropped = made.ValueNulls != nil && made.ValueNulls[i/8]>>(i%8)&1 == 1; g.dropped {
			continue // it is replaced by the next record's; until then it is dropped again when it is met
		}
		if err := g.pane.table.Migrate(g.entry, made.Value(i)); err != nil {
			return err
		}
	}
	return nil
}

// nameOlder says what accumulators are, or one of them, for people.
func (f *fold) nameOlder(from uint16, record uint32) string {
	text := fmt.Sprintf("state %q", f.spec.Name)
	if len(f.older.some) == 1 {
		record = 0
	}
	if int(record) < len(f.older.some) {
		g := &f.all[f.older.some[record]]
		text += " of key " + quoted(g.pane.table.Key(g.entry))
	}
	return fmt.Sprintf("%s, version %d", text, from)
}

// wholeResult says whether a group has an accumulator that is its result. One that cannot be had is a matter of the guest's.
func (f *fold) wholeResult(number uint32) (there bool, err error) {
	if err = f.current(number); err != nil {
		again := func(_, _ int) error { return f.current(number) }
		if err = f.folder.Retry(err, 1, again, func(int) Unit { return f.resultUnit(int(number)) }); err != nil {
			return false, err
		}
	}
	g := &f.all[number]
	return !g.dropped && !f.isOld(g), nil
}
