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

const webhooksPath = "/api/v1/webhooks"

// webhook is an endpoint as the API shows it. As JSON it is what the server sent.
type webhook struct {
	raw json.RawMessage
	webhookFields
}

type webhookFields struct {
	ID             string   `json:"id"`
	Secret         string   `json:"secret"`
	URL            string   `json:"url"`
	Description    string   `json:"description"`
	Events         []string `json:"events"`
	Blocking       bool     `json:"blocking"`
	Enabled        bool     `json:"enabled"`
	DisabledReason string   `json:"disabledReason"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (w *webhook) UnmarshalJSON(data []byte) error {
	w.raw = append(json.RawMessage(nil), data...)
	return json.Unmarshal(data, &w.webhookFields)
}

// MarshalJSON implements [json.Marshaler].
func (w webhook) MarshalJSON() ([]byte, error) { return w.raw, nil }

func (w webhook) status() string {
	switch {
	case !w.Enabled:
		return "disabled (" + w.DisabledReason + ")"
	case w.Blocking:
		return "blocking"
	}
	return "enabled"
}

func webhookPath(id string) string { return webhooksPath + "/" + url.PathEscape(id) }

// NewWebhooks returns the command webhooks with its verbs.
func NewWebhooks(connect Connect) *cobra.Command {
	var target Target
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Send events to other servers, and see what became of them",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	targetFlags(cmd, &target)
	cmd.AddCommand(
		webhooksCreate(connect, &target), webhooksList(connect, &target), webhooksUpdate(connect, &target),
		webhooksDelete(connect, &target), webhooksTest(connect, &target), webhooksRotate(connect, &target),
		webhooksDeliveries(connect, &target), webhooksRetry(connect, &target),
	)
	return cmd
}

// webhookCommand is a command that makes one call and shows its answer.
func webhookCommand(connect Connect, target *Target, cmd *cobra.Command, do func(ctx context.Context, c *Client, args []string, asJSON bool) error) *cobra.Command {
	var asJSON bool
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return run(cmd, connect, *target, func(ctx context.Context, c *Client) error { return do(ctx, c, args, asJSON) })
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's JSON")
	return cmd
}

func webhooksCreate(connect Connect, target *Target) *cobra.Command {
	var events []string
	var description string
	var blocking, failOpen bool
	cmd := &cobra.Command{
		Use:   "create URL --event TYPE",
		Short: "Create a webhook and show its secret, once",
		Example: `  picobase webhooks create https://api.example.com/hooks --event 'user.*' --event record.created:posts
  picobase webhooks create https://api.example.com/gate --blocking --event 'before user.created'`,
		Args: exactArgs("URL"),
	}
	cmd.Flags().StringArrayVar(&events, "event", nil, "a type of event, repeatable: user.created, user.*, record.updated:posts")
	cmd.Flags().StringVar(&description, "description", "", "a text to tell the webhook by")
	cmd.Flags().BoolVar(&blocking, "blocking", false, "ask before \"before user.created\" or \"before user.signed_in\"")
	cmd.Flags().BoolVar(&failOpen, "fail-open", false, "allow when a blocking webhook does not answer")
	return webhookCommand(connect, target, cmd, func(ctx context.Context, c *Client, args []string, asJSON bool) error {
		if len(events) == 0 {
			return Usage("--event is missing: what is to be sent, such as user.*")
		}
		var created webhook
		err := c.Call(ctx, http.MethodPost, webhooksPath, map[string]any{
			"url": args[0], "events": events, "description": description, "blocking": blocking, "failOpen": failOpen,
		}, &created)
		if err != nil {
			return err
		}
		return showSecret(created, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
	})
}

func showSecret(w webhook, asJSON bool, out, notes io.Writer) error {
	if asJSON {
		return printJSON(out, w)
	}
	fmt.Fprintf(notes, "The webhook %s has this secret. Keep it now: it is never shown again.\n", w.ID)
	_, err := fmt.Fprintln(out, w.Secret)
	return err
}

func webhooksList(connect Connect, target *Target) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List all webhooks", Args: noArgs}
	return webhookCommand(connect, target, cmd, func(ctx context.Context, c *Client, _ []string, asJSON bool) error {
		var answer struct {
			Items []webhook `json:"items"`
		}
		if err := c.Call(ctx, http.MethodGet, webhooksPath, nil, &answer); err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), answer.Items)
		}
		table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tSTATUS\tURL\tEVENTS\tDESCRIPTION")
		for _, w := range answer.Items {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", w.ID, w.status(), oneLine(w.URL), oneLine(strings.Join(w.Events, ", ")), oneLine(w.Description))
		}
		return table.Flush()
	})
}

func webhooksUpdate(connect Connect, target *Target) *cobra.Command {
	var address, description string
	var events []string
	var enable, disable, failOpen bool
	cmd := &cobra.Command{
		Use:     "update ID",
		Short:   "Change a webhook, disable it, or revive one that was disabled",
		Example: "  picobase webhooks update 4wg1k2hz0p9x3ab --enable",
		Args:    exactArgs("ID"),
	}
	cmd.Flags().StringVar(&address, "to", "", "another URL")
	cmd.Flags().StringArrayVar(&events, "event", nil, "a type of event, repeatable; replaces all")
	cmd.Flags().StringVar(&description, "description", "", "another description")
	cmd.Flags().BoolVar(&failOpen, "fail-open", false, "allow when a blocking webhook does not answer; =false for the opposite")
	cmd.Flags().BoolVar(&enable, "enable", false, "send again")
	cmd.Flags().BoolVar(&disable, "disable", false, "send no more")
	return webhookCommand(connect, target, cmd, func(ctx context.Context, c *Client, args []string, asJSON bool) error {
		body := map[string]any{}
		for flag, value := range map[string]any{"to": address, "event": events, "description": description} {
			if cmd.Flags().Changed(flag) {
				body[map[string]string{"to": "url", "event": "events", "description": "description"}[flag]] = value
			}
		}
		if cmd.Flags().Changed("fail-open") {
			body["failOpen"] = failOpen
		}
		if enable && disable {
			return Usage("--enable and --disable exclude each other")
		}
		if enable || disable {
			body["enabled"] = enable
		}
		if len(body) == 0 {
			return Usage("nothing to change: give --to, --event, --description, --fail-open, --enable or --disable")
		}
		var changed webhook
		if err := c.Call(ctx, http.MethodPatch, webhookPath(args[0]), body, &changed); err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), changed)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "The webhook %s is %s.\n", changed.ID, changed.status())
		return nil
	})
}

func webhooksDelete(connect Connect, target *Target) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "delete ID", Short: "Delete a webhook, its log and what waits for it", Args: exactArgs("ID")}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return webhookCommand(connect, target, cmd, func(ctx context.Context, c *Client, args []string, asJSON bool) error {
		if err := confirm(cmd, yes, "Delete the webhook "+args[0]+"? What waits for it is not sent any more."); err != nil {
			return err
		}
		if err := c.Call(ctx, http.MethodDelete, webhookPath(args[0]), nil, nil); err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{"id": args[0]})
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Deleted %s.\n", args[0])
		return nil
	})
}

func webhooksTest(connect Connect, target *Target) *cobra.Command {
	var eventType string
	cmd := &cobra.Command{Use: "test ID", Short: "Send a sample now; the exit code says whether it arrived", Args: exactArgs("ID")}
	cmd.Flags().StringVar(&eventType, "event", "", "the type of the sample (default the webhook's first)")
	return webhookCommand(connect, target, cmd, func(ctx context.Context, c *Client, args []string, asJSON bool) error {
		var d webhookDelivery
		if err := c.Call(ctx, http.MethodPost, webhookPath(args[0])+"/test", map[string]any{"event": eventType}, &d); err != nil {
			return err
		}
		if asJSON {
			if err := printJSON(cmd.OutOrStdout(), d); err != nil {
				return err
			}
		}
		if d.Status != "delivered" {
			return &Error{Code: ExitFailed, Err: errors.New("the sample did not arrive: " + d.problem()), Hint: strings.TrimSpace(printable(d.Response))}
		}
		if !asJSON {
			fmt.Fprintf(cmd.ErrOrStderr(), "The sample of %s arrived in %d ms.\n", d.Type, d.Last.MS)
		}
		return nil
	})
}

func webhooksRotate(connect Connect, target *Target) *cobra.Command {
	var grace string
	cmd := &cobra.Command{
		Use:   "rotate-secret ID",
		Short: "Make a new secret and show it, once; the old one signs too for the grace time",
		Args:  exactArgs("ID"),
	}
	cmd.Flags().StringVar(&grace, "grace", "", "how long the old secret signs too, such as 24h or 0s (default by the settings)")
	return webhookCommand(connect, target, cmd, func(ctx context.Context, c *Client, args []string, asJSON bool) error {
		body := map[string]any{}
		if grace != "" {
			body["grace"] = grace
		}
		var rotated webhook
		if err := c.Call(ctx, http.MethodPost, webhookPath(args[0])+"/rotate-secret", body, &rotated); err != nil {
			return err
		}
		return showSecret(rotated, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
	})
}
