package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// NewProjects returns the command projects with its verbs.
func NewProjects() *cobra.Command {
	var platform string
	cmd := &cobra.Command{
		Use:   "projects",
		Short: "Create, list, start, stop, branch and delete projects of a platform",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	platformFlag(cmd, &platform)
	cmd.AddCommand(
		projectsCreate(&platform), projectsList(&platform), projectsGet(&platform),
		projectsAct(&platform, "start", "Start a project and wait until it runs", "Started"),
		projectsAct(&platform, "stop", "Stop a project, so that requests do not wake it", "Stopped"),
		projectsAct(&platform, "restart", "Stop a project and start it again", "Restarted"),
		projectsDelete(&platform), projectsUndelete(&platform), projectsBranch(&platform),
	)
	return cmd
}

type projectsCreateOptions struct {
	Name, Organization string
	Link, JSON         bool
}

func projectsCreate(platform *string) *cobra.Command {
	var o projectsCreateOptions
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a project and show its keys, once",
		Args:  exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			client, err := openPlatform(*platform)
			if err != nil {
				return err
			}
			return createProject(cmd.Context(), client, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&o.Organization, "organization", "", "id of the organization (default your only one)")
	cmd.Flags().BoolVar(&o.Link, "link", false, "link this folder to it")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

func createProject(ctx context.Context, platform *Client, o projectsCreateOptions, out, notes io.Writer) error {
	body := map[string]string{"name": o.Name}
	if o.Organization != "" {
		body["organization"] = o.Organization
	}
	var created project
	if err := platform.Call(ctx, http.MethodPost, projectsPath, body, &created); err != nil {
		return err
	}
	// Before anything can fail: the keys are never shown again.
	if err := showNewProject(created, o.JSON, out, notes); err != nil || !o.Link {
		return err
	}
	return (&link{Platform: platform.base, Project: created.ID, Name: created.Name}).write()
}

func showNewProject(created project, asJSON bool, out, notes io.Writer) error {
	if asJSON {
		return printJSON(out, created)
	}
	fmt.Fprintf(notes, "Created the project %s (%s). Keep its keys now: they are never shown again.\n", created.Name, created.ID)
	fmt.Fprintf(out, "PICOBASE_URL=%s\n", created.URL)
	if created.Keys != nil {
		fmt.Fprintf(out, "PICOBASE_API_KEY=%s\n# for servers only: %s\n", created.Keys.Publishable, created.Keys.Secret)
	}
	return nil
}

type projectsListOptions struct {
	Organization string
	Deleted      bool
}

func projectsList(platform *string) *cobra.Command {
	var o projectsListOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the projects that you have access to",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := openPlatform(*platform)
			if err != nil {
				return err
			}
			projects, err := fetchProjects(cmd.Context(), client, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), projects)
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "NAME\tID\tSTATUS\tURL\tCREATED")
			for _, p := range projects {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", p.Name, p.ID, p.Status, p.URL, p.Created)
			}
			return table.Flush()
		},
	}
	cmd.Flags().StringVar(&o.Organization, "organization", "", "id of one organization (default all of yours)")
	cmd.Flags().BoolVar(&o.Deleted, "deleted", false, "also those that are deleted and can be had back")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func fetchProjects(ctx context.Context, platform *Client, o projectsListOptions) ([]project, error) {
	values := map[string]string{"organization": o.Organization}
	if o.Deleted {
		values["deleted"] = "true"
	}
	var answer struct {
		Items []project `json:"items"`
	}
	err := platform.Call(ctx, http.MethodGet, projectsPath+query(values), nil, &answer)
	return answer.Items, err
}

// projectCommand is a command on one project: of the argument, or of the link.
func projectCommand(platform *string, cmd *cobra.Command, do func(ctx context.Context, platform *Client, found project) (project, error), show func(w io.Writer, p project)) *cobra.Command {
	cmd.ValidArgsFunction = completeProject
	var asJSON bool
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, found, err := pickProject(cmd.Context(), *platform, first(args))
		if err != nil {
			return err
		}
		if found, err = do(cmd.Context(), client, found); err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), found)
		}
		show(cmd.ErrOrStderr(), found)
		return nil
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func projectsGet(platform *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "get [PROJECT]",
		Short:             "Show one project, by name or id; the linked one by default",
		Args:              atMostOne("PROJECT"),
		ValidArgsFunction: completeProject,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, found, err := pickProject(cmd.Context(), *platform, first(args))
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), found)
			}
			return showProject(cmd.OutOrStdout(), found)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func showProject(out io.Writer, p project) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "name\t%s\nid\t%s\nurl\t%s\nstatus\t%s\ncreated\t%s\n", p.Name, p.ID, p.URL, p.Status, p.Created)
	if p.Message != "" {
		fmt.Fprintf(table, "message\t%s\n", p.Message)
	}
	if p.UndeleteUntil != nil {
		fmt.Fprintf(table, "undelete until\t%s\n", *p.UndeleteUntil)
	}
	return table.Flush()
}

// projectsAct returns a verb that changes how a project runs.
func projectsAct(platform *string, verb, short, done string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " [PROJECT]", Short: short, Args: atMostOne("PROJECT")}
	return projectCommand(platform, cmd,
		func(ctx context.Context, client *Client, found project) (changed project, err error) {
			err = client.CallLong(ctx, http.MethodPost, projectPath(found.ID)+"/"+verb, nil, &changed)
			return changed, err
		},
		func(w io.Writer, p project) { fmt.Fprintf(w, "%s %s.\n", done, p.Name) })
}

func projectsDelete(platform *string) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "delete PROJECT", Short: "Delete a project; it can be had back for the platform's grace time", Args: exactArgs("PROJECT")}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return projectCommand(platform, cmd,
		func(ctx context.Context, client *Client, found project) (deleted project, err error) {
			if err := confirm(cmd, yes, "Delete the project "+found.Name+"? Its URL answers no more at once."); err != nil {
				return found, err
			}
			err = client.CallLong(ctx, http.MethodDelete, projectPath(found.ID), nil, &deleted)
			return deleted, err
		},
		func(w io.Writer, p project) {
			fmt.Fprintf(w, "Deleted %s. Until %s it can be had back: picobase projects undelete %s\n", p.Name, orElse(p.UndeleteUntil, "its grace time is over"), p.Name)
		})
}

func projectsUndelete(platform *string) *cobra.Command {
	cmd := &cobra.Command{Use: "undelete PROJECT", Short: "Have a deleted project back", Args: exactArgs("PROJECT")}
	return projectCommand(platform, cmd,
		func(ctx context.Context, client *Client, found project) (restored project, err error) {
			err = client.CallLong(ctx, http.MethodPost, projectPath(found.ID)+"/undelete", nil, &restored)
			return restored, err
		},
		func(w io.Writer, p project) { fmt.Fprintf(w, "%s is back at %s.\n", p.Name, p.URL) })
}

func projectsBranch(platform *string) *cobra.Command {
	var from, at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "branch NAME",
		Short:   "Create a project that begins as another one was, and show its keys, once",
		Example: "  picobase projects branch app-test --project app --at 2027-01-31T12:00:00Z",
		Args:    exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]string{"name": args[0]}
			if at != "" {
				if _, err := time.Parse(time.RFC3339, at); err != nil {
					return Usage("--at: %q is not a time such as 2027-01-31T12:00:00Z", at)
				}
				body["at"] = at
			}
			client, found, err := pickProject(cmd.Context(), *platform, from)
			if err != nil {
				return err
			}
			var created project
			if err := client.Call(cmd.Context(), http.MethodPost, projectPath(found.ID)+"/branch", body, &created); err != nil {
				return err
			}
			return showNewProject(created, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&from, "project", "", "name or id of the project to begin as (default the linked one)")
	completeProjectFlag(cmd)
	cmd.Flags().StringVar(&at, "at", "", "a moment, as 2027-01-31T12:00:00Z (default now)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
