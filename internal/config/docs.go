package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteDocs writes the reference of every option, as Markdown.
func WriteDocs(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	b.WriteString("One YAML file (`--config FILE`, or `" + EnvFile + "`), then the environment, then flags; the later wins.\n")
	b.WriteString("`wasmill config show` prints each value in force and where it came from.\n")
	section := ""
	for i := range Options {
		o := &Options[i]
		if s, _, _ := strings.Cut(o.Key, "."); s != section {
			section = s
			fmt.Fprintf(&b, "\n## %s\n\n| option | type | default | environment | |\n|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s |\n", o.Key, o.described(), o.shownDefault(), o.EnvName(), o.Doc)
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

func (o *Option) shownDefault() string {
	if o.Default == "" {
		return ""
	}
	return "`" + o.Default + "`"
}
