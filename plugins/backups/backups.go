// Package backups keeps a project safe: it replicates the database as it is
// written, makes snapshots in PocketBase's own backup format, keeps uploaded
// files, proves by drills that all that can be restored, and restores it.
//
// The work is done by packages below this one: replica, snapshots, files,
// restore. This one ties them to PocketBase, its settings, routes and events.
//
//	p, err := backups.Register(app, backups.Config{Settings: settings.Current, Stores: stores})
//	err = p.Prepare(ctx, nil) // before bootstrap, by servers only
//	err = p.Start()
package backups

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/disk"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/sealed"
	"github.com/picobase/picobase/plugins/backups/files"
	"github.com/picobase/picobase/plugins/backups/replica"
	"github.com/picobase/picobase/plugins/backups/restore"
	"github.com/picobase/picobase/plugins/backups/snapshots"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"
)

// Stores are the places that backups are kept in.
type Stores struct {
	// Replica holds the replica of the database, and nothing else. Required.
	Replica objectstore.Store

	// Layout of the replica's keys (default replica.LayoutS3).
	Layout replica.Layout

	// Archive holds the snapshots, Catalog what is known about them, State what
	// must survive the loss of the machine beside them. Required.
	Archive, Catalog, State objectstore.Store

	// Files holds the uploaded files. Nil leaves them in the data folder alone.
	Files objectstore.Store
}

// Config configures the plugin.
type Config struct {
	// Settings returns the settings in force. Required.
	Settings func() *config.Settings

	// Stores are the places to keep backups in. Required.
	Stores Stores

	// Dir is the data folder that is backed up and restored (default the app's).
	// It is another one while a folder that is lost is recovered.
	Dir string

	// Branch is the project that a new one begins as a copy of (default none). It is
	// not looked at when the folder or its replica has data.
	Branch *Branch

	// NoReplication makes snapshots only.
	NoReplication bool

	// TakeOver takes the replica from a process that seems to hold it still.
	TakeOver bool

	// GatePriority is the place of the middleware that refuses writes once
	// another process has taken the replica over.
	GatePriority int

	// DashboardPriority is the place of the middleware that serves PocketBase's
	// own backups page; inside of what knows who is calling.
	DashboardPriority int

	// FilesPriority is the place of the middleware that fetches uploaded files
	// from their store (default just inside of PocketBase's body limit).
	FilesPriority int

	// Record writes to the audit trail on behalf of a request, which may be nil.
	// Defaults to nothing.
	Record func(e *core.RequestEvent, action, target string) error

	// Restart replaces the process by a new one (default the app's own).
	Restart func() error

	// Metrics takes the metrics. May be nil.
	Metrics prometheus.Registerer

	// Logger gets what an operator should see (default the app's).
	Logger *slog.Logger
}

// Plugin is the registered plugin.
type Plugin struct {
	app     core.App
	cfg     Config
	dir     string
	replica *replica.Replica
	vault   *snapshots.Vault
	files   *files.Plugin // nil without a store for them
	lock    *flock.Flock

	work    work
	serving atomic.Bool // by a server, not for one command

	mu        sync.Mutex
	cron      *cron.Cron
	scheduled config.Backups  // what cron runs by
	running   context.Context // of what runs in the background; nil while stopped
	cancel    context.CancelFunc
	back      sync.WaitGroup
	order     *restore.Order // the restore under way

	metrics *metrics
}

// Register checks the configuration and binds the plugin to app.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Settings == nil {
		return nil, errors.New("backups: Config.Settings is required")
	}
	if s := cfg.Stores; s.Replica == nil || s.Archive == nil || s.Catalog == nil || s.State == nil {
		return nil, errors.New("backups: Config.Stores needs Replica, Archive, Catalog and State")
	}
	if cfg.Dir == "" {
		cfg.Dir = app.DataDir()
	}
	if cfg.Stores.Layout == "" {
		cfg.Stores.Layout = replica.LayoutS3
	}
	if cfg.Record == nil {
		cfg.Record = func(*core.RequestEvent, string, string) error { return nil }
	}
	if cfg.Restart == nil {
		cfg.Restart = app.Restart
	}
	p := &Plugin{app: app, cfg: cfg, dir: cfg.Dir}
	p.lock = flock.New(filepath.Join(p.dir, restore.Folder, "lock"))
	var err error
	p.vault, err = snapshots.New(snapshots.Config{
		Archive: cfg.Stores.Archive, Catalog: cfg.Stores.Catalog, Scratch: filepath.Join(p.dir, restore.Folder, "scratch"),
	})
	if err != nil {
		return nil, fmt.Errorf("backups: %w", err)
	}
	p.replica, err = replica.New(replica.Config{
		Path:    filepath.Join(p.dir, "data.db"),
		MetaDir: filepath.Join(p.dir, restore.Folder, "replica-"+string(cfg.Stores.Layout)),
		Store:   cfg.Stores.Replica, Layout: cfg.Stores.Layout, TakeOver: cfg.TakeOver, Logger: p.logger(),
		Interval:  func() time.Duration { return time.Duration(p.settings().Replication.IntervalMS) * time.Millisecond },
		Retention: p.retention, SpaceLow: p.spaceLow,
	})
	if err != nil {
		return nil, fmt.Errorf("backups: %w", err)
	}
	if cfg.Stores.Files != nil {
		p.files, err = files.Register(app, files.Config{Store: cfg.Stores.Files, Retention: p.retention, Priority: cfg.FilesPriority, Metrics: cfg.Metrics})
		if err != nil {
			return nil, fmt.Errorf("backups: %w", err)
		}
	}
	if p.metrics, err = newMetrics(cfg.Metrics, p); err != nil {
		return nil, fmt.Errorf("backups: %w", err)
	}
	p.bindEvents()
	return p, nil
}

func (p *Plugin) settings() config.Backups { return p.cfg.Settings().Backups }

func (p *Plugin) retention() time.Duration {
	return time.Duration(p.settings().Replication.RetentionDays) * 24 * time.Hour
}

// spaceLow reports whether the replica should give up some of the disk that it
// shares with the data.
func (p *Plugin) spaceLow() bool {
	if p.cfg.Stores.Layout != replica.LayoutFile {
		return false
	}
	free, total, err := disk.Space(p.dir)
	return err == nil && disk.Low(free, total)
}

// logger is the operator's; PocketBase's own is no use before bootstrap.
func (p *Plugin) logger() *slog.Logger {
	if p.cfg.Logger != nil {
		return p.cfg.Logger
	}
	return slog.Default()
}

// Progress tells how far a restore at the start is.
type Progress struct {
	Done, Total int64 // bytes to read
}

// Prepare makes the folder ready to be served: it makes sure that no other
// server does, carries out a restore that waits, and restores the database from
// its replica if the folder has none. It must be called before bootstrap, by
// servers only; what a command does with a folder needs none of it.
func (p *Plugin) Prepare(ctx context.Context, progress func(Progress)) error {
	if err := p.lockFolder(); err != nil {
		return err
	}
	p.serving.Store(true)
	done, err := restore.Carry(ctx, p.dir)
	if err != nil {
		return err
	}
	if done != nil {
		p.logger().Info("restored", "id", done.ID, "at", done.At, "snapshot", done.Snapshot, "note", done.Error)
	}
	if !p.cfg.NoReplication {
		if err := p.claim(ctx, progress); err != nil {
			return err
		}
	}
	if p.cfg.Branch != nil {
		return p.branch(ctx, progress)
	}
	return nil
}

// claim makes this process the one that writes to the replica, and restores a
// folder without a database.
func (p *Plugin) claim(ctx context.Context, progress func(Progress)) error {
	claim, err := p.replica.Claim(ctx, func(done, total int64) {
		if progress != nil {
			progress(Progress{done, total})
		}
	})
	if err != nil {
		return hint(err)
	}
	if badKey(claim.Away) {
		return claim.Away
	}
	if claim.Away != nil {
		p.logger().Warn("the object store does not answer; serving from the folder, replication will catch up", "error", claim.Away)
	}
	if claim.Restored {
		p.logger().Info("restored from the replica", "bytes", claim.Bytes)
	}
	return nil
}

// badKey reports whether the store answers, but with what the encryption key
// does not fit: that mends itself by no waiting.
func badKey(err error) bool {
	return errors.Is(err, sealed.ErrWrongKey) || errors.Is(err, sealed.ErrKeyNeeded) || errors.Is(err, sealed.ErrNotEncrypted)
}

// hint adds the next step to errors that stop a start.
func hint(err error) error {
	var held *replica.HeldError
	if errors.As(err, &held) {
		return fmt.Errorf("%w. Stop it first; if it is gone for good, start with --take-over", err)
	}
	return err
}

var errLocked = errors.New("another server is running on the folder")

// lockFolder keeps a second server off the folder. The lock ends with the process.
func (p *Plugin) lockFolder() error {
	if err := os.MkdirAll(filepath.Dir(p.lock.Path()), 0o700); err != nil {
		return err
	}
	locked, err := p.lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s: %w", p.dir, err)
	}
	if !locked {
		return fmt.Errorf("%w %s", errLocked, p.dir)
	}
	return nil
}

// replaced is PocketBase's nightly job that truncates the write-ahead log. Beside
// replication, which reads that log, it would keep all writers out for ten
// seconds and fail.
const replaced = "__pbDBOptimize__"

const optimizeJob = "picoDBOptimize"

// Start begins to replicate, and to make snapshots and drills by schedule.
func (p *Plugin) Start() error {
	p.app.Cron().Remove(replaced)
	if err := p.app.Cron().Add(optimizeJob, "0 0 * * *", p.optimize); err != nil {
		return err
	}
	if !p.cfg.NoReplication {
		if err := p.replica.Start(); err != nil {
			return fmt.Errorf("start replication: %w", err)
		}
	}
	if p.files != nil {
		if err := p.files.Start(); err != nil {
			return fmt.Errorf("start with uploaded files: %w", err)
		}
	}
	return p.startSchedules()
}

// Stop brings what is left to the store, as far as ctx allows.
func (p *Plugin) Stop(ctx context.Context) error {
	p.app.Cron().Remove(optimizeJob)
	err := p.stopSchedules(ctx)
	if p.files != nil {
		err = errors.Join(err, p.files.Stop(ctx))
	}
	return errors.Join(err, p.replica.Stop(ctx))
}

// optimize does of PocketBase's nightly job what does not disturb replication,
// which keeps the log of data.db short by itself.
func (p *Plugin) optimize() {
	_, err := p.app.NonconcurrentDB().NewQuery("PRAGMA optimize").Execute()
	if p.cfg.NoReplication {
		_, err2 := p.app.NonconcurrentDB().NewQuery("PRAGMA wal_checkpoint(TRUNCATE)").Execute()
		err = errors.Join(err, err2)
	}
	_, err2 := p.app.AuxNonconcurrentDB().NewQuery("PRAGMA wal_checkpoint(TRUNCATE)").Execute()
	if err := errors.Join(err, err2); err != nil {
		p.app.Logger().Warn("nightly upkeep of the databases", "error", err)
	}
}

// bindEvents puts the plugin in the place of PocketBase's own way of making and
// restoring backups, which stops all writes for as long as it takes.
func (p *Plugin) bindEvents() {
	p.app.OnBackupCreate().Bind(&hook.Handler[*core.BackupEvent]{
		Id:       "picoBackupCreate",
		Priority: 999, // innermost: the audit trail and exclusions come before
		Func: func(e *core.BackupEvent) error {
			snapshot, err := p.create(e.Context, createWish{name: e.Name, exclude: e.Exclude})
			e.Name = snapshot.ID
			return err
		},
	})
	p.app.OnBackupRestore().Bind(&hook.Handler[*core.BackupEvent]{
		Id:       "picoBackupRestore",
		Priority: 999,
		Func: func(e *core.BackupEvent) error {
			order, err := p.begin(wish{snapshot: e.Name})
			if err != nil {
				return err
			}
			return p.run(e.Context, order)
		},
	})
}

// goBack runs work in the background until it is done or the plugin stops.
func (p *Plugin) goBack(work func(ctx context.Context)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx := p.running
	if ctx == nil {
		ctx = context.Background()
	}
	p.back.Go(func() { work(ctx) })
}
