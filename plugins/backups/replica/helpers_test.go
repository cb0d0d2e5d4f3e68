package replica

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	_ "modernc.org/sqlite"
)

const pragmas = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"

// memory is an object store that can be made to fail.
type memory struct {
	mu      sync.Mutex
	objects map[string]object
	fail    error // every call returns it
	mute    error // every Put returns it, after it was done
	calls   int
}

type object struct {
	data []byte
	at   time.Time
}

func newMemory() *memory { return &memory{objects: map[string]object{}} }

func (m *memory) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memory) setMute(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mute = err
}

func (m *memory) enter() error {
	m.calls++
	return m.fail
}

func (m *memory) callCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *memory) info(key string, o object) objectstore.Info {
	sum := sha256.Sum256(o.data)
	return objectstore.Info{Key: key, Size: int64(len(o.data)), Modified: o.at, ETag: hex.EncodeToString(sum[:])}
}

func (m *memory) Put(_ context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	data, err := io.ReadAll(body)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(err, m.enter()); err != nil {
		return objectstore.Info{}, err
	}
	old, exists := m.objects[key]
	if opts.IfAbsent && exists || opts.IfMatch != "" && (!exists || m.info(key, old).ETag != opts.IfMatch) {
		return objectstore.Info{}, objectstore.ErrChanged
	}
	at := opts.Time
	if at.IsZero() {
		at = time.Now()
	}
	m.objects[key] = object{data, at}
	if m.mute != nil {
		return objectstore.Info{}, m.mute
	}
	return m.info(key, m.objects[key]), nil
}

func (m *memory) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter(); err != nil {
		return nil, err
	}
	o, ok := m.objects[key]
	if !ok {
		return nil, objectstore.ErrNotFound
	}
	data := o.data[min(offset, int64(len(o.data))):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m *memory) Stat(_ context.Context, key string) (objectstore.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter(); err != nil {
		return objectstore.Info{}, err
	}
	o, ok := m.objects[key]
	if !ok {
		return objectstore.Info{}, objectstore.ErrNotFound
	}
	return m.info(key, o), nil
}

func (m *memory) List(_ context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.enter()
	var infos []objectstore.Info
	for key, o := range m.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			infos = append(infos, m.info(key, o))
		}
	}
	slices.SortFunc(infos, func(a, b objectstore.Info) int { return strings.Compare(a.Key, b.Key) })
	return func(yield func(objectstore.Info, error) bool) {
		if err != nil {
			yield(objectstore.Info{}, err)
			return
		}
		for _, info := range infos {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *memory) Delete(_ context.Context, keys ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.objects, key)
	}
	return m.enter()
}

// keys returns the keys that begin with prefix.
func (m *memory) keys(prefix string) (keys []string) {
	for info, err := range m.List(context.Background(), prefix, "") {
		if err == nil {
			keys = append(keys, info.Key)
		}
	}
	return keys
}

// tenant is a data folder with its database and replica.
type tenant struct {
	t       *testing.T
	dir     string
	db      *sql.DB
	replica *Replica
}

func newTenant(t *testing.T, store objectstore.Store, change ...func(*Config)) *tenant {
	t.Helper()
	tn := &tenant{t: t, dir: t.TempDir()}
	tn.replica = tn.newReplica(store, change...)
	return tn
}

func (tn *tenant) path() string { return filepath.Join(tn.dir, "data.db") }

func (tn *tenant) newReplica(store objectstore.Store, change ...func(*Config)) *Replica {
	tn.t.Helper()
	cfg := Config{
		Path: tn.path(), MetaDir: filepath.Join(tn.dir, ".pico", "replica"), Store: store,
		Interval: func() time.Duration { return 100 * time.Millisecond },
	}
	for _, f := range change {
		f(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		tn.t.Fatal(err)
	}
	return r
}

// start claims, opens the database and replicates.
func (tn *tenant) start() *tenant {
	tn.t.Helper()
	if _, err := tn.replica.Claim(tn.t.Context(), nil); err != nil {
		tn.t.Fatal(err)
	}
	tn.open()
	if err := tn.replica.Start(); err != nil {
		tn.t.Fatal(err)
	}
	return tn
}

func (tn *tenant) open() {
	tn.t.Helper()
	db, err := sql.Open("sqlite", tn.path()+pragmas)
	if err != nil {
		tn.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	tn.t.Cleanup(func() { db.Close() })
	tn.db = db
	tn.exec(`CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, at INTEGER, filler TEXT)`)
}

func (tn *tenant) exec(query string, args ...any) {
	tn.t.Helper()
	if _, err := tn.db.Exec(query, args...); err != nil {
		tn.t.Fatal(err)
	}
}

// write adds a row with the time of its commit.
func (tn *tenant) write() time.Time {
	tn.t.Helper()
	tn.exec(`INSERT INTO rows (at, filler) VALUES (?, ?)`, time.Now().UnixMilli(), strings.Repeat("x", 500))
	return time.Now()
}

func (tn *tenant) sync() {
	tn.t.Helper()
	if err := tn.replica.Sync(tn.t.Context()); err != nil {
		tn.t.Fatal(err)
	}
}

func (tn *tenant) stop() {
	tn.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := tn.replica.Stop(ctx); err != nil {
		tn.t.Fatal(err)
	}
	tn.db.Close()
}

// rows returns how many rows a database has, and the time of the newest.
func rows(t *testing.T, path string) (count int, newest time.Time) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var at sql.NullInt64
	if err := db.QueryRow(`SELECT COUNT(*), MAX(at) FROM rows`).Scan(&count, &at); err != nil {
		t.Fatal(err)
	}
	var ok string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&ok); err != nil || ok != "ok" {
		t.Fatalf("integrity check: %s, %v", ok, err)
	}
	return count, time.UnixMilli(at.Int64)
}

// restored restores to a new file and returns its path.
func (tn *tenant) restored(at time.Time) string {
	tn.t.Helper()
	path := filepath.Join(tn.t.TempDir(), "restored.db")
	if _, err := tn.replica.Restore(tn.t.Context(), path, at, nil); err != nil {
		tn.t.Fatal(err)
	}
	return path
}

func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
