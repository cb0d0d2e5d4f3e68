package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

type usageOptions struct {
	From, To, Interval, Key, Route, GroupBy string
	JSON                                    bool
}

// NewUsage returns the command usage.
func NewUsage(connect Connect) *cobra.Command {
	var target Target
	var o usageOptions
	cmd := &cobra.Command{
		Use:     "usage",
		Short:   "Show requests, errors, bytes and latency",
		Example: "  picobase usage --interval day --from 2026-11-01 --group-by key",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, target, func(ctx context.Context, c *Client) error {
				return showUsage(ctx, c, o, cmd.OutOrStdout())
			})
		},
	}
	targetFlags(cmd, &target)
	flags := cmd.Flags()
	flags.StringVar(&o.From, "from", "", "start, as a date or RFC 3339 (default 24 hours ago)")
	flags.StringVar(&o.To, "to", "", "end (default now)")
	flags.StringVar(&o.Interval, "interval", "", "hour, day or total (default hour)")
	flags.StringVar(&o.Key, "key-id", "", "only this key; none for requests without one")
	flags.StringVar(&o.Route, "route", "", "only this group of routes, such as records or auth")
	flags.StringVar(&o.GroupBy, "group-by", "", "split by key, route, status (comma separated)")
	flags.BoolVar(&o.JSON, "json", false, "print the API's JSON")
	return cmd
}

func showUsage(ctx context.Context, c *Client, o usageOptions, out io.Writer) error {
	path := "/api/v1/usage" + query(map[string]string{
		"from": o.From, "to": o.To, "interval": o.Interval, "key": o.Key, "route": o.Route, "groupBy": o.GroupBy,
	})
	if o.JSON {
		var answer any
		if err := c.Call(ctx, http.MethodGet, path, nil, &answer); err != nil {
			return err
		}
		return printJSON(out, answer)
	}
	type line struct {
		Time     string `json:"time"`
		Key      string `json:"key"`
		Route    string `json:"route"`
		Status   string `json:"status"`
		Requests int64  `json:"requests"`
		Errors   int64  `json:"errors"`
		BytesIn  int64  `json:"bytesIn"`
		BytesOut int64  `json:"bytesOut"`
		Latency  struct {
			P50 float64 `json:"p50"`
			P95 float64 `json:"p95"`
			P99 float64 `json:"p99"`
		} `json:"latency"`
	}
	var answer struct {
		Items []line `json:"items"`
		Total line   `json:"total"`
	}
	if err := c.Call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return err
	}
	answer.Total.Time = "total"
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TIME\tKEY\tROUTE\tSTATUS\tREQUESTS\tERRORS\tBYTES IN\tBYTES OUT\tP50 MS\tP95 MS\tP99 MS")
	for _, l := range append(answer.Items, answer.Total) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f\n", l.Time, l.Key, l.Route, l.Status,
			l.Requests, l.Errors, l.BytesIn, l.BytesOut, l.Latency.P50, l.Latency.P95, l.Latency.P99)
	}
	return table.Flush()
}

// query builds a query string of the values that are not empty.
func query(values map[string]string) string {
	set := url.Values{}
	for name, value := range values {
		if value != "" {
			set.Set(name, value)
		}
	}
	if len(set) == 0 {
		return ""
	}
	return "?" + set.Encode()
}
