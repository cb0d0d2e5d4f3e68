package snapshots

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	var begun Snapshot
	made, err := f.Create(t.Context(), Source{Dir: dir, Exclude: []string{"left"}, MissingFiles: elsewhere("col/rec2/far.bin", "far")},
		CreateOptions{App: "Acme Shop", Label: "before the move", Begun: func(s Snapshot) { begun = s }})
	if err != nil {
		t.Fatal(err)
	}
	f.clean(t)
	if want := "pb_backup_acme_shop_20261125031500.zip"; made.ID != want || begun.ID != want || begun.Status != Creating {
		t.Errorf("id %s, begun %+v, want %s", made.ID, begun, want)
	}
	content := f.zips.objects[made.ID].content
	if made.SHA256 != sumOf(content) || made.Size != int64(len(content)) || made.Verified == nil || made.Status != OK {
		t.Errorf("made %+v", made)
	}
	if made.Database == nil || made.Database.Tables != 2 || made.Database.Rows["posts"] != 2 || made.Files != 3 || made.FileBytes != 8003 {
		t.Errorf("made %+v, %+v", made, made.Database)
	}
	if got, err := f.Get(t.Context(), made.ID); err != nil || !sameJSON(got, made) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, made)
	}

	into := filepath.Join(t.TempDir(), "new", "restored")
	if err := f.Extract(t.Context(), made.ID, into); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"auxiliary.db", "data.db", "storage/col/rec/notes.txt", "storage/col/rec/photo.jpg", "storage/col/rec/photo.jpg.attrs",
		"storage/col/rec2/far.bin", "types.d.ts",
	}
	if got := names(t, into); !slices.Equal(got, want) {
		t.Errorf("extracted %v\nwant %v", got, want)
	}
	info, err := os.Stat(filepath.Join(into, "data.db"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("data.db: %v, %v", info.Mode(), err)
	}
	var title string
	if err := openDB(t, filepath.Join(into, "data.db")).QueryRow("SELECT title FROM posts WHERE id = 'b'").Scan(&title); err != nil || title != "two" {
		t.Errorf("title %q, %v", title, err)
	}
	if err := f.Extract(t.Context(), made.ID, into); err == nil || len(names(t, into)) < len(want) {
		t.Errorf("extracted over a folder that is not empty: %v", err)
	}
}

func elsewhere(name, content string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, name := range []string{name, "col/rec/notes.txt"} { // the second is in the folder as well
			file := File{Name: name, Size: int64(len(content)), Open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(content)), nil
			}}
			if !yield(file, nil) {
				return
			}
		}
		yield(File{Name: "col/gone", Open: func(context.Context) (io.ReadCloser, error) { return nil, objectstore.ErrNotFound }}, nil)
	}
}

func sameJSON(a, b any) bool {
	left, _ := json.Marshal(a)
	right, _ := json.Marshal(b)
	return bytes.Equal(left, right)
}

// A project that is moved to another disk leaves a link behind.
func TestCreateOfLinkedFolder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	// Another name of a live file, which must not be opened, and of a plain one.
	for name, target := range map[string]string{"alias.db": "data.db", "copy.ts": "types.d.ts"} {
		if err := os.Symlink(filepath.Join(dir, target), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	made, err := f.Create(t.Context(), Source{Dir: link}, CreateOptions{})
	if err != nil || made.Files != 2 {
		t.Fatalf("%+v, %v", made, err)
	}
	into := filepath.Join(t.TempDir(), "x")
	if err := f.Extract(t.Context(), made.ID, into); err != nil {
		t.Fatal(err)
	}
	if got := names(t, into); !slices.Contains(got, "copy.ts") || slices.Contains(got, "alias.db") {
		t.Errorf("extracted %v", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	for _, c := range []struct {
		opts CreateOptions
		want string // the id, or part of the error
	}{
		{CreateOptions{App: "acme", Kind: Scheduled}, "@auto_pb_backup_acme_20261125031500.zip"},
		{CreateOptions{App: "acme", Kind: Scheduled}, "@auto_pb_backup_acme_20261125031500_2.zip"},
		{CreateOptions{App: "Ümlaut & myAppX", Kind: BeforeRestore}, "pb_backup_mlaut_my_app_x_20261125031500.zip"},
		{CreateOptions{}, "pb_backup_app_20261125031500.zip"},
		{CreateOptions{App: strings.Repeat("x", 200)}, "pb_backup_" + strings.Repeat("x", 50) + "_20261125031500.zip"},
		{CreateOptions{Name: "Mine-1.zip"}, "Mine-1.zip"},
		{CreateOptions{Name: "Mine-1.zip"}, ErrExists.Error()},
		{CreateOptions{Name: "../up.zip"}, ErrName.Error()},
		{CreateOptions{Name: ".hidden.zip"}, ErrName.Error()},
		{CreateOptions{Name: "no-zip"}, ErrName.Error()},
		{CreateOptions{Name: strings.Repeat("x", 147) + ".zip"}, ErrName.Error()},
	} {
		made, err := f.Create(t.Context(), Source{Dir: dir}, c.opts)
		if (err != nil || made.ID != c.want) && (err == nil || err.Error() != c.want) {
			t.Errorf("%+v: %s, %v, want %s", c.opts, made.ID, err, c.want)
		}
	}
}

// Whatever fails, no zip counts as good, nothing is left on the disk, and the
// catalog says why in words that hold no paths.
func TestCreateFails(t *testing.T) {
	t.Parallel()
	away := errors.New("dial tcp 10.0.0.7:443: no route to host")
	for name, c := range map[string]struct {
		prepare func(t *testing.T, f *fixture, source *Source, cancel func())
		reason  string
	}{
		"the archive is away": {func(_ *testing.T, f *fixture, _ *Source, _ func()) {
			f.zips.onCall(failing("put", away))
		}, "could not write to the backups' store"},
		"the archive stores something else": {func(t *testing.T, f *fixture, _ *Source, _ func()) {
			f.zips.onCall(func(ctx context.Context, op, key string) error {
				if op == "get" {
					f.zips.onCall(nil)
					f.zips.change(t, key, func(content []byte) []byte { content[len(content)/2] ^= 1; return content })
				}
				return ctx.Err()
			})
		}, "not a usable backup: its content changed (SHA-256)"},
		"the archive cannot be read": {func(_ *testing.T, f *fixture, _ *Source, _ func()) {
			f.zips.onCall(failing("get", away))
		}, "could not read from the backups' store"},
		"interrupted": {func(_ *testing.T, f *fixture, _ *Source, cancel func()) {
			f.zips.onCall(func(ctx context.Context, op, _ string) error {
				if op == "put" {
					cancel()
				}
				return ctx.Err()
			})
		}, "it was interrupted"},
		"no project": {func(t *testing.T, _ *fixture, source *Source, _ func()) {
			source.Dir = t.TempDir()
		}, "could not find data.db"},
		"no folder": {func(_ *testing.T, _ *fixture, source *Source, _ func()) {
			source.Dir = "/nowhere"
		}, "could not find the project's folder"},
		"the database is none": {func(t *testing.T, _ *fixture, source *Source, _ func()) {
			source.Dir = t.TempDir()
			write(t, filepath.Join(source.Dir, "data.db"), strings.Repeat("not a database", 1000))
		}, "could not copy data.db"},
		"the database is not PocketBase's": {func(t *testing.T, _ *fixture, source *Source, _ func()) {
			source.Dir = t.TempDir()
			execute(t, openDB(t, filepath.Join(source.Dir, "data.db")), "CREATE TABLE x (y)")
		}, "not a usable backup: its data.db is not PocketBase's, it has no table _collections"},
		"a file kept elsewhere fails": {func(_ *testing.T, _ *fixture, source *Source, _ func()) {
			source.MissingFiles = func(yield func(File, error) bool) { yield(File{}, away) }
		}, "could not read the project's files"},
		"a file kept elsewhere is short": {func(_ *testing.T, _ *fixture, source *Source, _ func()) {
			source.MissingFiles = func(yield func(File, error) bool) {
				yield(File{Name: "a", Size: 9, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }}, nil)
			}
		}, "could not read the project's files"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			dir, _ := newProject(t)
			source := Source{Dir: dir}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.prepare(t, f, &source, cancel)
			made, err := f.Create(ctx, source, CreateOptions{Name: "x.zip", Label: "kept"})
			if err == nil || made.Status != Failed {
				t.Fatalf("made %+v, %v", made, err)
			}
			f.clean(t)
			f.zips.onCall(nil)
			if keys := f.zips.keys(); len(keys) > 0 {
				t.Errorf("the archive holds %v", keys)
			}
			got, err := f.Get(t.Context(), "x.zip")
			if err != nil || got.Status != Failed || got.Error != c.reason || got.Label != "kept" || got.Verified != nil {
				t.Errorf("the catalog says %+v, %v\nwant %s", got, err, c.reason)
			}
			if _, err := f.Verify(t.Context(), "x.zip"); !errors.Is(err, ErrNotFound) {
				t.Errorf("verify: %v", err)
			}
			if err := f.Delete(t.Context(), "x.zip"); err != nil {
				t.Errorf("delete: %v", err)
			}
		})
	}
}

func failing(op string, err error) func(context.Context, string, string) error {
	return func(ctx context.Context, called, _ string) error {
		if called == op {
			return err
		}
		return ctx.Err()
	}
}

// A catalog that cannot be written to at the end leaves nothing that counts.
func TestCatalogFailsAtTheEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	var puts atomic.Int32
	f.catalog.onCall(func(ctx context.Context, op, _ string) error {
		if op == "put" && puts.Add(1) > 1 {
			return errors.New("away")
		}
		return ctx.Err()
	})
	if made, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{Name: "x.zip"}); err == nil {
		t.Fatalf("made %+v", made)
	}
	f.catalog.onCall(nil)
	if got, err := f.Get(t.Context(), "x.zip"); err != nil || got.Status != Creating {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := f.Extract(t.Context(), "x.zip", filepath.Join(t.TempDir(), "x")); !errors.Is(err, ErrBusy) {
		t.Errorf("extract: %v", err)
	}
	if err := f.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := f.Get(t.Context(), "x.zip")
	if err != nil || got.Status != Failed || len(f.zips.keys()) != 0 {
		t.Errorf("after recovery %+v, %v, zips %v", got, err, f.zips.keys())
	}
}

func TestFailedAreForgotten(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range maxFailed + 5 {
		f.now = f.now.Add(time.Hour)
		if _, err := f.Create(t.Context(), Source{Dir: "/nowhere"}, CreateOptions{}); err == nil {
			t.Fatal("made")
		}
	}
	all, err := f.List(t.Context())
	if err != nil || len(all) != maxFailed || !all[0].Created.Equal(f.now) {
		t.Errorf("%d are left, %v", len(all), err)
	}
}

// Writers go on while a snapshot is made, and what it holds is of one moment:
// two tables that always grow together are equally long in it.
func TestWritersAreNotBlocked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, data := newProject(t)
	execute(t, data, "CREATE TABLE a (id INTEGER PRIMARY KEY, x)", "CREATE TABLE b (id INTEGER PRIMARY KEY, x)",
		"INSERT INTO a (x) WITH n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 40000) SELECT hex(randomblob(200)) FROM n",
		"INSERT INTO b (x) SELECT x FROM a")
	writer := openDB(t, filepath.Join(dir, "data.db"))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	var longest atomic.Int64
	var writes atomic.Int64
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			start := time.Now()
			_, err := writer.Exec("BEGIN IMMEDIATE; INSERT INTO a (x) VALUES ('new'); INSERT INTO b (x) VALUES ('new'); COMMIT")
			if err != nil {
				stopped <- err
				return
			}
			writes.Add(1)
			longest.Store(max(longest.Load(), int64(time.Since(start))))
		}
	}()
	eventually(t, "the writer writes", func() bool { return writes.Load() > 10 })
	before := writes.Load()
	made, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{})
	during := writes.Load() - before
	close(stop)
	if writeErr := <-stopped; writeErr != nil {
		t.Fatal(writeErr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d writes during the snapshot, the longest took %s", during, time.Duration(longest.Load()))
	if during < 10 || time.Duration(longest.Load()) > 2*time.Second {
		t.Errorf("%d writes during the snapshot, the longest took %s", during, time.Duration(longest.Load()))
	}
	if rows := made.Database.Rows; rows["a"] != rows["b"] || rows["a"] < 40000+before {
		t.Errorf("rows %v, %d were written before", rows, before)
	}
	// This process still holds its locks: the database is whole and writable.
	execute(t, data, "INSERT INTO posts VALUES ('c', 'three')")
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	f.zips.onCall(func(ctx context.Context, op, _ string) error {
		if op == "put" {
			close(entered)
			<-leave
		}
		return ctx.Err()
	})
	done := make(chan error, 1)
	go func() {
		_, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{Name: "x.zip"})
		done <- err
	}()
	<-entered
	if _, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{}); !errors.Is(err, ErrBusy) {
		t.Errorf("create: %v", err)
	}
	if err := f.Delete(t.Context(), "x.zip"); !errors.Is(err, ErrBusy) {
		t.Errorf("delete: %v", err)
	}
	if _, _, err := f.Open(t.Context(), "x.zip", 0, -1); !errors.Is(err, ErrBusy) {
		t.Errorf("open: %v", err)
	}
	if err := f.Recover(t.Context()); err != nil {
		t.Errorf("recover: %v", err)
	}
	if all, err := f.List(t.Context()); err != nil || len(all) != 1 || all[0].Status != Creating {
		t.Errorf("list: %+v, %v", all, err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
