package snapshots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/backupzip"
	"github.com/picobase/picobase/internal/objectstore"
)

// Open opens length bytes of a zip from offset on, or all after offset with a
// length below 0. The caller closes the reader; until then the snapshot cannot
// be deleted.
func (v *Vault) Open(ctx context.Context, id string, offset, length int64) (io.ReadCloser, Snapshot, error) {
	s, _, release, err := v.open(ctx, id)
	if err != nil {
		return nil, s, err
	}
	body, err := v.cfg.Archive.Get(ctx, id, offset, length)
	if err != nil {
		release()
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil, s, ErrNotFound
		}
		return nil, s, fmt.Errorf("open %s: %w", id, err)
	}
	return &inUse{ReadCloser: body, release: sync.OnceFunc(release)}, s, nil
}

type inUse struct {
	io.ReadCloser
	release func()
}

func (r *inUse) Close() error {
	defer r.release()
	return r.ReadCloser.Close()
}

// open finds a snapshot whose zip can be read and notes that it is in use.
func (v *Vault) open(ctx context.Context, id string) (s Snapshot, etag string, release func(), err error) {
	release, err = v.use(id)
	if err != nil {
		return s, "", nil, err
	}
	s, etag, err = v.find(ctx, id)
	switch {
	case err != nil:
	case s.Status == Creating:
		err = ErrBusy
	case s.half():
		err = ErrNotFound
	}
	if err != nil {
		release()
		return s, "", nil, err
	}
	return s, etag, release, nil
}

// Verify reads a snapshot again, whole, and notes the result in the catalog.
// For one that is not whole it returns, beside the Snapshot, an error that wraps
// ErrInvalid; any other error means that it could not be told.
func (v *Vault) Verify(ctx context.Context, id string) (Snapshot, error) {
	s, etag, release, err := v.open(ctx, id)
	if err != nil {
		return s, err
	}
	defer release()
	found, checked := v.reread(ctx, s)
	now := v.now()
	switch {
	case checked == nil:
		s.Status = OK
		if s.At.Equal(s.Created) && s.Kind == Uploaded && !found.time.IsZero() && found.time.Before(now) {
			s.At = found.time
		}
		s = found.describe(s, now)
	case errors.Is(checked, ErrInvalid):
		s.Status, s.Error = Failed, reason(checked)
		if s.SHA256 == "" {
			s.SHA256 = found.sha256 // it was put here whole, if not good
		}
	default:
		return s, checked
	}
	if _, err := v.save(ctx, s, etag); err != nil {
		return s, errors.Join(checked, err)
	}
	return s, checked
}

// reread is readBack in a scratch folder of its own.
func (v *Vault) reread(ctx context.Context, s Snapshot) (findings, error) {
	scratch, err := v.scratch()
	if err != nil {
		return findings{}, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	return v.readBack(ctx, s.ID, s.SHA256, !s.good(), scratch)
}

// Extract writes the whole content of a snapshot into a folder, which is made
// if need be and must be empty. The zip is verified first. When Extract returns
// nil everything is on the disk, after an error nothing is left.
func (v *Vault) Extract(ctx context.Context, id, into string) error {
	s, _, release, err := v.open(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	if err := backupzip.EmptyFolder(into); err != nil {
		return err
	}
	size := s.Size
	if s.good() {
		// Its databases were found whole when it had this checksum.
		var sum string
		if size, sum, err = v.hash(ctx, id); err == nil && sum != s.SHA256 {
			err = fmt.Errorf("%w: its content changed (SHA-256)", ErrInvalid)
		}
	} else {
		_, err = v.reread(ctx, s)
	}
	if err != nil {
		return err
	}
	file := &ranged{ctx: ctx, store: v.cfg.Archive, key: id, size: size}
	defer func() { _ = file.Close() }()
	archive, err := backupzip.Open(file, size)
	if err != nil {
		return readFailure(err)
	}
	return archive.Extract(ctx, into)
}

// Delete deletes a snapshot. The error is ErrBusy while it is made or read.
func (v *Vault) Delete(ctx context.Context, id string) error {
	if !validName(id) {
		return ErrNotFound
	}
	release, err := v.claim(id)
	if err != nil {
		return err
	}
	defer release()
	s, _, err := v.find(ctx, id)
	if err != nil {
		return err
	}
	if s.Status == Creating {
		return ErrBusy
	}
	// The entry last: until then the snapshot shows as one whose zip is gone.
	if err := v.cfg.Archive.Delete(ctx, id); err != nil {
		return fmt.Errorf("delete the zip: %w", err)
	}
	if err := v.cfg.Catalog.Delete(ctx, id+catalogSuffix); err != nil {
		return fmt.Errorf("delete the entry: %w", err)
	}
	return nil
}

// Prune deletes the scheduled snapshots beyond the newest keep (0 for no limit)
// and those, like the ones made before a restore, that are older than maxAge
// (0 for no limit). It never deletes the newest good one, nor any of the other
// kinds. It returns the ids of what it deleted.
func (v *Vault) Prune(ctx context.Context, keep int, maxAge time.Duration) ([]string, error) {
	all, err := v.List(ctx)
	if err != nil {
		return nil, err
	}
	var deleted []string
	var failed []error
	for _, id := range prunable(all, keep, maxAge, v.now()) {
		switch err := v.Delete(ctx, id); {
		case err == nil:
			deleted = append(deleted, id)
		case !errors.Is(err, ErrBusy) && !errors.Is(err, ErrNotFound):
			failed = append(failed, fmt.Errorf("prune %s: %w", id, err))
		}
	}
	return deleted, errors.Join(failed...)
}

// prunable judges all snapshots, the newest first.
func prunable(all []Snapshot, keep int, maxAge time.Duration, now time.Time) (ids []string) {
	kept := 0
	spared := false // the newest good one of those that may go
	for _, s := range all {
		scheduled := s.Kind == Scheduled || strings.HasPrefix(s.ID, autoPrefix)
		if !scheduled && s.Kind != BeforeRestore || s.Status == Creating {
			continue
		}
		old := maxAge > 0 && now.Sub(s.Created) > maxAge
		if s.good() && !spared {
			spared = true
			if scheduled {
				kept++
			}
			continue
		}
		if scheduled && s.Status == OK {
			kept++
			old = old || keep > 0 && kept > keep
		}
		if old {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Recover ends what a killed process began: snapshots in the making become
// failed, and their zips and temporary files go. It is for the start of the one
// process that owns the folder; what this vault is doing stays.
func (v *Vault) Recover(ctx context.Context) error {
	entries, err := v.entries(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, s := range entries {
		if s.Status == Creating || s.half() {
			failed = append(failed, v.recoverOne(ctx, s.ID))
		}
	}
	failed = append(failed, v.sweep())
	return errors.Join(failed...)
}

// sweep removes the temporary folders of processes that are gone.
func (v *Vault) sweep() error {
	left, err := os.ReadDir(v.cfg.Scratch)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the scratch folder: %w", err)
	}
	var failed []error
	for _, entry := range left {
		if strings.HasPrefix(entry.Name(), scratchPrefix) && !strings.HasPrefix(entry.Name(), scratchPrefix+v.mark) {
			failed = append(failed, os.RemoveAll(filepath.Join(v.cfg.Scratch, entry.Name())))
		}
	}
	return errors.Join(failed...)
}

func (v *Vault) recoverOne(ctx context.Context, id string) error {
	release, err := v.claim(id)
	if err != nil {
		return nil // this vault is at it
	}
	defer release()
	s, etag, err := v.load(ctx, id)
	if err != nil {
		return err
	}
	if s.Status == Creating {
		s.Status, s.Error = Failed, "the server stopped before it was done"
		if _, err := v.save(ctx, s, etag); err != nil {
			return err
		}
	}
	if !s.half() {
		return nil
	}
	if err := v.cfg.Archive.Delete(ctx, id); err != nil {
		return fmt.Errorf("delete the rest of %s: %w", id, err)
	}
	return nil
}
