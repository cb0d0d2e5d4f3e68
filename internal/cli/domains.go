package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// domain is a project's own domain. As JSON it is what the platform sent.
type domain struct {
	raw json.RawMessage
	domainFields
}

type domainFields struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
	Records []struct {
		Type  string `json:"type"`
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"records"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (d *domain) UnmarshalJSON(data []byte) error {
	d.raw = append(json.RawMessage(nil), data...)
	return json.Unmarshal(data, &d.domainFields)
}

// MarshalJSON implements [json.Marshaler].
func (d domain) MarshalJSON() ([]byte, error) { return d.raw, nil }

// domainsOptions say whose domains they are.
type domainsOptions struct{ platform, project string }

func (o *domainsOptions) open(ctx context.Context) (*Client, string, error) {
	client, found, err := pickProject(ctx, o.platform, o.project)
	return client, projectPath(found.ID) + "/domains", err
}

// NewDomains returns the command domains with its verbs.
func NewDomains() *cobra.Command {
	var o domainsOptions
	cmd := &cobra.Command{
		Use:   "domains",
		Short: "Serve a project at domains of its own",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	platformFlag(cmd, &o.platform)
	cmd.PersistentFlags().StringVar(&o.project, "project", "", "name or id of the project (default the linked one)")
	completeProjectFlag(cmd)
	cmd.AddCommand(domainsAdd(&o), domainsList(&o), domainsVerify(&o), domainsRemove(&o))
	return cmd
}

func domainsAdd(o *domainsOptions) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "add DOMAIN",
		Short: "Add a domain, and show the DNS records that prove it yours",
		Args:  exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, path, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			var added domain
			if err := client.Call(cmd.Context(), http.MethodPost, path, map[string]string{"name": args[0]}, &added); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), added)
			}
			return showRecords(added, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func showRecords(d domain, out, notes io.Writer) error {
	fmt.Fprintf(notes, "Add one of these records at your DNS provider; then run picobase domains verify %s\n", d.Name)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TYPE\tNAME\tVALUE")
	for _, r := range d.Records {
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.Type, r.Name, r.Value)
	}
	return table.Flush()
}

func domainsList(o *domainsOptions) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the domains of a project",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, path, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			domains, err := fetchDomains(cmd.Context(), client, path)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), domains)
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "DOMAIN\tSTATUS\tMESSAGE")
			for _, d := range domains {
				fmt.Fprintf(table, "%s\t%s\t%s\n", d.Name, d.Status, d.Message)
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func fetchDomains(ctx context.Context, platform *Client, path string) ([]domain, error) {
	var answer struct {
		Items []domain `json:"items"`
	}
	err := platform.Call(ctx, http.MethodGet, path, nil, &answer)
	return answer.Items, err
}

// findDomain returns the project's domain of that name.
func findDomain(ctx context.Context, platform *Client, path, name string) (domain, error) {
	domains, err := fetchDomains(ctx, platform, path)
	if err != nil {
		return domain{}, err
	}
	for _, d := range domains {
		if strings.EqualFold(d.Name, strings.TrimSuffix(name, ".")) || d.ID == name {
			return d, nil
		}
	}
	return domain{}, &Error{Code: ExitNotFound, Err: fmt.Errorf("this project has no domain %s", name), Hint: "See picobase domains list."}
}

func domainsVerify(o *domainsOptions) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify DOMAIN",
		Short: "Look at the DNS records of a domain now; fails until one is there",
		Args:  exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, path, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			found, err := findDomain(cmd.Context(), client, path, args[0])
			if err != nil {
				return err
			}
			var checked domain
			if err := client.Call(cmd.Context(), http.MethodPost, path+"/"+url.PathEscape(found.ID)+"/verify", nil, &checked); err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), checked); err != nil {
					return err
				}
			}
			if checked.Status != "verified" {
				return &Error{Code: ExitFailed, Err: errors.New(checked.Name + " is not verified: " + checked.Message)}
			}
			if !asJSON {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s is verified.\n", checked.Name)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func domainsRemove(o *domainsOptions) *cobra.Command {
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "remove DOMAIN",
		Short: "Serve the project at this domain no more",
		Args:  exactArgs("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, path, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			found, err := findDomain(cmd.Context(), client, path, args[0])
			if err != nil {
				return err
			}
			if err := confirm(cmd, yes, "Remove the domain "+found.Name+"? It stops to answer at once."); err != nil {
				return err
			}
			if err := client.Call(cmd.Context(), http.MethodDelete, path+"/"+url.PathEscape(found.ID), nil, nil); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), found)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Removed %s.\n", found.Name)
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the removed domain as JSON")
	return cmd
}
