package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Show options, or explain them",
		Example: `  WASMILL_TASKMANAGER_SLOTS=4 wasmill config show`,
		Args:    noSubcommand,
		RunE:    showHelp,
	}
	cmd.AddCommand(a.configShowCommand(), a.configDocsCommand())
	return cmd
}

// optionInForce is a row of `wasmill config show`.
type optionInForce struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (a *app) configShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Print each value in force and where it came from",
		Example: `  wasmill config show --config wasmill.yaml`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd)
			if err != nil {
				return err
			}
			var all []optionInForce
			rows := []string{"OPTION\tVALUE\tFROM"}
			for i := range config.Options {
				value, from := c.Value(&config.Options[i])
				all = append(all, optionInForce{config.Options[i].Key, value, from})
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s", config.Options[i].Key, value, from))
			}
			return a.answer(all, func(w io.Writer) { table(w, rows...) })
		},
	}
}

func (a *app) configDocsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "docs",
		Short:   "Print the reference of every option, as Markdown",
		Example: `  wasmill config docs > configuration.md`,
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			var err error
			answered := a.answer(config.Reference(), func(w io.Writer) { err = config.WriteDocs(w) })
			if err != nil {
				return err
			}
			return answered
		},
	}
}
