package module

import "time"

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
	// FunctionTime and Time bound how long one function and all of them may take to compile, by CompileTime.
	FunctionTime, Time time.Duration
}

// CompileTime estimates how long wazero takes to compile a function. Measured on one core: half a microsecond a byte of
// code; 1.5 µs for each local at each point where control parts or comes together, because the engine looks back
// through all of them for a local's value; 1.5 ns for each pair of branches, because it looks through the predecessors
// of a block for each of them. What compilers write stays near the first of these (a Go guest of 7 MB: 4 s). 200 KB that were made
// to keep the engine busy took 73 s.
func (f *Function) CompileTime() time.Duration {
	branches := float64(f.Branches)
	ns := 500*float64(f.End-f.Start) + 1500*float64(f.Blocks)*float64(f.NumLocals) + 1.5*branches*branches
	return time.Duration(min(ns, float64(24*time.Hour)))
}

// DefaultBudget is far above what the supported toolchains make (the largest functions of a Go guest with net/http and
// go/types have 50 KB and 550 nested blocks), and bounds what a compiler has to hold at once.
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
		FunctionTime:  5 * time.Second,
		Time:          time.Minute,
	}
}
