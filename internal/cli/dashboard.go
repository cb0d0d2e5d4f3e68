package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// dashboardPath is where a server has its dashboard.
const dashboardPath = "/_/"

type dashboardOptions struct {
	Print, JSON bool

	open func(ctx context.Context, address string) error // nil for no browser
}

// NewDashboard returns the command dashboard.
func NewDashboard() *cobra.Command {
	var o dashboardOptions
	var platform, named, server string
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Open the dashboard of a project in the browser",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := dashboardOf(cmd.Context(), platform, named, server)
			if err != nil {
				return err
			}
			if isTerminal(cmd.ErrOrStderr()) {
				o.open = openBrowser
			}
			return dashboard(cmd.Context(), o, address, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	platformFlag(cmd, &platform)
	cmd.Flags().StringVar(&named, "project", "", "name or id of the project (default the linked one)")
	completeProjectFlag(cmd)
	cmd.Flags().StringVar(&server, "url", "", "URL of a server without a platform")
	cmd.Flags().BoolVar(&o.Print, "print", false, "print the address and open nothing")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

// dashboardOf returns the address of a dashboard.
func dashboardOf(ctx context.Context, platform, named, server string) (string, error) {
	if server != "" && (named != "" || platform != "") {
		return "", Usage("--url and --project are different places: give one")
	}
	if server == "" && named == "" && platform == "" {
		linked, err := findLink()
		if err != nil {
			return "", err
		}
		if linked != nil {
			server = linked.URL
		}
	}
	if server != "" {
		address, err := serverURL(server)
		return address + dashboardPath, err
	}
	_, found, err := pickProject(ctx, platform, named)
	return trimURL(found.URL) + dashboardPath, err
}

func dashboard(ctx context.Context, o dashboardOptions, address string, out, notes io.Writer) error {
	opened := false
	if !o.Print && o.open != nil {
		if err := o.open(ctx, address); err != nil {
			fmt.Fprintf(notes, "No browser opened: %v\n", err)
		} else {
			opened = true
		}
	}
	if o.JSON {
		return printJSON(out, map[string]any{"url": address, "opened": opened})
	}
	_, err := fmt.Fprintln(out, address)
	return err
}
