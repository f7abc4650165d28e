package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/abi"
)

// version is what the binary calls itself. A release sets it with -ldflags "-X main.version=1.2.3".
var version = "0.1.0-dev"

// versionInfo is the answer of `wasmill version`.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	ABI     int    `json:"abi"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: `  wasmill version --output json`,
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			v := versionInfo{Version: version, Commit: commit(), Go: runtime.Version(), ABI: abi.Version}
			return a.answer(v, func(w io.Writer) {
				fmt.Fprintf(w, "wasmill %s (ABI %d, %s", v.Version, v.ABI, v.Go)
				if v.Commit != "" {
					fmt.Fprintf(w, ", commit %s", v.Commit)
				}
				fmt.Fprintln(w, ")")
			})
		},
	}
}

// commit is the revision that the binary was built from, as the Go tool noted it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return prefix(s.Value, 12)
		}
	}
	return ""
}
