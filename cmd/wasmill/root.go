package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/config"
)

// app is one invocation of the binary.
type app struct {
	out     *answerWriter
	err     io.Writer
	environ []string // NAME=value

	output     string // --output
	json       bool
	answered   bool   // JSON has been printed
	configFile string // --config
}

// defaultURL is where commands look for a JobManager when nothing names one: the default of jobmanager.address.
const defaultURL = "http://127.0.0.1:7070"

// root lists the commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "wasmill",
		Short: "Run stream-processing jobs that are WebAssembly modules",
		Example: `  wasmill run wordcount.wasm --param input=moby.txt --param output=counts
  wasmill cluster start --dir cluster`,
		Args:              noSubcommand,
		RunE:              showHelp,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(
		a.runCommand(),
		a.listCommand(),
		a.checkpointCommand(),
		a.checkpointsCommand(),
		a.savepointCommand(),
		a.stopCommand(),
		a.rescaleCommand(),
		a.upgradeCommand(),
		a.infoCommand(),
		a.cancelCommand(),
		a.giveUpCommand(),
		a.logsCommand(),
		a.inspectCommand(),
		a.clusterCommand(),
		a.jobmanagerCommand(),
		a.taskmanagerCommand(),
		a.nexmarkCommand(),
		a.configCommand(),
		a.completionCommand(),
		a.versionCommand(),
	)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(helpCommand())
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", "text", "form of the answer: text, or json with the types of the REST interface")
	flags.StringVar(&a.configFile, "config", "", "YAML `FILE` with options; "+config.EnvFile+" names it too (see wasmill config docs)")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		a.json = a.output == "json"
		if !a.json && a.output != "text" {
			return usagef("--output %q (expected text or json)", a.output)
		}
		return nil
	}
	return root
}

// run executes the command line and returns the exit status.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	ran := errorsOfRuns(root)
	cmd, err := root.ExecuteContextC(ctx)
	var usage *usageError
	if err != nil && !*ran {
		a.json = a.json || asksForJSON(args)
	}
	if err != nil && !*ran && !errors.As(err, &usage) {
		// What cobra itself refuses, before any command ran, is the command line.
		usage = usagef("%s", firstLine(err.Error()))
		err = usage
	}
	if usage != nil && usage.hint == "" {
		usage.hint = "see " + cmd.CommandPath() + " --help"
	}
	if lost := a.out.failure(); lost != nil && !errors.Is(err, errors.Unwrap(lost)) {
		err = errors.Join(err, lost)
	}
	return a.report(ctx, err)
}

// errorsOfRuns makes every command note that it ran, which tells its errors from cobra's.
func errorsOfRuns(root *cobra.Command) *bool {
	ran := new(bool)
	var each func(*cobra.Command)
	each = func(c *cobra.Command) {
		if f := c.RunE; f != nil {
			c.RunE = func(cmd *cobra.Command, args []string) error {
				*ran = true
				return f(cmd, args)
			}
		}
		for _, sub := range c.Commands() {
			each(sub)
		}
	}
	each(root)
	return ran
}

// showHelp is what a command does that only groups others.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noSubcommand refuses arguments of a command that only groups others, naming the nearest of them.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	e := usagef("%s has no command %q", cmd.CommandPath(), args[0])
	e.hint = "did you mean `" + cmd.CommandPath() + " " + config.Nearest(args[0], names) + "`?"
	return e
}

// flagError says which flag was meant.
func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return usagef("--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), expected(invalid))
	}
	e := usagef("%s", err)
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		e.hint = "did you mean --" + config.Nearest(name, names) + "? see " + cmd.CommandPath() + " --help"
	}
	return e
}

// expected says what a flag's value should have been.
func expected(invalid *pflag.InvalidValueError) string {
	switch kind := invalid.GetFlag().Value.Type(); {
	case errors.Is(invalid, strconv.ErrRange):
		return "out of range"
	case kind == "int":
		return "expected a whole number"
	case kind == "bool":
		return "expected true or false"
	}
	return invalid.Unwrap().Error()
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command",
		Example: `  wasmill help run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 && !found.HasParent() {
				return noSubcommand(cmd.Root(), args)
			}
			return found.Help()
		},
	}
}

// exactly wants the named arguments, no more and no fewer.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s needs %s", cmd.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return usagef("%s does not take %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// client speaks to the cluster that flags, environment or file name, or to the one at the default address.
func (a *app) client(cmd *cobra.Command) (*api.Client, error) {
	c, err := a.load(cmd)
	if err != nil {
		return nil, err
	}
	return newClient(c)
}

func newClient(c *config.Config) (*api.Client, error) {
	url := c.JobManager.URL
	if url == "" {
		url = defaultURL
	}
	client, err := api.NewClient(url, nil)
	if err != nil {
		return nil, usagef("%s", err)
	}
	return client, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

const helpTemplate = `{{if .Example}}Example:
{{.Example}}

{{end}}{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{- if .HasAvailableSubCommands}}

Commands:
{{- range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`
