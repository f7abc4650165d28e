// Package wasmill is the Go SDK for Wasmill jobs. A job is a package main whose init calls Job with a function that
// defines the graph, built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o job.wasm
//
// The package knows ABI version 1 (the exports and imports of a guest module, the bytes of batches, groups and
// handles) and typed streams over it. It knows nothing of windows, state or partitioning: those belong to the host.
// Built for any other target it has no host behind it, so that a job's functions can be tested with go test.
//
// Functions run fused: those that follow each other in the graph are composed into one call a batch. A string or []byte
// that a function is given may share the memory of the call's input: it is valid until the function returns, and a
// function that keeps it must copy it (strings.Clone, bytes.Clone). What a function returns or emits is copied at once, so it may be
// a View of a buffer that is written anew for the next record.
//
// A function that cannot go on panics: the SDK names the record and tells the host, and the instance stays good.
package wasmill
