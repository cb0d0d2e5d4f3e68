package backups

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/backupzip"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/plugins/backups/restore"
	"github.com/picobase/picobase/plugins/backups/snapshots"
)

// createWish says what snapshot to make.
type createWish struct {
	kind    snapshots.Kind
	name    string // "" for one by the time
	label   string
	begun   func(snapshots.Snapshot)
	exclude []string  // entries of the data folder
	at      time.Time // zero for now
}

// scheduledPrefix begins the names of what PocketBase's own schedule makes.
const scheduledPrefix = "@auto_pb_backup_"

// create makes a snapshot of the present, or of a moment in the past.
func (p *Plugin) create(ctx context.Context, w createWish) (snapshots.Snapshot, error) {
	defer p.work.begin(workBackup)()
	if w.kind == "" {
		w.kind = snapshots.Manual
		if strings.HasPrefix(w.name, scheduledPrefix) {
			w.kind = snapshots.Scheduled
		}
	}
	source := snapshots.Source{Dir: p.dir, Exclude: w.exclude}
	if !w.at.IsZero() {
		past, clean, err := p.past(ctx, w.at)
		if err != nil {
			return snapshots.Snapshot{}, err
		}
		defer clean()
		source = past
	} else {
		if _, err := os.Stat(filepath.Join(p.dir, "data.db")); errors.Is(err, fs.ErrNotExist) {
			return snapshots.Snapshot{}, errNoData
		}
		if p.files != nil {
			source.MissingFiles = p.missingFiles(ctx)
		}
	}
	snapshot, err := p.vault.Create(ctx, source, snapshots.CreateOptions{
		Kind: w.kind, Name: w.name, Label: w.label, App: p.appName(), Begun: w.begun,
	})
	p.metrics.made(err)
	return snapshot, err
}

func (p *Plugin) appName() string {
	if settings := p.app.Settings(); settings != nil {
		return settings.Meta.AppName
	}
	return ""
}

// past makes a folder with the database of a moment in the past; all files that
// there are go with it, as every record of that moment may name some.
func (p *Plugin) past(ctx context.Context, at time.Time) (source snapshots.Source, clean func(), err error) {
	scratch := filepath.Join(p.dir, restore.Folder, "scratch")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return source, nil, err
	}
	dir, err := os.MkdirTemp(scratch, "past-")
	if err != nil {
		return source, nil, err
	}
	clean = func() { _ = os.RemoveAll(dir) }
	restored, err := p.restoreTo(ctx, filepath.Join(dir, "data.db"), at)
	if err != nil {
		clean()
		return source, nil, err
	}
	return snapshots.Source{Dir: dir, At: restored, MissingFiles: p.allFiles(ctx)}, clean, nil
}

// restoreTo writes the database of a moment to path, after bringing the latest
// writes to the replica.
func (p *Plugin) restoreTo(ctx context.Context, path string, at time.Time) (time.Time, error) {
	if p.cfg.NoReplication {
		return time.Time{}, errReplicationOff
	}
	if info, err := os.Stat(filepath.Join(p.dir, "data.db")); err == nil {
		if err := backupzip.NeedSpace(filepath.Dir(path), info.Size()); err != nil {
			return time.Time{}, err
		}
	}
	if p.serving.Load() {
		if err := p.replica.Sync(ctx); err != nil {
			return time.Time{}, fmt.Errorf("bring the latest writes to the replica: %w", err)
		}
	}
	restored, err := p.replica.Restore(ctx, path, at, nil)
	if err != nil {
		return time.Time{}, err
	}
	if at.IsZero() {
		at = restored.At
	}
	return at, nil
}

// missingFiles yields the uploaded files that only the store has.
func (p *Plugin) missingFiles(ctx context.Context) iter.Seq2[snapshots.File, error] {
	return func(yield func(snapshots.File, error) bool) {
		for file, err := range p.files.Missing(ctx) {
			if !yield(snapshots.File{Name: file.Name, Size: file.Size, Open: file.Open}, err) {
				return
			}
		}
	}
}

// allFiles yields the uploaded files in the folder, and those in the store that
// the folder lacks.
func (p *Plugin) allFiles(ctx context.Context) iter.Seq2[snapshots.File, error] {
	root := filepath.Join(p.dir, "storage")
	return func(yield func(snapshots.File, error) bool) {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case entry.IsDir():
				if strings.HasPrefix(entry.Name(), "thumbs_") {
					return fs.SkipDir // made again when asked for
				}
				return nil
			}
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			file := snapshots.File{Name: filepath.ToSlash(name), Size: info.Size(), Open: func(context.Context) (io.ReadCloser, error) { return os.Open(path) }}
			if !yield(file, nil) {
				return errStopped
			}
			return nil
		})
		if errors.Is(err, errStopped) || err != nil && !yield(snapshots.File{}, err) {
			return
		}
		if p.cfg.Stores.Files == nil {
			return
		}
		for info, err := range p.cfg.Stores.Files.List(ctx, "", "") {
			if err == nil {
				if _, statErr := os.Lstat(filepath.Join(root, filepath.FromSlash(info.Key))); statErr == nil || strings.HasPrefix(info.Key, ".") {
					continue
				}
			}
			if !yield(storedFile(p.cfg.Stores.Files, info), err) || err != nil {
				return
			}
		}
	}
}

func storedFile(store objectstore.Store, info objectstore.Info) snapshots.File {
	return snapshots.File{Name: info.Key, Size: info.Size, Open: func(ctx context.Context) (io.ReadCloser, error) {
		return store.Get(ctx, info.Key, 0, -1)
	}}
}

var errStopped = errors.New("no more files wanted")

// changedSince reports whether the database was written to after a moment, as far
// as can be told: by what was replicated, or by the times of its files.
func (p *Plugin) changedSince(moment time.Time) bool {
	if !p.cfg.NoReplication {
		return p.replica.ChangedSince(moment)
	}
	for _, name := range []string{"data.db", "data.db-wal"} {
		if info, err := os.Stat(filepath.Join(p.dir, name)); err == nil && info.ModTime().After(moment) {
			return true
		}
	}
	return false
}
