package snapshots

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/objectstore"
)

// A folder that a killed server left: the newest writes are in the WAL alone.
func TestCreateOfAbandonedFolder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	live, data := newProject(t)
	execute(t, data, "PRAGMA wal_autocheckpoint = 0", "INSERT INTO posts VALUES ('c', 'three')")
	dir := t.TempDir()
	for _, name := range []string{"data.db", "data.db-wal"} {
		content, err := os.ReadFile(filepath.Join(live, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(content))
	}
	made, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{})
	if err != nil || made.Database.Rows["posts"] != 3 {
		t.Fatalf("made %+v, %v", made, err)
	}
}

const lockedDatabase = "SNAPSHOTS_TEST_DATABASE"

// TestWriteElsewhere is the other process of TestKeepsLocks.
func TestWriteElsewhere(t *testing.T) {
	path := os.Getenv(lockedDatabase)
	if path == "" {
		t.Skip("runs within TestKeepsLocks")
	}
	db, err := sql.Open("sqlite", strings.ReplaceAll(dsn(path, "rw"), "10000", "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	execute(t, db, "INSERT INTO posts VALUES ('other', 'process')")
}

// A plain open and close of a database's files, the -shm among them, would drop
// this process's locks on them: another process could then write into the middle
// of a transaction.
func TestKeepsLocks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, data := newProject(t)
	elsewhere := func() error {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriteElsewhere$")
		child.Env = append(os.Environ(), lockedDatabase+"="+filepath.Join(dir, "data.db"))
		return child.Run()
	}
	held, err := data.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := held.ExecContext(t.Context(), "BEGIN IMMEDIATE; INSERT INTO posts VALUES ('half', 'done')"); err != nil {
		t.Fatal(err)
	}
	made, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{})
	if err != nil || made.Database.Rows["posts"] != 2 {
		t.Errorf("made %+v, %v", made, err)
	}
	if elsewhere() == nil {
		t.Error("another process wrote during a transaction")
	}
	if _, err := held.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := elsewhere(); err != nil {
		t.Errorf("another process after the transaction: %v", err)
	}
}

// A store whose answer got lost asks again, and finds what it wrote itself.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	for name, c := range map[string]struct {
		others bool // somebody else's zip was faster
		want   error
	}{"own": {false, nil}, "others": {true, ErrExists}} {
		vault, err := New(Config{Archive: forgetful{f.zips, c.others}, Catalog: f.catalog, Scratch: f.scratch})
		if err != nil {
			t.Fatal(err)
		}
		id := name + ".zip"
		made, err := vault.Create(t.Context(), Source{Dir: dir}, CreateOptions{Name: id})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v", name, made, err)
		}
		if _, err := f.zips.Stat(t.Context(), id); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := f.Get(t.Context(), id); err != nil || (got.Verified != nil) == c.others {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	f.clean(t)
}

type forgetful struct {
	*memory
	others bool
}

func (s forgetful) Put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	info, err := s.memory.Put(ctx, key, body, opts)
	if err != nil {
		return info, err
	}
	if s.others {
		s.mu.Lock()
		s.objects[key] = object{[]byte("another"), info}
		s.mu.Unlock()
	}
	return info, objectstore.ErrChanged
}
