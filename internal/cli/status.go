package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const healthPath = "/api/v1/health"

// healthReport is what a server says about itself.
type healthReport struct {
	Status     string `json:"status"`
	Version    string `json:"version"`
	PocketBase string `json:"pocketbase"`
	Uptime     int64  `json:"uptime"` // seconds
	Checks     map[string]struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	} `json:"checks"`
}

// troubles names the checks that are not well.
func (r healthReport) troubles() (names []string) {
	for name, check := range r.Checks {
		if check.Status == "failing" || check.Status == "degraded" {
			names = append(names, name+" ("+check.Message+")")
		}
	}
	return names
}

// fetchHealth returns the report, also of a server that is not well, and the Date of
// the answer.
func fetchHealth(ctx context.Context, c *Client) (report healthReport, date string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.exchange(ctx, http.MethodGet, healthPath, call{header: http.Header{}})
	if err != nil {
		return report, "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		return report, "", answerError(response)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return report, "", err
	}
	if json.Unmarshal(content, &report) != nil || report.Version == "" {
		response.Body = io.NopCloser(strings.NewReader(string(content)))
		if response.StatusCode == http.StatusOK {
			return report, "", fmt.Errorf("%s did not answer as PicoBase does", c.base)
		}
		return report, "", answerError(response)
	}
	return report, response.Header.Get("Date"), nil
}

// statusReport is what status prints.
type statusReport struct {
	// Kind is project, of a platform; server, by its URL; or folder.
	Kind   string `json:"kind"`
	Linked bool   `json:"linked"`

	Platform string   `json:"platform,omitempty"`
	Project  *project `json:"project,omitempty"`
	URL      string   `json:"url,omitempty"`
	Dir      string   `json:"dir,omitempty"`

	// Server and Keys are missing for a project that does not run: looking would
	// wake it.
	Server *healthReport `json:"server"`
	Keys   *keyCount     `json:"keys"`
}

// keyCount is how many keys are in force, missing when the key may not list keys.
type keyCount struct {
	Publishable int `json:"publishable"`
	Secret      int `json:"secret"`
}

// NewStatus returns the command status.
func NewStatus(connect Connect) *cobra.Command {
	var target Target
	var asJSON, wake bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which project this folder works on, and how it is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			resolved, err := resolve(cmd.Context(), cmd, target)
			if err != nil {
				return err
			}
			report, err := status(cmd.Context(), connect, resolved, wake)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return showStatus(report, cmd.OutOrStdout())
		},
	}
	targetFlags(cmd, &target)
	cmd.Flags().BoolVar(&wake, "wake", false, "ask the server of a project that sleeps too, which wakes it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func status(ctx context.Context, connect Connect, target Target, wake bool) (statusReport, error) {
	report := statusReport{Kind: "folder", Linked: target.linked, Dir: target.Dir}
	switch {
	case target.platform != nil:
		found, err := findProject(ctx, target.platform, target.Project)
		if err != nil {
			return report, err
		}
		report.Kind, report.Dir, report.Platform, report.Project, report.URL = "project", "", target.platform.base, &found, found.URL
		if found.Status != "running" && (!wake || found.Status != "asleep") {
			return report, nil
		}
	case target.URL != "":
		report.Kind, report.Dir, report.URL = "server", "", target.URL
	}
	err := runOn(ctx, connect, target, func(ctx context.Context, c *Client) error {
		health, _, err := fetchHealth(ctx, c)
		if err != nil {
			return err
		}
		report.Server = &health
		report.Keys, err = countKeys(ctx, c)
		return err
	})
	return report, err
}

func countKeys(ctx context.Context, c *Client) (*keyCount, error) {
	var answer struct {
		Items []key `json:"items"`
	}
	err := c.Call(ctx, http.MethodGet, keysPath, nil, &answer)
	var own *Error
	if errors.As(err, &own) && own.status == http.StatusForbidden {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var count keyCount
	for _, k := range answer.Items {
		switch {
		case k.Status != "active":
		case k.Kind == "secret":
			count.Secret++
		default:
			count.Publishable++
		}
	}
	return &count, nil
}

func showStatus(r statusReport, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	by := ""
	if r.Linked {
		by = " (linked)"
	}
	switch {
	case r.Project != nil:
		fmt.Fprintf(table, "project\t%s%s\nplatform\t%s\nurl\t%s\nstate\t%s\n", r.Project.Name, by, r.Platform, r.URL, r.Project.Status)
		if r.Project.Message != "" {
			fmt.Fprintf(table, "message\t%s\n", r.Project.Message)
		}
	case r.URL != "":
		fmt.Fprintf(table, "server\t%s%s\n", r.URL, by)
	default:
		fmt.Fprintf(table, "folder\t%s\n", r.Dir)
	}
	if r.Server != nil {
		health := r.Server.Status
		if troubles := r.Server.troubles(); len(troubles) > 0 {
			health += ": " + strings.Join(troubles, ", ")
		}
		fmt.Fprintf(table, "health\t%s\nversion\t%s (PocketBase %s)\n", health, r.Server.Version, r.Server.PocketBase)
		if r.Kind != "folder" {
			fmt.Fprintf(table, "up since\t%s\n", time.Now().Add(-time.Duration(r.Server.Uptime)*time.Second).Format(time.RFC3339))
		}
	}
	if r.Keys != nil {
		fmt.Fprintf(table, "keys\t%d publishable, %d secret\n", r.Keys.Publishable, r.Keys.Secret)
	}
	return table.Flush()
}
