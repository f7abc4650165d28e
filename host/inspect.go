package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host/meter"
	"github.com/wasmill/wasmill/host/module"
)

// Inspection is what is known of a module without trusting it.
type Inspection struct {
	ID            string // SHA-256 of the upload, in hex
	Size          int
	Metered       []byte // the module that is to be run
	MeteredID     string
	Manifest      *abi.Manifest // nil with a DescribeError
	ManifestBytes []byte
	ManifestID    string // SHA-256 of ManifestBytes
	DescribeError error  // describe failed, and that parameters are missing may be why

	Imports, Exports     []string
	Functions            int
	MemoryMin, MemoryMax uint32 // pages of 64 KiB; MemoryMax 0: as many as the limit allows
}

// Inspect judges an upload without running it, meters it, and asks it for its manifest in a throw-away sandbox. With
// nil params, at upload, a guest that dies for want of parameters is not refused: DescribeError says how. A refusal is
// a *module.Error, with the place and often the fix; a guest that dies while it is asked answers an *Error.
func (e *Engine) Inspect(ctx context.Context, wasm []byte, params map[string]string) (*Inspection, error) {
	m, err := module.Parse(wasm)
	if err != nil {
		return nil, err
	}
	if err := m.Check(e.budget()); err != nil {
		return nil, err
	}
	metered, err := meter.Rewrite(m, meter.Options{StackLimit: e.config.StackLimit})
	if err != nil {
		return nil, err
	}
	in := outlineOf(m)
	in.Metered, in.MeteredID = metered, hashOf(metered)
	in.ManifestBytes, in.Manifest, err = e.describe(ctx, in.MeteredID, metered, params)
	if err != nil && params == nil && paramsMayBeWhy(err) {
		in.DescribeError = err
		return in, nil
	}
	if err != nil {
		return nil, err
	}
	in.ManifestID = hashOf(in.ManifestBytes)
	return in, nil
}

// budget is how much an upload may ask for.
func (e *Engine) budget() module.Budget {
	b := module.DefaultBudget()
	b.MemoryPages = int(min(e.config.MemoryLimit/pageBytes, 1<<16))
	return b
}

// outlineOf lists what the module has, for people.
func outlineOf(m *module.Module) *Inspection {
	in := &Inspection{ID: hashOf(m.Bytes), Size: len(m.Bytes), Functions: len(m.Functions)}
	for _, i := range m.Imports {
		in.Imports = append(in.Imports, i.Module+"."+i.Name)
	}
	for _, x := range m.Exports {
		in.Exports = append(in.Exports, x.Name)
	}
	in.MemoryMin = m.Memories[0].Min
	if m.Memories[0].HasMax {
		in.MemoryMax = m.Memories[0].Max
	}
	return in
}

// paramsMayBeWhy reports whether a guest died in a way in which its own code dies when a parameter is missing.
func paramsMayBeWhy(err error) bool {
	var e *Error
	return errors.As(err, &e) && slices.Contains([]Kind{KindFailed, KindTrap, KindExit}, e.Kind)
}

// describeFuel bounds what a guest may use up to start and to describe itself: a second or two, where a Go guest takes
// some milliseconds.
const describeFuel = 1_000_000_000

// Describe asks a metered module for its manifest with params, in a throw-away sandbox.
func (e *Engine) Describe(ctx context.Context, metered []byte, params map[string]string) ([]byte, *abi.Manifest, error) {
	return e.describe(ctx, hashOf(metered), metered, params)
}

func (e *Engine) describe(ctx context.Context, id string, metered []byte, params map[string]string) ([]byte, *abi.Manifest, error) {
	m, err := e.Load(ctx, id, func(context.Context) ([]byte, error) { return metered, nil })
	if err != nil {
		return nil, nil, err
	}
	i, err := m.start(ctx, InstanceConfig{Params: params}, describeFuel)
	if err != nil {
		return nil, nil, err
	}
	defer i.Close(ctx)
	if err := checkManifest(i.manifest, i.exports.keyed != nil, i.exports.migrate != nil); err != nil {
		return nil, nil, err
	}
	return i.manifestBytes, i.manifest, nil
}

// featureNames are the features that this version provides.
var featureNames = map[abi.Feature]string{
	abi.FeatureBatch: "batch", abi.FeatureKeyed: "keyed", abi.FeatureState: "state", abi.FeatureTimers: "timers",
	abi.FeatureTwoInputs: "two inputs", abi.FeatureTriggers: "triggers", abi.FeatureRequests: "requests", abi.FeatureRow: "row",
	abi.FeaturePartition: "partition", abi.FeatureAccumulators: "accumulators", abi.FeatureFields: "fields",
	abi.FeatureWindows: "windows", abi.FeatureMeeting: "meeting", abi.FeatureOperatorStates: "operator states", abi.FeatureTies: "ties", abi.FeatureEventTTL: "event-time ttl", abi.FeatureApply: "apply",
}

// checkManifest decides whether this version can run what the manifest needs. The graph is for others to judge.
func checkManifest(m *abi.Manifest, keyed, migrate bool) error {
	if m.ABI != abi.Version {
		return &module.Error{Place: "manifest.abi", Problem: fmt.Sprintf("%d (expected %d)", m.ABI, abi.Version),
			Hint: "build with an SDK for this version"}
	}
	for k, f := range m.Features {
		place := fmt.Sprintf("manifest.features[%d]", k)
		name, known := featureNames[f]
		switch {
		case !known:
			return &module.Error{Place: place, Problem: fmt.Sprintf("the module needs feature %d, which this version of Wasmill does not know", f),
				Hint: "upgrade Wasmill"}
		case (f == abi.FeatureKeyed || f == abi.FeaturePartition || f == abi.FeatureRequests) && !keyed:
			return &module.Error{Place: place, Problem: fmt.Sprintf("the module needs feature %d (%s), but does not export %s", f, name, abi.ExportKeyed)}
		}
	}
	for k, f := range m.Functions {
		for n, s := range f.States {
			if s.Migrates && !migrate {
				return &module.Error{Place: fmt.Sprintf("manifest.functions[%d].states[%d].migrates", k, n),
					Problem: fmt.Sprintf("state %q can be migrated, but the module does not export %s", s.Name, abi.ExportMigrate)}
			}
		}
	}
	return nil
}
