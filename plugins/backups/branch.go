package backups

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/plugins/backups/replica"
	"github.com/picobase/picobase/plugins/backups/restore"
	"github.com/pocketbase/pocketbase/core"
	"golang.org/x/sync/errgroup"
)

// Branch says which project a new one begins as a copy of. It is only read.
type Branch struct {
	// Name of the source, for messages.
	Name string

	// Replica holds the source's replica, in Layout. Required.
	Replica objectstore.Store
	Layout  replica.Layout

	// Files holds the source's uploaded files, as they are in its folder.
	Files objectstore.Store

	// At is the moment to begin from (default the latest).
	At time.Time
}

// branchMark says that a folder's data came from another project and that the
// server has not been started on it yet.
const branchMark = "branch"

// branch makes the folder's first data out of another project's. It comes after
// the claim of the own replica, which had nothing to restore. It can be cut off
// and done again: the database is what makes the folder a project, and comes last.
func (p *Plugin) branch(ctx context.Context, progress func(Progress)) error {
	b := p.cfg.Branch
	target := filepath.Join(p.dir, "data.db")
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		return err // nil: the folder has data of its own
	}
	scratch := filepath.Join(p.dir, restore.Folder, "branching")
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()

	source, err := replica.New(replica.Config{
		Path: target, MetaDir: filepath.Join(scratch, "meta"), Store: b.Replica, Layout: b.Layout, Logger: p.logger(),
	})
	if err != nil {
		return err
	}
	path := filepath.Join(scratch, "data.db")
	restored, err := source.Restore(ctx, path, b.At, func(done, total int64) {
		if progress != nil {
			progress(Progress{done, total})
		}
	})
	switch {
	case errors.Is(err, replica.ErrNothing), errors.Is(err, objectstore.ErrReadOnly):
		return fmt.Errorf("branch from %s: there is no replica of a project", b.Name)
	case err != nil:
		return fmt.Errorf("branch from %s: %w", b.Name, err)
	}
	if err := restore.Detach(ctx, path); err != nil {
		return fmt.Errorf("branch from %s: %w", b.Name, err)
	}
	copied, err := p.branchFiles(ctx)
	if err != nil {
		return fmt.Errorf("branch from %s: uploaded files: %w", b.Name, err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, restore.Folder, branchMark), nil, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path, target); err != nil {
		return err
	}
	p.logger().Info("branched", "from", b.Name, "at", restored.At, "files", copied)
	return nil
}

// branchCopies is how many files are copied at once.
const branchCopies = 8

// branchFiles copies all uploaded files that the source has: those of records that
// were deleted since At are kept there for the retention.
func (p *Plugin) branchFiles(ctx context.Context) (copied int, err error) {
	if p.cfg.Branch.Files == nil {
		return 0, nil
	}
	dir := filepath.Join(p.dir, core.LocalStorageDirName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(dir) // whatever the keys of the source are
	if err != nil {
		return 0, err
	}
	defer func() { _ = root.Close() }()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(branchCopies)
	for info, err := range p.cfg.Branch.Files.List(ctx, "", "") {
		if err != nil {
			return copied, errors.Join(err, group.Wait())
		}
		// A record's file is at collection/record/name; thumbnails are made again.
		if strings.Count(info.Key, "/") != 2 {
			continue
		}
		copied++
		group.Go(func() error { return p.branchFile(ctx, root, info) })
	}
	return copied, group.Wait()
}

func (p *Plugin) branchFile(ctx context.Context, root *os.Root, info objectstore.Info) error {
	if present, err := root.Stat(info.Key); err == nil && present.Size() == info.Size {
		return nil // copied by a start that was cut off
	}
	content, err := p.cfg.Branch.Files.Get(ctx, info.Key, 0, -1)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil // deleted meanwhile
	} else if err != nil {
		return err
	}
	defer content.Close()
	if err := root.MkdirAll(filepath.Dir(info.Key), 0o755); err != nil {
		return err
	}
	// A name that no file has: PocketBase's have an ending, and no dot before it.
	partial := filepath.Join(filepath.Dir(info.Key), ".branching-"+filepath.Base(info.Key))
	file, err := root.Create(partial)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err == nil {
		err = file.Sync() // one that is cut short would be taken for whole for ever
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if !info.Modified.IsZero() {
		if err := root.Chtimes(partial, time.Time{}, info.Modified); err != nil {
			return err
		}
	}
	return root.Rename(partial, info.Key)
}

// FinishBranch makes what is left to do on a folder that has just become a branch,
// by way of the bootstrapped app. Without one it does nothing.
func (p *Plugin) FinishBranch() error {
	mark := filepath.Join(p.dir, restore.Folder, branchMark)
	if _, err := os.Stat(mark); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if settings := p.app.Settings(); settings.S3.Enabled {
		// The bucket of the original's files: what is deleted here would be gone there.
		p.logger().Warn("the original keeps uploaded files in a bucket by PocketBase's own settings; the branch does not, and has none of them",
			"bucket", settings.S3.Bucket)
		settings.S3.Enabled = false
		if err := p.app.Save(settings); err != nil {
			return fmt.Errorf("take the branch off the bucket of the original's files: %w", err)
		}
	}
	return os.Remove(mark)
}
