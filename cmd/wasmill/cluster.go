package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/transport"
)

func (a *app) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Start and stop a cluster on this machine, or prepare one of several",
		Example: `  wasmill cluster start --dir cluster
  wasmill cluster stop --dir cluster`,
		Args: noSubcommand,
		RunE: showHelp,
	}
	cmd.AddCommand(a.clusterStartCommand(), a.clusterStopCommand(), a.clusterInitCommand())
	return cmd
}

// certsDir is where a cluster started on this machine keeps its certificates, in its directory.
const certsDir = "certs"

func (a *app) clusterInitCommand() *cobra.Command {
	var dir, name string
	cmd := &cobra.Command{
		Use:   "init --dir DIR",
		Short: "Make the certificates that the processes of a cluster know each other by",
		Long: `Make a cluster's certificate authority, and a certificate of it. Give ca.crt, node.crt and node.key to every process of
the cluster (--certs DIR); keep ca.key to yourself: who has it may let machines in. A cluster on one machine needs
none of this: 'cluster start' does it.`,
		Example: `  wasmill cluster init --dir certs
  wasmill jobmanager --certs certs --dir data`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				return usagef("cluster init needs --dir DIR")
			}
			ca, err := transport.InitCA(dir)
			if err != nil {
				return err
			}
			if err := ca.IssueTo(dir, name); err != nil {
				return err
			}
			return a.answer(map[string]string{"dir": dir}, func(w io.Writer) {
				fmt.Fprintf(w, "%s has ca.crt, node.crt and node.key for every process of the cluster, and ca.key to be kept\n", dir)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`DIR`ectory to make them in")
	cmd.Flags().StringVar(&name, "name", "node", "name in the certificate, for people")
	return cmd
}

// ensureCerts makes the certificates of a cluster on this machine, unless they are there and valid.
func ensureCerts(dir string) error {
	ca, err := transport.InitCA(dir)
	if errors.Is(err, fs.ErrExist) {
		if _, err := transport.LoadIdentity(dir); err == nil {
			return nil
		}
		ca, err = transport.LoadCA(dir)
	}
	if err != nil {
		return err
	}
	return ca.IssueTo(dir, "loopback")
}

// clusterDir makes --dir absolute and free of symbolic links, as far as it exists: it is part of the processes' command
// lines, by which they are known again.
func clusterDir(dir string) (string, error) {
	if dir == "" {
		return "", usagef("--dir DIR is missing: the directory of the cluster's certificates, metadata, logs and process ids")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory %s: %w", dir, err)
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return abs, nil
	}
	return resolved, err
}

// processesOf lists the processes that have a pid file in the directory.
func processesOf(dir string) ([]process, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []process
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".pid")
		if ok && (name == roleJobManager || strings.HasPrefix(name, roleTaskManager+"-")) {
			all = append(all, process{dir, name})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all, nil
}
