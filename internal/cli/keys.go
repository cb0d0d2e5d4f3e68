package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const keysPath = "/api/v1/keys"

// key is an API key as the API shows it.
type key struct {
	ID       string   `json:"id"`
	Key      string   `json:"key,omitempty"`
	Kind     string   `json:"kind"`
	Label    string   `json:"label"`
	Scopes   []string `json:"scopes"`
	Expires  *string  `json:"expires"`
	Created  string   `json:"created"`
	Hint     string   `json:"hint"`
	Status   string   `json:"status"`
	LastUsed *string  `json:"lastUsed"`
}

// createdKey is what `keys create --json` prints.
type createdKey struct {
	ID      string   `json:"id"`
	Key     string   `json:"key"`
	Kind    string   `json:"kind"`
	Label   string   `json:"label"`
	Scopes  []string `json:"scopes"`
	Expires *string  `json:"expires"`
	Created string   `json:"created"`
}

// NewKeys returns the command keys with its verbs.
func NewKeys(connect Connect) *cobra.Command {
	var target Target
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Create, list, rotate and revoke API keys",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	targetFlags(cmd, &target)
	cmd.AddCommand(keysCreate(connect, &target), keysList(connect, &target), keysRotate(connect, &target), keysRevoke(connect, &target))
	return cmd
}

type keysCreateOptions struct {
	Kind, Label, Expires, RateLimit string
	Scopes, AllowedIPs              []string
	JSON                            bool
}

func keysCreate(connect Connect, target *Target) *cobra.Command {
	var o keysCreateOptions
	cmd := &cobra.Command{
		Use:   "create --kind publishable|secret",
		Short: "Create a key and show it, once",
		Example: `  picobase keys create --kind publishable --label website
  picobase keys create --kind secret --label worker --scope records:read:posts --expires 90d`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			target.Create = true
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return createKey(ctx, c, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	cmd.Flags().StringVar(&o.Kind, "kind", "", "publishable (for browsers) or secret (for servers)")
	cmd.Flags().StringVar(&o.Label, "label", "", "a name to tell the key by")
	cmd.Flags().StringArrayVar(&o.Scopes, "scope", nil, "what a secret key may do, repeatable (default records:*)")
	cmd.Flags().StringVar(&o.Expires, "expires", "", "when the key ends: 90d, 12h or 2027-01-31T00:00:00Z (default never)")
	cmd.Flags().StringArrayVar(&o.AllowedIPs, "allow-ip", nil, "address or network that may use the key, repeatable (default all)")
	cmd.Flags().StringVar(&o.RateLimit, "rate-limit", "", "requests per second and burst for this key alone: 50 or 50:100")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

func createKey(ctx context.Context, c *Client, o keysCreateOptions, out, notes io.Writer) error {
	if o.Kind == "" {
		return Usage("--kind is missing: publishable or secret")
	}
	body := map[string]any{"kind": o.Kind, "label": o.Label}
	if len(o.Scopes) > 0 {
		body["scopes"] = o.Scopes
	}
	if len(o.AllowedIPs) > 0 {
		body["allowedIPs"] = o.AllowedIPs
	}
	if o.Expires != "" {
		expires, err := parseMoment(o.Expires, time.Now())
		if err != nil {
			return Usage("--expires: %w", err)
		}
		body["expires"] = expires
	}
	if o.RateLimit != "" {
		limit, err := parseRateLimit(o.RateLimit)
		if err != nil {
			return Usage("--rate-limit: %w", err)
		}
		body["rateLimit"] = limit
	}
	var created key
	if err := c.Call(ctx, http.MethodPost, keysPath, body, &created); err != nil {
		return err
	}
	return showNewKey(created, o.JSON, out, notes)
}

func showNewKey(k key, asJSON bool, out, notes io.Writer) error {
	if asJSON {
		return printJSON(out, createdKey{k.ID, k.Key, k.Kind, k.Label, k.Scopes, k.Expires, k.Created})
	}
	fmt.Fprintf(notes, "Created the %s key %s. Keep it now: it is never shown again.\n", k.Kind, k.ID)
	_, err := fmt.Fprintln(out, k.Key)
	return err
}

func keysList(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all keys, without the keys themselves",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return listKeys(ctx, c, asJSON, cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func listKeys(ctx context.Context, c *Client, asJSON bool, out io.Writer) error {
	var answer struct {
		Items []key `json:"items"`
	}
	if err := c.Call(ctx, http.MethodGet, keysPath, nil, &answer); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, answer.Items)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKEY\tSTATUS\tLABEL\tSCOPES\tEXPIRES\tLAST USED")
	for _, k := range answer.Items {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Hint, k.Status, oneLine(k.Label),
			strings.Join(k.Scopes, " "), orElse(k.Expires, "never"), orElse(k.LastUsed, "never"))
	}
	return table.Flush()
}

func keysRotate(connect Connect, target *Target) *cobra.Command {
	var grace string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Create the successor of a key; the old one works on for the grace time",
		Args:  exactArgs("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				var created key
				path := keysPath + "/" + url.PathEscape(args[0]) + "/rotate"
				if err := c.Call(ctx, http.MethodPost, path, map[string]any{"grace": grace}, &created); err != nil {
					return err
				}
				return showNewKey(created, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	cmd.Flags().StringVar(&grace, "grace", "24h", "how long the old key works on")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func keysRevoke(connect Connect, target *Target) *cobra.Command {
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a key at once and for good",
		Args:  exactArgs("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := confirm(cmd, yes, "Revoke the key "+args[0]+"? Whoever uses it is locked out at once."); err != nil {
				return err
			}
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				var revoked key
				if err := c.Call(ctx, http.MethodDelete, keysPath+"/"+url.PathEscape(args[0]), nil, &revoked); err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), revoked)
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "Revoked %s.\n", revoked.ID)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the revoked key as JSON")
	return cmd
}

// parseMoment reads a time, or a duration from now that may be in days.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if moment, err := time.Parse(time.RFC3339, text); err == nil {
		return moment, nil
	}
	if number, isDays := strings.CutSuffix(text, "d"); isDays {
		if days, err := strconv.Atoi(number); err == nil && days > 0 {
			return now.AddDate(0, 0, days), nil
		}
	}
	if duration, err := time.ParseDuration(text); err == nil && duration > 0 {
		return now.Add(duration), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration such as 90d or 12h nor a time such as 2027-01-31T00:00:00Z", text)
}

// parseRateLimit reads RATE or RATE:BURST; the burst is twice the rate by default.
func parseRateLimit(text string) (map[string]any, error) {
	first, second, hasBurst := strings.Cut(text, ":")
	rate, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number of requests per second", first)
	}
	burst := max(1, int(2*rate))
	if hasBurst {
		if burst, err = strconv.Atoi(second); err != nil {
			return nil, fmt.Errorf("%q is not a number of requests", second)
		}
	}
	return map[string]any{"rate": rate, "burst": burst}, nil
}

func orElse(text *string, otherwise string) string {
	if text == nil {
		return otherwise
	}
	return *text
}
