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

type logsOptions struct {
	Key, Route, Status, Level, Filter string
	Limit                             int
	Tail, JSON                        bool
}

// NewLogs returns the command logs.
func NewLogs(connect Connect) *cobra.Command {
	var target Target
	var o logsOptions
	cmd := &cobra.Command{
		Use:     "logs",
		Short:   "Show the request log, or follow it with --tail",
		Example: "  picobase logs --status 5xx\n  picobase logs --tail --url https://api.example.com",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, target, func(ctx context.Context, c *Client) error {
				if !o.Tail {
					return showLogs(ctx, c, o, cmd.OutOrStdout())
				}
				if c.local {
					return Usage("--tail follows a running server: give its --url, or --project")
				}
				if o.Filter != "" {
					return Usage("--filter is for what is stored; --tail takes --level, --status, --route and --key-id")
				}
				return tailLogs(ctx, c, o, cmd.OutOrStdout())
			})
		},
	}
	targetFlags(cmd, &target)
	flags := cmd.Flags()
	flags.BoolVar(&o.Tail, "tail", false, "print requests as they are served")
	flags.StringVar(&o.Key, "key-id", "", "only this key")
	flags.StringVar(&o.Route, "route", "", "only this route, as in the log")
	flags.StringVar(&o.Status, "status", "", "only this status (404) or class (4xx)")
	flags.StringVar(&o.Level, "level", "", "only this level: debug, info, warn, error or a number")
	flags.StringVar(&o.Filter, "filter", "", "a PocketBase filter, such as data.status>=500")
	flags.IntVar(&o.Limit, "limit", 50, "how many entries")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object a line")
	return cmd
}

type logEntry struct {
	raw json.RawMessage

	Created string         `json:"created"`
	Level   int            `json:"level"`
	Message string         `json:"message"`
	Data    map[string]any `json:"data"`
}

func showLogs(ctx context.Context, c *Client, o logsOptions, out io.Writer) error {
	var answer struct {
		Items []json.RawMessage `json:"items"`
	}
	path := "/api/v1/logs" + query(map[string]string{
		"key": o.Key, "route": o.Route, "status": o.Status, "level": o.Level, "filter": o.Filter, "perPage": strconv.Itoa(o.Limit),
	})
	if err := c.Call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return err
	}
	entries := make([]logEntry, 0, len(answer.Items))
	for _, raw := range answer.Items {
		entry := logEntry{raw: raw}
		if err := json.Unmarshal(raw, &entry); err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	// The newest last, as in any log. The server's order is that of writing,
	// which happens in batches.
	slices.SortStableFunc(entries, func(a, b logEntry) int { return strings.Compare(a.Created, b.Created) })
	for _, entry := range entries {
		if o.JSON {
			fmt.Fprintln(out, string(entry.raw))
			continue
		}
		line := entry.Created + "  " + entry.Message
		if status, ok := entry.Data["status"]; ok {
			line += fmt.Sprintf("  %v", status)
		}
		if problem, ok := entry.Data["error"]; ok {
			line += fmt.Sprintf("  %v", problem)
		}
		fmt.Fprintln(out, printable(line)) // whoever sends requests chooses what they are
	}
	return nil
}

// tailLogs prints the live log until ctx ends or the server closes it.
func tailLogs(ctx context.Context, c *Client, o logsOptions, out io.Writer) error {
	keep, err := tailLevel(o.Level)
	if err != nil {
		return err
	}
	path := "/api/v1/logs/stream" + query(map[string]string{"key": o.Key, "route": o.Route, "status": o.Status})
	response, err := c.open(ctx, http.MethodGet, path, nil)
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
		if data = strings.TrimSpace(data); !keep(data) {
			continue
		}
		if err := printTail(out, data, o.JSON); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // the person stopped it
	}
	return lines.Err()
}

// tailLevel selects entries of the live log by level. They have none of their own:
// requests are stored as errors when they have one, and as info otherwise.
func tailLevel(level string) (func(data string) bool, error) {
	var failed bool
	switch strings.ToLower(level) {
	case "":
		return func(string) bool { return true }, nil
	case "info", "0":
	case "error", "8":
		failed = true
	default:
		return nil, Usage("--level: with --tail, info or error: requests have no other")
	}
	return func(data string) bool {
		var entry struct {
			Method string `json:"method"`
			Error  string `json:"error"`
		}
		// What is no request, such as that some were dropped, is told at any level.
		return json.Unmarshal([]byte(data), &entry) != nil || entry.Method == "" || (entry.Error != "") == failed
	}, nil
}

func printTail(out io.Writer, data string, asJSON bool) error {
	if asJSON {
		_, err := fmt.Fprintln(out, data)
		return err
	}
	var entry struct {
		Time       string  `json:"time"`
		Method     string  `json:"method"`
		URL        string  `json:"url"`
		Status     int     `json:"status"`
		DurationMs float64 `json:"durationMs"`
		Error      string  `json:"error"`
		Count      int     `json:"count"`
	}
	if err := json.Unmarshal([]byte(data), &entry); err != nil {
		return err
	}
	if entry.Method == "" {
		_, err := fmt.Fprintf(out, "… %d entries dropped, this terminal is too slow\n", entry.Count)
		return err
	}
	_, err := fmt.Fprintf(out, "%s  %d  %s %s  %.1f ms  %s\n", entry.Time, entry.Status, printable(entry.Method), printable(entry.URL), entry.DurationMs, printable(entry.Error))
	return err
}
