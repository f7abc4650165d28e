package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that completes commands, flags and job ids",
		Example: `  source <(wasmill completion bash)
  wasmill completion zsh > "${fpath[1]}/_wasmill"
  wasmill completion fish > ~/.config/fish/completions/wasmill.fish`,
		Args:      exactly("bash, zsh or fish"),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.out)
			case "fish":
				return cmd.Root().GenFishCompletion(a.out, true)
			}
			return usagef("completion for %q (expected bash, zsh or fish)", args[0])
		},
	}
}

// completionLimit bounds how long a shell waits for the ids of jobs.
const completionLimit = 500 * time.Millisecond

// completeJobs offers the ids of the cluster's jobs.
func (a *app) completeJobs(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	client, err := a.client(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	jobs, err := client.ListJobs(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var ids []string
	for i := range jobs {
		ids = append(ids, string(jobs[i].ID)+"\t"+jobs[i].Name+", "+string(jobs[i].State))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
