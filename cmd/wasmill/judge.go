package main

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/host/module"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/jobmanager"
)

// inspect is what the JobManager judges uploads with.
func (e engine) inspect(ctx context.Context, wasm []byte) (*jobmanager.Inspection, error) {
	defer debug.FreeOSMemory() // compiling takes a hundred times the module's size, and there may be no upload after this one
	found, err := e.Inspect(ctx, wasm, nil)
	if err != nil {
		return nil, forUser(err)
	}
	return &jobmanager.Inspection{
		Metered: found.Metered, MeteredID: graph.ModuleID(found.MeteredID),
		Manifest: found.Manifest, DescribeError: found.DescribeError,
	}, nil
}

// describe is what the JobManager asks a module for its graph with.
func (e engine) describe(ctx context.Context, metered []byte, params map[string]string) (*jobmanager.Description, error) {
	manifest, parsed, err := e.Describe(ctx, metered, params)
	if err != nil {
		return nil, forUser(err)
	}
	return &jobmanager.Description{Manifest: parsed, ID: graph.ModuleID(sha256Hex(manifest))}, nil
}

// forUser makes what is wrong with a module an answer to who sent it, with the hint that the sandbox has.
func forUser(err error) error {
	answer := api.Errorf(api.KindInvalid, "%s", err)
	var refused *module.Error
	var guest *host.Error
	switch {
	case errors.As(err, &refused):
		return answer.WithHint("%s", refused.Hint)
	case errors.As(err, &guest):
		return answer.WithHint("%s", guest.Hint)
	}
	return err
}
