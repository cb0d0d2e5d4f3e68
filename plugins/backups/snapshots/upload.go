package snapshots

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/picobase/picobase/internal/backupzip"
	"github.com/picobase/picobase/internal/objectstore"
)

// spaceStep is how much an upload may write between two looks at the disk.
const spaceStep = 16 << 20

// Upload takes in a zip that was made elsewhere, by PocketBase or another
// project. It is examined before it gets to the archive; one that is no good
// backup is refused with an error that wraps ErrInvalid.
func (v *Vault) Upload(ctx context.Context, id string, body io.Reader) (Snapshot, error) {
	now := v.now()
	s := Snapshot{ID: id, Kind: Uploaded, Status: Creating, Created: now, At: now}
	if !validName(id) {
		return s, ErrName
	}
	if _, err := v.Get(ctx, id); err == nil {
		return s, ErrExists
	} else if !errors.Is(err, ErrNotFound) {
		return s, err
	}
	scratch, err := v.scratch()
	if err != nil {
		return s, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()

	file, err := os.OpenFile(filepath.Join(scratch, "upload.zip"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return s, fmt.Errorf("keep the upload: %w", err)
	}
	defer func() { _ = file.Close() }()
	size, checksum, err := spool(ctx, file, body, scratch)
	if err != nil {
		return s, err
	}
	found, err := examine(ctx, file, size, true, scratch)
	if err != nil {
		return s, err
	}
	found.sha256 = checksum
	if !found.time.IsZero() && found.time.Before(now) {
		s.At = found.time
	}
	etag, release, err := v.take(ctx, s)
	if err != nil {
		return s, err
	}
	defer release()
	return v.finish(ctx, found.describe(s, v.now()), etag, v.sendFile(ctx, s, file, checksum))
}

// spool writes the body into the file, for as long as the disk has the room.
func spool(ctx context.Context, file *os.File, body io.Reader, folder string) (size int64, checksum string, err error) {
	digest := sha256.New()
	from := io.TeeReader(contextReader{ctx, body}, digest)
	for {
		if err := backupzip.NeedSpace(folder, spaceStep); err != nil {
			return size, "", fmt.Errorf("keep the upload: %w", err)
		}
		n, err := io.CopyN(file, from, spaceStep)
		size += n
		if errors.Is(err, io.EOF) {
			return size, hex.EncodeToString(digest.Sum(nil)), nil
		}
		if err != nil {
			return size, "", fmt.Errorf("keep the upload: %w", err)
		}
	}
}

// sendFile stores the zip and reads it back. What is in it is known already.
func (v *Vault) sendFile(ctx context.Context, s Snapshot, file *os.File, checksum string) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fail("use the disk", err)
	}
	if _, err := v.cfg.Archive.Put(ctx, s.ID, file, objectstore.PutOptions{Time: s.At, IfAbsent: true}); err != nil {
		return putFailure(err)
	}
	_, stored, err := v.hash(ctx, s.ID)
	if err == nil && stored != checksum {
		err = fmt.Errorf("%w: its content changed on the way (SHA-256)", ErrInvalid)
	}
	return err
}
