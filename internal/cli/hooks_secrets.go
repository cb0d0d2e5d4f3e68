package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const hookSecretsPath = hooksPath + "/secrets"

func hooksSecrets(connect Connect, target *Target) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Keep what hooks read with $secrets.get(name)",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(hooksSecretsSet(connect, target), hooksSecretsList(connect, target), hooksSecretsDelete(connect, target))
	return cmd
}

func hooksSecretsSet(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "set NAME",
		Short:   "Set a secret to what comes from the standard input",
		Example: "  picobase hooks secrets set STRIPE_KEY < key.txt",
		Args:    exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Not an argument: those are in the shell's history and in the list of
			// processes. One more byte than allowed tells a long value from a cut one.
			value, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 16<<10+3))
			if err != nil {
				return err
			}
			text := strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r")
			if text == "" {
				return Usage("the value comes from the standard input, and nothing came")
			}
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				if err := c.Call(ctx, http.MethodPut, hookSecretsPath+"/"+url.PathEscape(args[0]), map[string]string{"value": text}, nil); err != nil {
					return err
				}
				return secretDone(cmd, asJSON, args[0], "Set")
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the name as JSON")
	return cmd
}

func secretDone(cmd *cobra.Command, asJSON bool, name, what string) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]string{"name": name})
	}
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s %s.\n", what, name)
	return err
}

func hooksSecretsList(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the names of the secrets; values are never shown",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return listHookSecrets(ctx, c, asJSON, time.Now(), cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func listHookSecrets(ctx context.Context, c *Client, asJSON bool, now time.Time, out io.Writer) error {
	var list struct {
		Items []struct {
			Name      string    `json:"name"`
			Created   time.Time `json:"created"`
			Updated   time.Time `json:"updated"`
			UpdatedBy string    `json:"updatedBy"`
		} `json:"items"`
	}
	if err := c.Call(ctx, http.MethodGet, hookSecretsPath, nil, &list); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, list.Items)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSET\tBY")
	for _, s := range list.Items {
		fmt.Fprintf(table, "%s\t%s ago\t%s\n", s.Name, age(now, s.Updated), oneLine(s.UpdatedBy))
	}
	return table.Flush()
}

func hooksSecretsDelete(connect Connect, target *Target) *cobra.Command {
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a secret",
		Args:  exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := confirm(cmd, yes, "Delete the secret "+args[0]+"? Hooks that read it will fail."); err != nil {
				return err
			}
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				if err := c.Call(ctx, http.MethodDelete, hookSecretsPath+"/"+url.PathEscape(args[0]), nil, nil); err != nil {
					return err
				}
				return secretDone(cmd, asJSON, args[0], "Deleted")
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the name as JSON")
	return cmd
}
