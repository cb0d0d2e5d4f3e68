package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// drillReport is the outcome of a restore drill.
type drillReport struct {
	Status   string    `json:"status"`
	Started  time.Time `json:"started"`
	Source   string    `json:"source"`
	Duration float64   `json:"duration"` // seconds
	Bytes    int64     `json:"bytes"`
	Tables   int       `json:"tables"`
	Rows     int64     `json:"rows"`
	Error    string    `json:"error,omitempty"`
}

func backupsDrill(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Prove that a restore works: restore the newest state aside and check it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				var report drillReport
				if err := c.CallLong(ctx, http.MethodPost, backupsPath+"/drill", nil, &report); err != nil {
					return err
				}
				if asJSON {
					if err := printJSON(cmd.OutOrStdout(), report); err != nil {
						return err
					}
				}
				if report.Status != "ok" {
					return &Error{Code: ExitFailed, Err: errors.New("the restore drill failed: " + report.Error)}
				}
				if asJSON {
					return nil
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Restored %s with %d tables and %d rows in %.1f s from the %s, and found it whole.\n",
					size(report.Bytes), report.Tables, report.Rows, report.Duration, report.Source)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
