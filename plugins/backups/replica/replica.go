// Package replica keeps a copy of a SQLite database in an object store, at most
// a second behind, and restores it from there to any second that is retained.
//
// It embeds Litestream for what is hard about that, reading SQLite's write-ahead
// log, and adds what Litestream leaves to others: that one process writes at a
// time, a history in steps of a sync rather than of minutes, bounded back-off and
// bounded disk use while the store is away. It does not know what the database
// holds, and nothing of PocketBase.
//
//	r, err := replica.New(replica.Config{Path: "pb_data/data.db", MetaDir: "pb_data/.pico/replica", Store: store})
//	claim, err := r.Claim(ctx) // restores into an empty folder
//	err = r.Start()
package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/superfly/ltx"
)

// Config configures a replica.
type Config struct {
	// Path of the database. Required.
	Path string

	// MetaDir is where the replica keeps its own files, on this machine. Required.
	MetaDir string

	// Store is where the replica lives; nothing else may be in there. Required.
	Store objectstore.Store

	// Layout of the keys, for the stock litestream program (default LayoutS3).
	Layout Layout

	// Interval is the longest time until a write is on its way to the store
	// (default 500 ms).
	Interval func() time.Duration

	// Retention is how far back a restore can go (default 7 days).
	Retention func() time.Duration

	// MaxPending is how many bytes may wait on disk while the store is away
	// before they are merged, which gives up the steps of the history in
	// between, not its end (default 256 MB).
	MaxPending int64

	// SpaceLow reports whether the store has little room left. Then the history
	// is cut to a day. Defaults to never.
	SpaceLow func() bool

	// TakeOver takes the replica from a process that seems to hold it still.
	TakeOver bool

	// Logger gets what an operator should know (default slog.Default).
	Logger *slog.Logger
}

// Replica replicates one database.
type Replica struct {
	cfg    Config
	client *client
	lease  *lease

	mu      sync.Mutex // guards what follows
	db      *litestream.DB
	store   *litestream.Store // for its compaction; never opened
	cancel  context.CancelFunc
	done    chan struct{}
	claimed bool

	tracker tracker
	changes changes
}

// New returns a stopped replica. It opens nothing.
func New(cfg Config) (*Replica, error) {
	if cfg.Path == "" || cfg.MetaDir == "" || cfg.Store == nil {
		return nil, errors.New("replica: Path, MetaDir and Store are required")
	}
	if cfg.Layout == "" {
		cfg.Layout = LayoutS3
	}
	if cfg.Interval == nil {
		cfg.Interval = func() time.Duration { return 500 * time.Millisecond }
	}
	if cfg.Retention == nil {
		cfg.Retention = func() time.Duration { return 7 * 24 * time.Hour }
	}
	if cfg.SpaceLow == nil {
		cfg.SpaceLow = func() bool { return false }
	}
	if cfg.MaxPending == 0 {
		cfg.MaxPending = 256 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Replica{
		cfg:    cfg,
		client: &client{store: objectstore.Prefix(cfg.Store, "data.db/"), layout: cfg.Layout},
		lease:  &lease{store: cfg.Store, host: host, pid: os.Getpid(), now: time.Now},
	}, nil
}

// Claim is what Claim found and did.
type Claim struct {
	// Restored tells that the database was restored from the replica.
	Restored bool

	// Bytes is the size of the restored database.
	Bytes int64

	// Away is the reason why the store could not be asked; the database is there
	// and can be served, and the replica is claimed once the store answers.
	Away error
}

// Claim makes this process the one that writes to the replica, and restores the
// database if there is none but the replica has one. It must be called before
// anything opens the database, by a server only. Whatever it cannot decide for
// sure is an error: a database that is not restored must not be started empty.
func (r *Replica) Claim(ctx context.Context, progress func(done, total int64)) (Claim, error) {
	var claim Claim
	hasDatabase, err := exists(r.cfg.Path)
	if err != nil {
		return claim, err
	}
	s, err := r.prepareOwner()
	if err != nil {
		return claim, err
	}
	err = r.claimInTime(ctx, &s, hasDatabase)
	var held *HeldError
	switch {
	case err == nil:
	case hasDatabase && s.Replica != "" && !errors.As(err, &held) && !errors.Is(err, ErrNotOurs) && ctx.Err() == nil:
		claim.Away = err
	case hasDatabase:
		return claim, err
	default:
		return claim, fmt.Errorf("find out whether there is a replica to restore: %w", err)
	}
	if hasDatabase {
		return claim, r.resume(ctx, s)
	}
	_, err = r.Restore(ctx, r.cfg.Path, time.Time{}, progress)
	if errors.Is(err, ErrNothing) {
		return claim, nil
	}
	if err != nil {
		return claim, fmt.Errorf("restore from the replica: %w", err)
	}
	info, err := os.Stat(r.cfg.Path)
	if err != nil {
		return claim, err
	}
	claim.Restored, claim.Bytes = true, info.Size()
	return claim, nil
}

func (r *Replica) prepareOwner() (state, error) {
	s, err := readState(r.cfg.MetaDir)
	if err != nil {
		return s, err
	}
	if s.Owner == "" {
		s.Owner = rand.Text()
		if err := s.write(r.cfg.MetaDir); err != nil {
			return s, err
		}
	}
	r.lease.owner = s.Owner
	return s, nil
}

// claimTimeout is how long a start waits for a store that hangs, if there is a
// database to serve.
const claimTimeout = 20 * time.Second

func (r *Replica) claimInTime(ctx context.Context, s *state, hasDatabase bool) error {
	if !hasDatabase {
		return r.claimFor(ctx, s, false)
	}
	limited, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	return r.claimFor(limited, s, true)
}

func (r *Replica) claimFor(ctx context.Context, s *state, hasDatabase bool) error {
	remote, err := r.client.newest(ctx)
	if err != nil {
		return err
	}
	if hasDatabase && remote > 0 {
		if err := r.check(ctx, *s, remote); err != nil {
			return err
		}
	}
	if !hasDatabase || remote == 0 {
		// Positions of another life of the folder or of the replica would leave a gap.
		if err := os.RemoveAll(r.ltxDir()); err != nil {
			return err
		}
	}
	if err := r.lease.acquire(ctx, r.cfg.TakeOver); err != nil {
		return err
	}
	if !hasDatabase {
		// What will be restored, noted before: a kill may follow at once. Asked for
		// again, for the lease may have been waited for.
		if s.Restored, err = r.client.newest(ctx); err != nil {
			return err
		}
	}
	*s, err = r.adopt(ctx, *s)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.claimed = true
	r.mu.Unlock()
	return nil
}

func (r *Replica) ltxDir() string {
	probe := litestream.NewDB(r.cfg.Path)
	probe.SetMetaPath(r.cfg.MetaDir)
	return probe.LTXDir()
}

// Levels merges what is replicated: half a minute, five minutes, an hour. A full
// snapshot is taken each day.
var levels = litestream.DefaultCompactionLevels

// Start begins to replicate. The database must be open in this process or be
// there at least.
func (r *Replica) Start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		return nil
	}
	if r.db == nil {
		r.openDB()
		if err := r.db.Open(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan struct{})
	go r.run(ctx, r.done)
	return nil
}

// openDB makes Litestream's objects, with its own loops switched off: their
// back-off grows to minutes and they talk to the store while nothing changes.
func (r *Replica) openDB() {
	logger := slog.New(warnings{r.cfg.Logger.Handler()})
	r.db = litestream.NewDB(r.cfg.Path)
	r.db.SetMetaPath(r.cfg.MetaDir)
	r.db.MonitorInterval = 0
	r.db.ShutdownSyncTimeout = 0
	// Truncating waits for all readers and then keeps writers out for as long as
	// a full snapshot takes. It is left as the last resort.
	r.db.TruncatePageN = 1 << 20
	r.db.Replica = litestream.NewReplicaWithClient(r.db, r.client)
	r.db.Replica.MonitorEnabled = false
	r.store = litestream.NewStore([]*litestream.DB{r.db}, levels)
	r.store.Logger = logger
	r.db.SetLogger(logger)
}

// Stop replicates what is left, within ctx, and lets go of the lease. Litestream
// keeps the database open until the process ends: as the last connection it
// would take the write-ahead log away when closed, and the next start could not
// go on where this one ended but had to upload the whole database.
func (r *Replica) Stop(ctx context.Context) error {
	r.mu.Lock()
	cancel, done, db := r.cancel, r.done, r.db
	r.cancel, r.done = nil, nil
	r.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("stop replication: %w", ctx.Err())
	}
	if r.lease.lost.Load() {
		return nil
	}
	// Whether it works or not, what is in the log must get to the store.
	err := r.lastCheckpoint(ctx, db)
	if syncErr := errors.Join(r.syncLocal(ctx), r.upload(ctx)); syncErr != nil {
		err = errors.Join(err, fmt.Errorf("last sync of the replica: %w", syncErr))
	}
	return errors.Join(err, r.lease.release(ctx))
}

// lastCheckpoint makes data.db complete by itself, for whoever copies just that.
// A log that holds nothing but the mark of the last checkpoint is left alone:
// after another one Litestream does not find its place any more, and each sleep
// of a project that was only read would upload the whole database.
func (r *Replica) lastCheckpoint(ctx context.Context, db *litestream.DB) error {
	if err := r.syncLocal(ctx); err != nil {
		return err
	}
	newest, err := position(db)
	if err != nil || newest == 0 {
		return err
	}
	file, err := os.Open(db.LTXPath(0, newest, newest))
	if err != nil {
		return err
	}
	header, _, err := ltx.PeekHeader(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	const mark = litestream.WALHeaderSize + litestream.WALFrameHeaderSize
	if header.WALOffset+header.WALSize <= mark+int64(header.PageSize) {
		return nil
	}
	return db.Checkpoint(ctx, litestream.CheckpointModePassive)
}

// Sync replicates everything that is committed now, and returns when the store
// has it.
func (r *Replica) Sync(ctx context.Context) error {
	if r.database() == nil {
		return errors.New("replication does not run")
	}
	if err := r.syncLocal(ctx); err != nil {
		return err
	}
	return r.upload(ctx)
}

func (r *Replica) database() *litestream.DB {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.db
}

// Lost reports whether another process has taken over the replica. What is
// written from then on will not be replicated, so nothing should be.
func (r *Replica) Lost() bool { return r.lease.lost.Load() }

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// warnings passes on warnings and errors alone: Litestream reports every merge.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

// position of the database in its own files.
func position(db *litestream.DB) (ltx.TXID, error) {
	pos, err := db.Pos()
	return pos.TXID, err
}
