package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wasmill/wasmill/internal/config"
)

// optionAnnotation marks a flag that sets an option, with the option's key.
const optionAnnotation = "option"

// optionFlag gives cmd a flag that sets the option with the given key; type, default and sentence are the option's.
func optionFlag(cmd *cobra.Command, name, key string) {
	o := config.Find(key)
	v := &optionValue{text: o.Default, kind: o.Type()}
	f := cmd.Flags().VarPF(v, name, "", strings.ReplaceAll(o.Doc, "`", "'"))
	f.Annotations = map[string][]string{optionAnnotation: {key}}
	if len(o.OneOf) > 0 {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(o.OneOf, cobra.ShellCompDirectiveNoFileComp))
	}
}

// optionValue keeps a flag's text; config reads it.
type optionValue struct{ text, kind string }

func (v *optionValue) String() string     { return v.text }
func (v *optionValue) Set(s string) error { v.text = s; return nil }
func (v *optionValue) Type() string       { return v.kind }

// load reads the configuration: file, then environment, then the flags of cmd that were given. What is wrong in it is
// wrong usage, wherever it was written.
func (a *app) load(cmd *cobra.Command) (*config.Config, error) {
	s := config.Sources{File: a.configFile, Env: a.environ, Flags: map[string]string{}}
	if s.File == "" {
		s.File = lookup(a.environ, config.EnvFile)
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if key := f.Annotations[optionAnnotation]; key != nil {
			s.Flags[key[0]] = f.Value.String()
		}
	})
	c, err := config.Load(s)
	if err != nil {
		e := usagef("%s", err)
		e.hint = "`wasmill config docs` explains every option"
		return nil, e
	}
	return c, nil
}

// lookup finds a variable in NAME=value pairs; the last one counts.
func lookup(environ []string, name string) string {
	value := ""
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}
