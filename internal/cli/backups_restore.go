package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/picobase/picobase/internal/backupzip"
	"github.com/spf13/cobra"
)

const (
	pitrPath = backupsPath + "/pitr"

	// pollTimeout bounds one question to a server that may be restarting.
	pollTimeout = 10 * time.Second

	statusDone = "done"
)

// restore is a restore as the API shows it. As JSON it is what the server sent.
type restore struct {
	raw json.RawMessage
	restoreFields
}

type restoreFields struct {
	ID       string     `json:"id"`
	At       *time.Time `json:"at"`
	Snapshot *string    `json:"snapshot"`
	Status   string     `json:"status"`
	Before   string     `json:"before"`
	Error    string     `json:"error"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *restore) UnmarshalJSON(data []byte) error {
	r.raw = append(json.RawMessage(nil), data...)
	return json.Unmarshal(data, &r.restoreFields)
}

// MarshalJSON implements [json.Marshaler].
func (r restore) MarshalJSON() ([]byte, error) { return r.raw, nil }

func (r restore) over() bool { return r.Status == statusDone || r.Status == statusFailed }

// window is the answer to what can be restored to.
type window struct {
	Enabled     bool       `json:"enabled"`
	From        *time.Time `json:"from"`
	To          *time.Time `json:"to"`
	LagSeconds  float64    `json:"lagSeconds"`
	LastRestore *restore   `json:"lastRestore"`
}

type backupsRestoreOptions struct {
	ID, At, To string
	Timeout    time.Duration
	JSON       bool

	at time.Time // At, parsed
}

func backupsRestore(connect Connect, target *Target) *cobra.Command {
	var o backupsRestoreOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore (--id ID | --at TIME)",
		Short: "Bring the project back to a backup or a moment, or write it to a new folder with --to",
		Example: `  picobase backups restore --at 2026-11-25T03:15:00Z
  picobase backups restore --id pb_backup_acme_20261125031500.zip --to old && picobase serve --dir old`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if o.To == "" {
				question := fmt.Sprintf("Replace the project's present state by that of %s? The present state is kept as a backup.", o.what())
				if err := confirm(cmd, yes, question); err != nil {
					return err
				}
			}
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				if o.To != "" {
					return restoreTo(ctx, c, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
				}
				return restoreInPlace(ctx, c, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.ID, "id", "", "the backup to restore")
	flags.StringVar(&o.At, "at", "", "the moment to restore, as RFC 3339; see picobase backups window")
	flags.StringVar(&o.To, "to", "", "write to this new folder and leave the project as it is")
	flags.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "how long to wait for the server to be back")
	flags.BoolVar(&yes, "yes", false, "do not ask")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

func (o *backupsRestoreOptions) check() (err error) {
	if (o.ID == "") == (o.At == "") {
		return Usage("give either --id or --at")
	}
	if o.at, err = parseAt(o.At); err != nil {
		return err
	}
	if o.To != "" {
		if err := backupzip.EmptyFolder(o.To); err != nil {
			return Usage("--to: %w", err)
		}
	}
	return nil
}

func (o *backupsRestoreOptions) what() string {
	if o.ID != "" {
		return o.ID
	}
	return o.At
}

// restoreInPlace replaces the project's state and waits until that is over.
func restoreInPlace(ctx context.Context, c *Client, o backupsRestoreOptions, out, notes io.Writer) error {
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	var r restore
	var err error
	if o.ID != "" {
		err = c.CallLong(limited, http.MethodPost, snapshotPath(o.ID)+"/restore", nil, &r)
	} else {
		err = c.CallLong(limited, http.MethodPost, pitrPath, map[string]any{"at": o.at}, &r)
	}
	if err != nil {
		return err
	}
	w := restoreWait{client: c, notes: notes}
	w.show(r)
	r, err = w.wait(limited, r)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return &Error{
			Code: ExitFailed,
			Err:  fmt.Errorf("the restore was not over after %s", o.Timeout),
			Hint: "It may go on: picobase backups window tells how the last one ended.",
		}
	}
	if err != nil {
		return err
	}
	if o.JSON {
		if err := printJSON(out, r); err != nil {
			return err
		}
	}
	if r.Status == statusFailed {
		return &Error{Code: ExitFailed, Err: fmt.Errorf("the restore failed: %s", r.Error), Hint: "The project is as it was."}
	}
	fmt.Fprintf(notes, "The project is back at %s.\n", o.what())
	if r.Before != "" {
		fmt.Fprintf(notes, "To undo this: picobase backups restore --id %s\n", r.Before)
	}
	return nil
}

// restoreWait follows a restore through the restart of its server.
type restoreWait struct {
	client *Client
	notes  io.Writer
	status string // the last that was shown
	before bool   // whether it was said where the present state went
}

func (w *restoreWait) show(r restore) {
	if r.Before != "" && !w.before {
		w.before = true
		fmt.Fprintf(w.notes, "The present state was kept as %s.\n", r.Before)
	}
	if !r.over() {
		w.say(r.Status)
	}
}

func (w *restoreWait) say(status string) {
	if status != w.status {
		w.status = status
		fmt.Fprintf(w.notes, "%s …\n", status)
	}
}

func (w *restoreWait) wait(ctx context.Context, r restore) (restore, error) {
	for !r.over() {
		if err := w.client.pause(ctx); err != nil {
			return r, err
		}
		found, err := w.ask(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return r, ctx.Err()
		case isRestarting(err):
			w.say("restarting")
		case ExitCode(err) == ExitNotAllowed:
			return r, &Error{
				Code: ExitNotAllowed,
				Err:  fmt.Errorf("the server no longer takes this key: %w", err),
				Hint: "Perhaps the restored state does not know it. Ask with another, or on the server's machine with --dir.",
			}
		case err != nil:
			return r, err
		case found != nil && found.ID == r.ID: // else the server has not read it yet
			r = *found
			w.show(r)
		}
	}
	return r, nil
}

// ask asks whether the server is ready, then for its last restore.
func (w *restoreWait) ask(ctx context.Context) (*restore, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := w.client.Call(ctx, http.MethodGet, "/api/v1/ready", nil, nil); err != nil {
		return nil, err
	}
	var answer window
	err := w.client.Call(ctx, http.MethodGet, pitrPath, nil, &answer)
	return answer.LastRestore, err
}

// isRestarting reports whether err is what a server on its way down or up
// gives, or the proxy before it.
func isRestarting(err error) bool {
	var own *Error
	return errors.As(err, &own) && (own.Code == ExitUnreachable || own.status >= http.StatusInternalServerError)
}

// restoreTo writes a backup into a new folder; the project stays as it is.
func restoreTo(ctx context.Context, c *Client, o backupsRestoreOptions, out, notes io.Writer) (err error) {
	if o.ID == "" {
		made, err := makeSnapshot(ctx, c, "restored to a folder", o.at)
		if err != nil {
			return err
		}
		fmt.Fprintf(notes, "Made the backup %s of that moment.\n", made.ID)
		o.ID = made.ID
	}
	s, err := getSnapshot(ctx, c, o.ID)
	if err != nil {
		return err
	}
	if err := s.failure(); err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(o.To))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	if err := backupzip.NeedSpace(parent, s.Size); err != nil {
		return err
	}
	// Beside the folder: that disk has to have the room anyway.
	scratch, err := os.MkdirTemp(parent, ".picobase-restore-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	zip := filepath.Join(scratch, "backup.zip")
	if err := downloadFile(ctx, c, s, zip, notes); err != nil {
		return err
	}
	if err := extractZip(ctx, zip, o.To); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, map[string]string{"id": s.ID, "dir": o.To})
	}
	fmt.Fprintf(notes, "Wrote %s to the folder %s. To look at it: picobase serve --dir %s, without a bucket (PICOBASE_S3_*)\n", s.ID, o.To, o.To)
	return nil
}

func extractZip(ctx context.Context, zip, into string) error {
	file, err := os.Open(zip)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	archive, err := backupzip.Open(file, info.Size())
	if err != nil {
		return err
	}
	return archive.Extract(ctx, into)
}

func backupsWindow(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "window",
		Short: "Show which moments can be restored, and how the last restore ended",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return showWindow(ctx, c, asJSON, cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's JSON")
	return cmd
}

func showWindow(ctx context.Context, c *Client, asJSON bool, out io.Writer) error {
	var answer json.RawMessage
	if err := c.Call(ctx, http.MethodGet, pitrPath, nil, &answer); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, answer)
	}
	var w window
	if err := json.Unmarshal(answer, &w); err != nil {
		return fmt.Errorf("%s did not answer as PicoBase does: %w", c.base, err)
	}
	switch {
	case !w.Enabled:
		fmt.Fprintln(out, "Restoring to a moment is not set up; backups can be restored with --id.")
	case w.From == nil || w.To == nil:
		fmt.Fprintln(out, "No moment can be restored yet.")
	default:
		fmt.Fprintf(out, "From %s\nTo   %s (%.0f s behind)\n", w.From.Format(time.RFC3339), w.To.Format(time.RFC3339), w.LagSeconds)
	}
	if last := w.LastRestore; last != nil {
		fmt.Fprintf(out, "The last restore, %s, is %s.", last.ID, last.Status)
		if last.Error != "" {
			fmt.Fprintf(out, " %s", last.Error)
		}
		if last.Before != "" {
			fmt.Fprintf(out, " The state before is in %s.", last.Before)
		}
		fmt.Fprintln(out)
	}
	return nil
}
