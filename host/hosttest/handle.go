package hosttest

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

// Handle is functions composed inside the guest as the engine asks for them: branches, several outputs, chosen columns.
// Chain and Keyed are the shorter ways to the usual ones.
type Handle struct {
	guest  *Guest
	number uint32
}

// Handle opens h. An error is the guest's refusal.
func (g *Guest) Handle(h *abi.Handle) (*Handle, error) {
	opened := &Handle{g, uint32(len(g.handles))}
	if err := g.use(func(i *host.Instance) error { return i.Open(opened.number, h) }); err != nil {
		return nil, err
	}
	g.handles = append(g.handles, h)
	return opened, nil
}

// Process hands the handle a batch. The effects are valid until the next call into the guest.
func (h *Handle) Process(header *abi.CallHeader, in host.Input) (effects *host.Effects, err error) {
	err = h.guest.use(func(i *host.Instance) error {
		effects, err = i.Process(h.number, header, in)
		return err
	})
	return effects, err
}

// Keyed hands the handle groups, for what verb says. The effects are valid until the next call into the guest.
func (h *Handle) Keyed(verb abi.Verb, header *abi.CallHeader, groups *abi.GroupsWriter) (effects *host.Effects, err error) {
	err = h.guest.use(func(i *host.Instance) error {
		effects, err = i.Keyed(h.number, verb, header, groups, nil)
		return err
	})
	return effects, err
}

// Close tells the guest that the handle is not used any more. A guest that knows no such handle answers an error.
func (h *Handle) Close() error {
	err := h.guest.use(func(i *host.Instance) error { return i.CloseHandle(h.number) })
	h.guest.handles[h.number] = nil
	return err
}

// open is Handle for a test that expects no error.
func (g *Guest) open(functions ...abi.HandleFunction) *Handle {
	g.t.Helper()
	h, err := g.Handle(&abi.Handle{Functions: functions})
	if err != nil {
		g.t.Fatal(err)
	}
	return h
}

// use calls the guest, in a new instance if need be, and discards an instance that did not survive it.
func (g *Guest) use(call func(i *host.Instance) error) error {
	if g.instance == nil {
		if err := g.start(); err != nil {
			return err
		}
	}
	err := call(g.instance)
	if e, ok := err.(*host.Error); g.replace || ok && e.Kind.Poisoned() {
		g.drop()
	}
	return err
}

// header is that of a call to the only subtask, behind an exchange.
func header() abi.CallHeader {
	return abi.CallHeader{Watermark: abi.MinTime, ProcessingTime: 1000, Split: abi.None, Parallelism: 1}
}

// outputsOf gives every output of f its side as its number.
func outputsOf(f abi.Function, keyed bool) []abi.HandleOutput {
	columns := abi.ColumnTimestamps | abi.ColumnValues | abi.ColumnKinds
	if keyed {
		columns |= abi.ColumnKeys
	}
	outputs := make([]abi.HandleOutput, 1+len(f.Sides))
	for k := range outputs {
		outputs[k] = abi.HandleOutput{Tag: uint32(k), Number: uint32(k), Columns: columns}
	}
	return outputs
}

// isKey says whether any of the functions sets the key.
func (g *Guest) isKey(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return g.Function(n).Kind == abi.FunctionKey })
}
