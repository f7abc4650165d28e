package module

// Budget is how much a module may ask for. Zero in a field means zero: begin with DefaultBudget.
type Budget struct {
	Bytes         int // of the whole binary
	Types         int
	Params        int // of one function, results too
	Imports       int
	Exports       int
	Functions     int // that the module defines
	BodyBytes     int // of one function
	Locals        int // of one function, parameters among them
	Nesting       int // of blocks in one function
	Globals       int
	Tables        int
	TableElements int // declared minimums of all tables together, and elements of all segments
	Segments      int // element and data segments
	MemoryPages   int // declared minimum, 64 KiB each
	DataBytes     int // of all data segments together
}

// DefaultBudget is above what any of the supported toolchains makes (a Go guest with net/http has 10,000 functions and
// one of 1,700 blocks), and bounds what a compiler has to hold at once.
func DefaultBudget() Budget {
	return Budget{
		Bytes:         64 << 20,
		Types:         10_000,
		Params:        128,
		Imports:       1_000,
		Exports:       10_000,
		Functions:     100_000,
		BodyBytes:     1 << 20,
		Locals:        10_000,
		Nesting:       10_000,
		Globals:       10_000,
		Tables:        16,
		TableElements: 1 << 20,
		Segments:      100_000,
		MemoryPages:   4096,
		DataBytes:     64 << 20,
	}
}
