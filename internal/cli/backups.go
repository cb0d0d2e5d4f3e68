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
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

const backupsPath = "/api/v1/backups"

const (
	statusCreating = "creating"
	statusFailed   = "failed"
)

// snapshot is a backup as the API shows it. As JSON it is what the server sent.
type snapshot struct {
	raw json.RawMessage
	snapshotFields
}

type snapshotFields struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`
	Status   string     `json:"status"`
	Label    string     `json:"label"`
	Created  time.Time  `json:"created"`
	At       time.Time  `json:"at"`
	Size     int64      `json:"size"`
	SHA256   string     `json:"sha256"`
	Verified *time.Time `json:"verified"`
	Error    string     `json:"error"`
	Files    int        `json:"files"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *snapshot) UnmarshalJSON(data []byte) error {
	s.raw = append(json.RawMessage(nil), data...)
	return json.Unmarshal(data, &s.snapshotFields)
}

// MarshalJSON implements [json.Marshaler].
func (s snapshot) MarshalJSON() ([]byte, error) { return s.raw, nil }

// failure is the error for a snapshot that is no good.
func (s snapshot) failure() error {
	if s.Status != statusFailed {
		return nil
	}
	return &Error{Code: ExitFailed, Err: fmt.Errorf("the backup %s failed: %s", s.ID, s.Error)}
}

func snapshotPath(id string) string { return backupsPath + "/" + url.PathEscape(id) }

// NewBackups returns the command backups with its verbs.
func NewBackups(connect Connect) *cobra.Command {
	target := Target{Recover: true}
	cmd := &cobra.Command{
		Use:   "backups",
		Short: "Make, check, move and restore backups",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	targetFlags(cmd, &target)
	cmd.AddCommand(
		backupsCreate(connect, &target), backupsList(connect, &target), backupsDownload(connect, &target),
		backupsUpload(connect, &target), backupsVerify(connect, &target), backupsDelete(connect, &target),
		backupsRestore(connect, &target), backupsWindow(connect, &target),
		backupsDrill(connect, &target), backupsKeygen(),
	)
	return cmd
}

type backupsCreateOptions struct {
	Label, At string
	JSON      bool
}

func backupsCreate(connect Connect, target *Target) *cobra.Command {
	var o backupsCreateOptions
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Make a backup of the project as it is, or as it was with --at",
		Example: "  picobase backups create --label \"before the move\"\n  picobase backups create --at 2026-11-25T03:15:00Z",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return createBackup(ctx, c, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	cmd.Flags().StringVar(&o.Label, "label", "", "a text to tell the backup by")
	cmd.Flags().StringVar(&o.At, "at", "", "a moment in the past, as RFC 3339 (default now)")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

func createBackup(ctx context.Context, c *Client, o backupsCreateOptions, out, notes io.Writer) error {
	at, err := parseAt(o.At)
	if err != nil {
		return err
	}
	made, err := makeSnapshot(ctx, c, o.Label, at)
	if err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, made)
	}
	fmt.Fprintf(notes, "Made a backup of %s with %d uploaded files, and read it back.\n", size(made.Size), made.Files)
	_, err = fmt.Fprintln(out, made.ID)
	return err
}

// parseAt reads the flag --at; the zero time stands for none.
func parseAt(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, Usage("--at: %q is no time such as 2027-01-31T00:00:00Z", text)
	}
	return at, nil
}

// makeSnapshot asks for a snapshot and waits until it is made.
func makeSnapshot(ctx context.Context, c *Client, label string, at time.Time) (snapshot, error) {
	body := map[string]any{}
	if label != "" {
		body["label"] = label
	}
	if !at.IsZero() {
		body["at"] = at
	}
	var s snapshot
	if err := c.CallLong(ctx, http.MethodPost, backupsPath, body, &s); err != nil {
		return s, err
	}
	for s.Status == statusCreating {
		if err := c.pause(ctx); err != nil {
			return s, err
		}
		id := s.ID
		s = snapshot{}
		if err := c.Call(ctx, http.MethodGet, snapshotPath(id), nil, &s); err != nil {
			return s, err
		}
	}
	return s, s.failure()
}

// pause waits until it is time to ask again.
func (c *Client) pause(ctx context.Context) error {
	timer := time.NewTimer(c.poll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func backupsList(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all backups, the newest first",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return listBackups(ctx, c, asJSON, time.Now(), cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's JSON")
	return cmd
}

func listBackups(ctx context.Context, c *Client, asJSON bool, now time.Time, out io.Writer) error {
	var answer json.RawMessage
	if err := c.Call(ctx, http.MethodGet, backupsPath, nil, &answer); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, answer)
	}
	var list struct {
		Items []snapshot `json:"items"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return fmt.Errorf("%s did not answer as PicoBase does: %w", c.base, err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tSTATUS\tSIZE\tAGE\tVERIFIED\tLABEL")
	for _, s := range list.Items {
		verified := "never"
		if s.Verified != nil {
			verified = age(now, *s.Verified) + " ago"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Kind, s.Status, size(s.Size), age(now, s.At), verified,
			strings.TrimSpace(oneLine(s.Label)+" "+oneLine(s.Error)))
	}
	return table.Flush()
}

func backupsVerify(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify ID",
		Short: "Read a backup again and check that it is whole",
		Args:  exactArgs("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return verifyBackup(ctx, c, args[0], asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the backup as JSON")
	return cmd
}

func verifyBackup(ctx context.Context, c *Client, id string, asJSON bool, out, notes io.Writer) error {
	var s snapshot
	if err := c.CallLong(ctx, http.MethodPost, snapshotPath(id)+"/verify", nil, &s); err != nil {
		return err
	}
	if asJSON {
		return errors.Join(printJSON(out, s), s.failure())
	}
	if err := s.failure(); err != nil {
		return err
	}
	fmt.Fprintf(notes, "%s is whole: %s.\n", s.ID, size(s.Size))
	return nil
}

func backupsDelete(connect Connect, target *Target) *cobra.Command {
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a backup for good",
		Args:  exactArgs("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := confirm(cmd, yes, "Delete the backup "+args[0]+"? It cannot be brought back."); err != nil {
				return err
			}
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				if err := c.Call(ctx, http.MethodDelete, snapshotPath(args[0]), nil, nil); err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), map[string]string{"id": args[0]})
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "Deleted %s.\n", args[0])
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the id as JSON")
	return cmd
}

// size writes a number of bytes as people do.
func size(bytes int64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if value /= 1000; value < 999.95 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// age writes how long ago something was.
func age(now, then time.Time) string {
	switch d := max(0, now.Sub(then)); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}

// oneLine keeps a text of somebody's choice from breaking the table.
func oneLine(text string) string { return strings.Join(strings.Fields(printable(text)), " ") }

// printable takes out what a terminal would obey: everything that is no text but
// line ends and tabs.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}
