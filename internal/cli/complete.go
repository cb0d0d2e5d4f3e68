package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// completionTime is how long somebody who presses Tab is kept waiting.
const completionTime = 2 * time.Second

// completeProjects offers the names of projects. Without a sign-in, or with a platform
// that does not answer, it offers nothing.
func completeProjects(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	named := ""
	if flag := cmd.Flag("platform"); flag != nil {
		named = flag.Value.String()
	}
	client, err := openPlatform(named)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	projects, err := fetchProjects(ctx, client, projectsListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, p := range projects {
		names = append(names, p.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeProject is completeProjects for the only argument of a command.
func completeProject(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeProjects(cmd, args, begun)
}

// completeProjectFlag lets the flag --project of cmd be completed.
func completeProjectFlag(cmd *cobra.Command) {
	if err := cmd.RegisterFlagCompletionFunc("project", completeProjects); err != nil {
		panic(err) // the flag was not added before
	}
}
