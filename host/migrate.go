package host

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// Migrate has the guest bring elements of a declared state from an older schema version to the one that its manifest
// declares. The state is function id << 16 | position in the function's states; in has values, and of a map keys. The
// answer has as many records in the same order, a null one for an element that is to be dropped; it is valid until the
// next call.
func (i *Instance) Migrate(state, from uint32, in *abi.Builder) (*abi.Batch, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.beginCall("migrate"); err != nil {
		return nil, err
	}
	if i.exports.migrate == nil {
		return nil, i.die(errorf(KindRefused, "the module does not export %s", abi.ExportMigrate), "migrate")
	}
	ptr, err := i.give(in)
	if err != nil {
		return nil, err
	}
	i.stack = [4]uint64{uint64(state), uint64(from), uint64(ptr), uint64(in.Size())}
	effects, err := i.finish(i.exports.migrate.CallWithStack(&i.ctx, i.stack[:]))
	if err != nil {
		return nil, err
	}
	out := &i.call.migrated
	if err := checkMigrated(out, effects.Reply, in); err != nil {
		return nil, i.die(errorf(KindBadPointer, "reply: %v", err), "migrate")
	}
	return out, nil
}

// checkMigrated parses what a migration of in has answered.
func checkMigrated(out *abi.Batch, reply []byte, in *abi.Builder) error {
	if err := out.Parse(reply); err != nil {
		return err
	}
	var was abi.Batch
	in.View(&was)
	switch {
	case out.N != was.N:
		return fmt.Errorf("%d elements (expected %d)", out.N, was.N)
	case out.ValueOffs == nil:
		return fmt.Errorf("a batch without values")
	case was.KeyOffs != nil && out.KeyOffs == nil:
		return fmt.Errorf("a batch without keys (expected those of the map)")
	}
	for k := range out.N {
		if was.KeyOffs != nil && string(out.Key(k)) != string(was.Key(k)) {
			return fmt.Errorf("element %d: another key (expected the same)", k)
		}
		if n := len(out.Value(k)); n > abi.MaxRecordBytes {
			return fmt.Errorf("element %d: %d bytes (limit %d)", k, n, abi.MaxRecordBytes)
		}
	}
	return nil
}
