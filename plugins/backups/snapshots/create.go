package snapshots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

// CreateOptions says what the new snapshot is called.
type CreateOptions struct {
	// Kind says why it is made (default Manual).
	Kind Kind

	// Name is its id (default made of App and the time, as PocketBase does).
	Name string

	// App is the project's name, for the default name.
	App string

	// Label is a text for people.
	Label string

	// Begun is told when the name is taken and the work begins. May be nil.
	Begun func(Snapshot)
}

// cleanupTime bounds the cleaning up, which goes on after the context ended.
const cleanupTime = 30 * time.Second

// Create makes a snapshot of the source and returns when it was read back. It
// makes one at a time; ErrBusy is returned for a second. What fails is noted in
// the catalog, with its reason; the Snapshot returned then says the same.
func (v *Vault) Create(ctx context.Context, source Source, opts CreateOptions) (Snapshot, error) {
	if !v.creating.TryLock() {
		return Snapshot{}, ErrBusy
	}
	defer v.creating.Unlock()
	if opts.Kind == "" {
		opts.Kind = Manual
	}
	s, etag, release, err := v.reserve(ctx, opts)
	if err != nil {
		return Snapshot{}, err
	}
	defer release()
	if opts.Begun != nil {
		opts.Begun(s)
	}
	made, err := v.make(ctx, source, s)
	return v.finish(ctx, made, etag, err)
}

// reserve takes a name: an entry "creating" in the catalog, which nobody else,
// in this process or another, can write as well.
func (v *Vault) reserve(ctx context.Context, opts CreateOptions) (s Snapshot, etag string, release func(), err error) {
	now := v.now()
	s = Snapshot{Kind: opts.Kind, Status: Creating, Label: opts.Label, Created: now, At: now}
	if s.ID = opts.Name; s.ID != "" {
		etag, release, err = v.take(ctx, s)
		return s, etag, release, err
	}
	base := defaultName(opts.Kind, opts.App, now)
	for attempt := 1; attempt < 100; attempt++ {
		s.ID = base + ".zip"
		if attempt > 1 {
			s.ID = fmt.Sprintf("%s_%d.zip", base, attempt)
		}
		etag, release, err = v.take(ctx, s)
		if !errors.Is(err, ErrExists) && !errors.Is(err, ErrBusy) {
			return s, etag, release, err
		}
	}
	return s, "", nil, err
}

func (v *Vault) take(ctx context.Context, s Snapshot) (etag string, release func(), err error) {
	if !validName(s.ID) {
		return "", nil, ErrName
	}
	release, err = v.claim(s.ID)
	if err != nil {
		return "", nil, err
	}
	_, err = v.cfg.Archive.Stat(ctx, s.ID)
	switch {
	case err == nil:
		err = ErrExists
	case errors.Is(err, objectstore.ErrNotFound):
		etag, err = v.save(ctx, s, "")
		if errors.Is(err, objectstore.ErrChanged) {
			err = ErrExists
		}
	default:
		err = fmt.Errorf("look for the name: %w", err)
	}
	if err != nil {
		release()
		return "", nil, err
	}
	return etag, release, nil
}

// make writes the zip into the archive and reads it back.
func (v *Vault) make(ctx context.Context, source Source, s Snapshot) (Snapshot, error) {
	// Absolute, and not a link, which a walk would not enter.
	dir, err := realPath(source.Dir)
	if err != nil {
		return s, fail("find the project's folder", err)
	}
	source.Dir = dir
	scratch, err := v.scratch()
	if err != nil {
		return s, fail("use the disk", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()

	databases, at, err := v.copyDatabases(ctx, source, scratch)
	if err != nil {
		return s, err
	}
	if !source.At.IsZero() {
		at = source.At
	}
	s.At = at.UTC()
	checksum, err := v.send(ctx, s, source, databases)
	if errors.Is(err, ErrExists) && checksum != "" {
		// A store whose first answer got lost finds there what it wrote itself.
		if _, there, hashErr := v.hash(ctx, s.ID); hashErr == nil && there == checksum {
			err = nil
		}
	}
	if err != nil {
		return s, err
	}
	// The copies go before the zip's own is extracted: the disk holds one at a time.
	for _, database := range databases {
		if err := os.Remove(database.copied); err != nil {
			return s, fail("use the disk", err)
		}
	}
	found, err := v.readBack(ctx, s.ID, checksum, false, scratch)
	if err != nil {
		return s, err
	}
	return found.describe(s, v.now()), nil
}

// putFailure is the error for a zip that the archive did not take.
func putFailure(err error) error {
	if errors.Is(err, objectstore.ErrChanged) {
		return ErrExists // somebody put one there meanwhile
	}
	return fail("write to the backups' store", err)
}

// finish writes down how the making of a snapshot ended. One that failed
// leaves no zip.
func (v *Vault) finish(ctx context.Context, s Snapshot, etag string, err error) (Snapshot, error) {
	if err == nil {
		s.Status = OK
		if _, err = v.save(ctx, s, etag); err == nil {
			return s, nil
		}
		err = fail("write the catalog", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if errors.Is(err, ErrExists) { // the zip under this name is not ours
		return s, errors.Join(err, v.cfg.Catalog.Delete(ctx, s.ID+catalogSuffix))
	}
	s.Status, s.Error = Failed, reason(err)
	s.Size, s.SHA256, s.Verified, s.Database, s.Files, s.FileBytes = 0, "", nil, nil, 0, 0
	// The entry first: a zip whose entry says "creating" counts as nothing, and
	// Recover ends it. A zip without an entry would count as uploaded.
	if _, markErr := v.save(ctx, s, etag); markErr != nil {
		return s, errors.Join(err, markErr)
	}
	if deleteErr := v.cfg.Archive.Delete(ctx, s.ID); deleteErr != nil {
		return s, errors.Join(err, fmt.Errorf("delete the rest of %s: %w", s.ID, deleteErr))
	}
	return s, errors.Join(err, v.trimFailed(ctx))
}
