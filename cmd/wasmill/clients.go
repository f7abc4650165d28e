package main

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/config"
	"github.com/wasmill/wasmill/internal/egress"
	"github.com/wasmill/wasmill/jobmanager"
	"github.com/wasmill/wasmill/taskmanager"
)

// grants is what jobs may ask the outside, by the client that asks.
func grants(c *config.Config) (map[string]jobmanager.Grants, error) {
	policy, err := httpPolicy(c)
	if err != nil {
		return nil, err
	}
	return map[string]jobmanager.Grants{abi.ClientHTTP: policy}, nil
}

// clients are what a TaskManager asks the outside with. They end with parts.
func clients(c *config.Config, parts *closers) (map[string]taskmanager.Client, error) {
	policy, err := httpPolicy(c)
	if err != nil {
		return nil, err
	}
	http := egress.New(egress.Config{Policy: policy, Connections: c.Capabilities.HTTP.Connections, Response: int64(c.Capabilities.HTTP.ResponseLimit)})
	parts.add("HTTP client", http)
	return map[string]taskmanager.Client{abi.ClientHTTP: http}, nil
}

func httpPolicy(c *config.Config) (*egress.Policy, error) {
	policy, err := egress.NewPolicy(c.Capabilities.HTTP.Allow)
	if err != nil {
		return nil, withHint(err, "for example api.example.com:443, *.example.com:*, 127.0.0.1:8080 or 10.0.0.0/8:443")
	}
	return policy, nil
}
