package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

type hooksLogsOptions struct {
	Level, Hook, Version, RequestID, Since string
	Limit                                  int
	Tail, JSON                             bool
}

func hooksLogs(connect Connect, target *Target) *cobra.Command {
	var o hooksLogsOptions
	cmd := &cobra.Command{
		Use:     "logs",
		Short:   "Show what hooks logged and where they failed, or follow it with --tail",
		Example: "  picobase hooks logs --level error\n  picobase hooks logs --tail --url https://api.example.com",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				if !o.Tail {
					return showHookLogs(ctx, c, o, cmd.OutOrStdout())
				}
				if c.local {
					return Usage("--tail follows a running server: give its --url, or --project")
				}
				return tailHookLogs(ctx, c, o, cmd.OutOrStdout())
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Tail, "tail", false, "print entries as they come")
	flags.StringVar(&o.Level, "level", "", "only this level and above: debug, info, warn or error")
	flags.StringVar(&o.Hook, "hook", "", "only this hook, as in the log")
	flags.StringVar(&o.Version, "version", "", "only this version")
	flags.StringVar(&o.RequestID, "request", "", "only the request with this id")
	flags.StringVar(&o.Since, "since", "", "not before this time, as RFC 3339")
	flags.IntVar(&o.Limit, "limit", 50, "how many entries, at most 500")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object a line")
	return cmd
}

func (o hooksLogsOptions) query() map[string]string {
	return map[string]string{"level": o.Level, "hook": o.Hook, "version": o.Version, "requestId": o.RequestID}
}

func showHookLogs(ctx context.Context, c *Client, o hooksLogsOptions, out io.Writer) error {
	var answer struct {
		Items []json.RawMessage `json:"items"`
	}
	asked := o.query()
	asked["since"], asked["perPage"] = o.Since, strconv.Itoa(o.Limit)
	if err := c.Call(ctx, http.MethodGet, hooksPath+"/logs"+query(asked), nil, &answer); err != nil {
		return err
	}
	slices.Reverse(answer.Items) // the newest last, as in any log
	for _, item := range answer.Items {
		if err := printHookLog(out, string(item), o.JSON); err != nil {
			return err
		}
	}
	return nil
}

// tailHookLogs prints the live log until ctx ends or the server closes it.
func tailHookLogs(ctx context.Context, c *Client, o hooksLogsOptions, out io.Writer) error {
	response, err := c.open(ctx, http.MethodGet, hooksPath+"/logs/stream"+query(o.query()), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data:")
		if !found {
			continue
		}
		if err := printHookLog(out, strings.TrimSpace(data), o.JSON); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // the person stopped it
	}
	return lines.Err()
}

func printHookLog(out io.Writer, data string, asJSON bool) error {
	if asJSON {
		_, err := fmt.Fprintln(out, data)
		return err
	}
	var entry struct {
		Time      string `json:"time"`
		Level     string `json:"level"`
		Message   string `json:"message"`
		Version   string `json:"version"`
		Hook      string `json:"hook"`
		File      string `json:"file"`
		Line      int    `json:"line"`
		RequestID string `json:"requestId"`
		Count     int    `json:"count"`
	}
	if err := json.Unmarshal([]byte(data), &entry); err != nil {
		return err
	}
	if entry.Time == "" {
		_, err := fmt.Fprintf(out, "… %d entries dropped, this terminal is too slow\n", entry.Count)
		return err
	}
	// Whoever sends requests may choose what a hook logs, and terminals obey.
	entry.Message, entry.RequestID, entry.Hook = printable(entry.Message), printable(entry.RequestID), printable(entry.Hook)
	place := entry.Hook
	if entry.File != "" {
		place += fmt.Sprintf("  %s:%d", entry.File, entry.Line)
	}
	_, err := fmt.Fprintf(out, "%s  %-5s  v%s  %s  %s  %s\n", entry.Time, entry.Level, entry.Version, place, entry.RequestID,
		strings.ReplaceAll(entry.Message, "\n", "\n    "))
	return err
}
