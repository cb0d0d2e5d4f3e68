package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// partSuffix is added to the name of a file until all of it is there.
const partSuffix = ".part"

type backupsDownloadOptions struct {
	ID, Output string
	JSON       bool
}

func backupsDownload(connect Connect, target *Target) *cobra.Command {
	var o backupsDownloadOptions
	cmd := &cobra.Command{
		Use:   "download ID",
		Short: "Download a backup, going on where an earlier attempt stopped",
		Long: "Download a backup. Until it is complete and its checksum was compared, it is in\n" +
			"a file with .part at the end; the same command goes on with that.",
		Example: "  picobase backups download pb_backup_acme_20261125031500.zip --output acme.zip",
		Args:    exactArgs("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.ID = args[0]
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return downloadBackup(ctx, c, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	cmd.Flags().StringVar(&o.Output, "output", "", "the file to write, - for the standard output (default the ID)")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print the backup as JSON")
	return cmd
}

func downloadBackup(ctx context.Context, c *Client, o backupsDownloadOptions, out, notes io.Writer) error {
	if o.Output == "-" && o.JSON {
		return Usage("--json and --output - both want the standard output: give one")
	}
	s, err := getSnapshot(ctx, c, o.ID)
	if err != nil {
		return err
	}
	if o.Output == "-" {
		d := download{client: c, snapshot: s, digest: sha256.New(), progress: newProgress(notes, "Downloading", s.Size)}
		if err := d.fetch(ctx, out, func() error { return nil }); err != nil {
			return err
		}
		return d.check()
	}
	if o.Output == "" {
		o.Output = filepath.Base(o.ID)
	}
	if err := downloadFile(ctx, c, s, o.Output, notes); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, s)
	}
	fmt.Fprintf(notes, "Downloaded %s (%s).\n", o.Output, size(s.Size))
	return nil
}

// getSnapshot returns a snapshot whose zip can be had.
func getSnapshot(ctx context.Context, c *Client, id string) (snapshot, error) {
	var s snapshot
	if err := c.Call(ctx, http.MethodGet, snapshotPath(id), nil, &s); err != nil {
		return s, err
	}
	if s.Status == statusCreating {
		return s, &Error{Code: ExitFailed, Err: fmt.Errorf("the backup %s is still being made", id), Hint: "Try again later."}
	}
	return s, nil
}

// downloadFile writes the zip to the path, by way of a partial file beside it.
func downloadFile(ctx context.Context, c *Client, s snapshot, path string, notes io.Writer) error {
	if _, err := os.Stat(path); err == nil {
		return Usage("there is a file %s already: name another with --output", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path+partSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	d := download{client: c, snapshot: s, digest: sha256.New(), progress: newProgress(notes, "Downloading", s.Size)}
	if err := d.resume(file); err != nil {
		return err
	}
	if d.at < s.Size || d.at == 0 {
		err := d.fetch(ctx, file, func() error {
			d.digest.Reset()
			_, seekErr := file.Seek(0, io.SeekStart)
			return errors.Join(seekErr, file.Truncate(0))
		})
		if err != nil {
			return err
		}
	}
	if err := d.check(); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// download is one attempt to get a zip.
type download struct {
	client   *Client
	snapshot snapshot
	digest   hash.Hash // of what was written
	at       int64     // bytes that were written
	progress *progress
}

// resume takes over what an earlier attempt left in the file. Without a
// checksum nothing could tell whether that belongs to this backup.
func (d *download) resume(file *os.File) error {
	n, err := io.Copy(d.digest, file)
	if err != nil {
		return err
	}
	if d.snapshot.SHA256 == "" || n > d.snapshot.Size {
		d.digest.Reset()
		n = 0
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := file.Truncate(0); err != nil {
			return err
		}
	}
	d.at = n
	return nil
}

// fetch gets the bytes from at on. The server may answer with all of them; then
// restart drops what was written.
func (d *download) fetch(ctx context.Context, to io.Writer, restart func() error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A server that goes silent would hold a nightly job for ever.
	watchdog := time.AfterFunc(d.client.silence, func() { cancel(errSilence) })
	defer watchdog.Stop()

	header := http.Header{}
	if d.at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
		header.Set("If-Range", `"`+d.snapshot.SHA256+`"`)
	}
	response, err := d.client.send(ctx, http.MethodGet, snapshotPath(d.snapshot.ID)+"/download", call{header: header}) //nolint:bodyclose // closed below
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if d.at > 0 && (response.StatusCode != http.StatusPartialContent ||
		!strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", d.at))) {
		if response.StatusCode == http.StatusPartialContent {
			return fmt.Errorf("%s sent another part than it was asked for", d.client.base)
		}
		if err := restart(); err != nil {
			return err
		}
		d.at = 0
	}
	d.progress.set(d.at)
	defer d.progress.end()
	body := reader(func(p []byte) (int, error) {
		n, err := response.Body.Read(p)
		watchdog.Reset(d.client.silence)
		d.progress.add(n)
		return n, err
	})
	written := writer(func(p []byte) (int, error) {
		n, err := to.Write(p)
		_, _ = d.digest.Write(p[:n])
		d.at += int64(n)
		if err != nil {
			err = &outputError{err}
		}
		return n, err
	})
	_, err = io.Copy(written, body)
	var output *outputError
	switch {
	case errors.As(err, &output):
		return output.error
	case errors.Is(context.Cause(ctx), errSilence):
		err = errSilence
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && d.at < d.snapshot.Size:
		err = io.ErrUnexpectedEOF
	case err == nil:
		return nil
	}
	return &Error{
		Code: ExitUnreachable,
		Err:  fmt.Errorf("the download broke off at %s of %s: %w", size(d.at), size(d.snapshot.Size), err),
		Hint: "Run the same command again.",
	}
}

var errSilence = errors.New("the server went silent")

// outputError tells a full disk from a lost connection.
type outputError struct{ error }

// check compares the checksum. One made by others may have none yet.
func (d *download) check() error {
	if d.snapshot.SHA256 == "" || d.snapshot.SHA256 == hex.EncodeToString(d.digest.Sum(nil)) {
		return nil
	}
	return &Error{
		Code: ExitFailed,
		Err:  fmt.Errorf("the downloaded %s is damaged: its SHA-256 is not the backup's", d.snapshot.ID),
		Hint: "Run the same command again; if it stays so, picobase backups verify tells whether the backup is whole.",
	}
}

type backupsUploadOptions struct {
	File, ID string
	JSON     bool
}

func backupsUpload(connect Connect, target *Target) *cobra.Command {
	var o backupsUploadOptions
	cmd := &cobra.Command{
		Use:     "upload FILE",
		Short:   "Upload a backup that was made elsewhere, also by PocketBase",
		Example: "  picobase backups upload pb_backup_acme.zip",
		Args:    exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.File = args[0]
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return uploadBackup(ctx, c, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	cmd.Flags().StringVar(&o.ID, "id", "", "the backup's name on the server (default the file's)")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print the backup as JSON")
	return cmd
}

func uploadBackup(ctx context.Context, c *Client, o backupsUploadOptions, out, notes io.Writer) error {
	file, err := os.Open(o.File)
	if errors.Is(err, fs.ErrNotExist) {
		return Usage("there is no file %s", o.File)
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return Usage("%s is no file", o.File)
	}
	if o.ID == "" {
		o.ID = filepath.Base(o.File)
	}
	shown := newProgress(notes, "Uploading", info.Size())
	defer shown.end()
	body := reader(func(p []byte) (int, error) {
		n, err := file.Read(p)
		shown.add(n)
		return n, err
	})
	response, err := c.send(ctx, http.MethodPut, snapshotPath(o.ID), call{
		// A server that refuses says so before the whole file is sent.
		header: http.Header{"Content-Type": {"application/zip"}, "Expect": {"100-continue"}},
		body:   body, size: info.Size(),
	})
	if err != nil {
		return err
	}
	var s snapshot
	if err := c.decode(response, &s); err != nil {
		return err
	}
	shown.end()
	if o.JSON {
		return printJSON(out, s)
	}
	fmt.Fprintf(notes, "Uploaded %s (%s); it is whole.\n", o.File, size(info.Size()))
	_, err = fmt.Fprintln(out, s.ID)
	return err
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
