package snapshots

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

// memory is an object store whose every operation a test can make fail.
type memory struct {
	mu      sync.Mutex
	objects map[string]object
	version int

	// before is called ahead of each operation, outside of the lock.
	before func(ctx context.Context, op, key string) error
}

type object struct {
	content []byte
	info    objectstore.Info
}

func (m *memory) hook(ctx context.Context, op, key string) error {
	m.mu.Lock()
	before := m.before
	m.mu.Unlock()
	if before == nil {
		return ctx.Err()
	}
	return before(ctx, op, key)
}

func (m *memory) onCall(before func(ctx context.Context, op, key string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = before
}

func (m *memory) Put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	if err := m.hook(ctx, "put", key); err != nil {
		return objectstore.Info{}, err
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return objectstore.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, found := m.objects[key]
	if opts.IfAbsent && found || opts.IfMatch != "" && old.info.ETag != opts.IfMatch {
		return objectstore.Info{}, objectstore.ErrChanged
	}
	m.version++
	info := objectstore.Info{Key: key, Size: int64(len(content)), Modified: time.Now(), ETag: fmt.Sprint(m.version)}
	if m.objects == nil {
		m.objects = map[string]object{}
	}
	m.objects[key] = object{content, info}
	return info, nil
}

func (m *memory) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := m.hook(ctx, "get", key); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, found := m.objects[key]
	if !found {
		return nil, objectstore.ErrNotFound
	}
	content := o.content[min(offset, int64(len(o.content))):]
	if length >= 0 {
		content = content[:min(length, int64(len(content)))]
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (m *memory) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	if err := m.hook(ctx, "stat", key); err != nil {
		return objectstore.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, found := m.objects[key]
	if !found {
		return objectstore.Info{}, objectstore.ErrNotFound
	}
	return o.info, nil
}

func (m *memory) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if err := m.hook(ctx, "list", prefix); err != nil {
			yield(objectstore.Info{}, err)
			return
		}
		for _, key := range m.keys() {
			if strings.HasPrefix(key, prefix) && key > after {
				m.mu.Lock()
				info := m.objects[key].info
				m.mu.Unlock()
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

func (m *memory) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := m.hook(ctx, "delete", key); err != nil {
			return err
		}
		m.mu.Lock()
		delete(m.objects, key)
		m.mu.Unlock()
	}
	return nil
}

func (m *memory) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]string, 0, len(m.objects))
	for key := range m.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// change edits the content of an object behind everybody's back.
func (m *memory) change(t *testing.T, key string, edit func([]byte) []byte) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	o, found := m.objects[key]
	if !found {
		t.Fatalf("there is no %s", key)
	}
	o.content = edit(slices.Clone(o.content))
	o.info.Size = int64(len(o.content))
	m.objects[key] = o
}

// fixture is a vault with its stores and a clock.
type fixture struct {
	*Vault
	zips, catalog *memory
	scratch       string
	now           time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{zips: &memory{}, catalog: &memory{}, now: time.Date(2026, 11, 25, 3, 15, 0, 0, time.UTC)}
	f.scratch = filepath.Join(t.TempDir(), "scratch")
	f.Vault = f.another(t)
	return f
}

// another returns a second vault on the same stores, as another process has.
func (f *fixture) another(t *testing.T) *Vault {
	t.Helper()
	vault, err := New(Config{Archive: f.zips, Catalog: f.catalog, Scratch: f.scratch, Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	return vault
}

// clean fails the test if a temporary file was left.
func (f *fixture) clean(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(f.scratch)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("the scratch folder holds %v", left)
	}
}

// newProject makes a data folder that is in use, as that of a running server.
func newProject(t *testing.T) (dir string, data *sql.DB) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "pb data?%23") // SQLite's URIs must cope
	write(t, filepath.Join(dir, "storage/col/rec/photo.jpg"), strings.Repeat("jpg", 1000))
	write(t, filepath.Join(dir, "storage/col/rec/photo.jpg.attrs"), `{"user.content_type":"image/jpeg"}`)
	write(t, filepath.Join(dir, "storage/col/rec/notes.txt"), strings.Repeat("text ", 1000))
	write(t, filepath.Join(dir, "types.d.ts"), "declare")
	for _, name := range []string{
		"backups/old.zip", ".pb_temp_to_delete/x", ".notify/x", ".autocert_cache/x", "lost+found/x", ".pico_tmp/x", ".picobase-lock", "left/out.txt",
	} {
		write(t, filepath.Join(dir, name), "no")
	}
	data = openDB(t, filepath.Join(dir, "data.db"))
	execute(t, data, "CREATE TABLE _collections (id TEXT PRIMARY KEY)", "CREATE TABLE posts (id TEXT PRIMARY KEY, title TEXT)",
		"INSERT INTO _collections VALUES ('posts')", "INSERT INTO posts VALUES ('a', 'one'), ('b', 'two')")
	execute(t, openDB(t, filepath.Join(dir, "auxiliary.db")), "CREATE TABLE _logs (id TEXT PRIMARY KEY)")
	return dir, data
}

func openDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, "rwc")+"&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// names lists the files below dir.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			relative, _ := filepath.Rel(dir, path)
			all = append(all, relative)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// zipped makes a zip of names and contents.
func zipped(t *testing.T, entries ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(entries); i += 2 {
		to, err := z.Create(entries[i])
		if err == nil {
			_, err = io.WriteString(to, entries[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// databaseFile returns the bytes of a database.
func databaseFile(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.db")
	db := openDB(t, path)
	execute(t, db, statements...)
	execute(t, db, "PRAGMA journal_mode = DELETE")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("timed out: %s", what)
		case <-tick.C:
		}
	}
}
