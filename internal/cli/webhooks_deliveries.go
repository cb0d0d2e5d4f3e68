package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

const deliveriesPath = webhooksPath + "/deliveries"

// webhookDelivery is a delivery as the API shows it. As JSON it is what the
// server sent.
type webhookDelivery struct {
	raw json.RawMessage
	deliveryFields
}

type deliveryFields struct {
	ID       string  `json:"id"`
	Webhook  string  `json:"webhook"`
	Type     string  `json:"type"`
	Status   string  `json:"status"`
	Created  string  `json:"created"`
	Due      *string `json:"due"`
	Attempts int     `json:"attempts"`
	Response string  `json:"response"`
	Last     *struct {
		Status int    `json:"status"`
		MS     int64  `json:"ms"`
		Error  string `json:"error"`
	} `json:"last"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (d *webhookDelivery) UnmarshalJSON(data []byte) error {
	d.raw = append(json.RawMessage(nil), data...)
	return json.Unmarshal(data, &d.deliveryFields)
}

// MarshalJSON implements [json.Marshaler].
func (d webhookDelivery) MarshalJSON() ([]byte, error) { return d.raw, nil }

func (d webhookDelivery) problem() string {
	if d.Last == nil {
		return ""
	}
	return d.Last.Error
}

type deliveriesOptions struct {
	Webhook, Status, Type string
	Page, PerPage         int
}

func webhooksDeliveries(connect Connect, target *Target) *cobra.Command {
	var o deliveriesOptions
	cmd := &cobra.Command{
		Use:     "deliveries [ID]",
		Short:   "List deliveries, the newest first, or show one with all that was sent and answered",
		Example: "  picobase webhooks deliveries --status failed",
		Args:    atMostOne("ID"),
	}
	cmd.Flags().StringVar(&o.Webhook, "webhook", "", "only those of this webhook")
	cmd.Flags().StringVar(&o.Status, "status", "", "only pending, delivered, failed or skipped ones")
	cmd.Flags().StringVar(&o.Type, "type", "", "only those of this type of event")
	cmd.Flags().IntVar(&o.Page, "page", 1, "the page")
	cmd.Flags().IntVar(&o.PerPage, "per-page", 50, "how many a page")
	return webhookCommand(connect, target, cmd, func(ctx context.Context, c *Client, args []string, asJSON bool) error {
		if len(args) == 1 {
			return showDelivery(ctx, c, args[0], asJSON, cmd)
		}
		return listDeliveries(ctx, c, o, asJSON, cmd)
	})
}

func showDelivery(ctx context.Context, c *Client, id string, asJSON bool, cmd *cobra.Command) error {
	var d webhookDelivery
	if err := c.Call(ctx, http.MethodGet, deliveriesPath+"/"+url.PathEscape(id), nil, &d); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), d)
	}
	indented, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), string(indented))
	return err
}

func listDeliveries(ctx context.Context, c *Client, o deliveriesOptions, asJSON bool, cmd *cobra.Command) error {
	path := deliveriesPath + query(map[string]string{
		"webhook": o.Webhook, "status": o.Status, "type": o.Type,
		"page": strconv.Itoa(o.Page), "perPage": strconv.Itoa(o.PerPage),
	})
	var answer struct {
		Items []webhookDelivery `json:"items"`
	}
	if err := c.Call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), answer.Items)
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tCREATED\tTYPE\tWEBHOOK\tSTATUS\tATTEMPTS\tNEXT\tLAST ERROR")
	for _, d := range answer.Items {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.ID, d.Created, d.Type, d.Webhook, d.Status, d.Attempts, orElse(d.Due, "-"), oneLine(d.problem()))
	}
	return table.Flush()
}

func webhooksRetry(connect Connect, target *Target) *cobra.Command {
	var allOf string
	cmd := &cobra.Command{
		Use:     "retry [ID]",
		Short:   "Send a delivery again, or with --all-failed every failed one of a webhook",
		Example: "  picobase webhooks retry --all-failed 4wg1k2hz0p9x3ab",
		Args:    atMostOne("ID"),
	}
	cmd.Flags().StringVar(&allOf, "all-failed", "", "the webhook whose failed deliveries are sent again")
	return webhookCommand(connect, target, cmd, func(ctx context.Context, c *Client, args []string, asJSON bool) error {
		if (len(args) == 1) == (allOf != "") {
			return Usage("give the ID of a delivery, or --all-failed with the id of a webhook")
		}
		if allOf != "" {
			var answer struct {
				Retried int `json:"retried"`
			}
			if err := c.Call(ctx, http.MethodPost, deliveriesPath+"/retry", map[string]any{"webhook": allOf}, &answer); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d deliveries are sent again.\n", answer.Retried)
			return nil
		}
		var d webhookDelivery
		if err := c.Call(ctx, http.MethodPost, deliveriesPath+"/"+url.PathEscape(args[0])+"/retry", nil, &d); err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), d)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is sent again.\n", d.ID)
		return nil
	})
}

// atMostOne lets a command take one argument or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return Usage("%s takes at most one argument: %s", cmd.CommandPath(), name)
		}
		return nil
	}
}
