package main

import (
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/blackhole"
	"github.com/wasmill/wasmill/internal/connector/file"
	"github.com/wasmill/wasmill/internal/connector/generator"
	"github.com/wasmill/wasmill/internal/connector/nexmark"
	"github.com/wasmill/wasmill/internal/connector/print"
)

// connectors is every system that jobs can read from and write to.
func connectors() *connector.Registry {
	return &connector.Registry{
		Sources: map[string]func(map[string]string) (connector.Source, error){
			"file":      file.NewSource,
			"generator": generator.NewSource,
			"nexmark":   nexmark.NewSource,
		},
		Sinks: map[string]func(map[string]string) (connector.Sink, error){
			"file":      file.NewSink,
			"print":     print.NewSink,
			"blackhole": blackhole.NewSink,
		},
	}
}
