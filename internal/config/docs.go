package config

import (
	"fmt"
	"io"
	"strings"
)

// Entry is one option as the reference explains it.
type Entry struct {
	Key         string `json:"key"`
	Type        string `json:"type"`
	Default     string `json:"default,omitempty"`
	Environment string `json:"environment"`
	Doc         string `json:"doc"`
}

// Reference explains every option, in the order of the table.
func Reference() []Entry {
	var all []Entry
	for i := range Options {
		o := &Options[i]
		all = append(all, Entry{Key: o.Key, Type: o.described(), Default: o.Default, Environment: o.EnvName(), Doc: o.Doc})
	}
	return all
}

// WriteDocs writes the reference of every option, as Markdown.
func WriteDocs(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	b.WriteString("One YAML file (`--config FILE`, or `" + EnvFile + "`), then the environment, then flags; the later wins.\n")
	b.WriteString("`wasmill config show` prints each value in force and where it came from.\n")
	section := ""
	for _, e := range Reference() {
		if s, _, _ := strings.Cut(e.Key, "."); s != section {
			section = s
			fmt.Fprintf(&b, "\n## %s\n\n| option | type | default | environment | |\n|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s |\n", e.Key, e.Type, quoted(e.Default), e.Environment, e.Doc)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// described is the type with the values that it allows.
func (o *Option) described() string {
	if len(o.OneOf) > 0 {
		return strings.Join(o.OneOf, ", ")
	}
	if b := o.bounds(); b != "" {
		return o.Type() + ", " + b
	}
	return o.Type()
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
