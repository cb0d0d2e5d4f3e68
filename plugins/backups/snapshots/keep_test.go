package snapshots

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	good := databaseFile(t, "CREATE TABLE _collections (id TEXT)", "CREATE TABLE posts (id TEXT PRIMARY KEY, x TEXT)",
		"INSERT INTO posts WITH n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5000) SELECT hex(randomblob(16)), hex(randomblob(90)) FROM n")
	whole := zipped(t, "data.db", good, "storage/a/b/c.txt", "text")
	flip := func(content []byte, at int) []byte {
		content = slices.Clone(content)
		content[at] ^= 0x55
		return content
	}
	damaged := []byte(good)
	for i := 10 * 4096; i < 14*4096; i++ {
		damaged[i] = 0xaa
	}
	for name, c := range map[string]struct {
		body []byte
		want string // part of the error
	}{
		"nothing":                    {nil, "it is no zip"},
		"no zip":                     {[]byte(strings.Repeat("text", 1000)), "it is no zip"},
		"cut":                        {whole[:len(whole)-100], "it is no zip"},
		"a corrupted byte":           {flip(whole, len(whole)/2), `"data.db" in it is damaged`},
		"no data.db":                 {zipped(t, "auxiliary.db", good), "it has no data.db"},
		"data.db in a folder":        {zipped(t, "pb_data/data.db", good), "it has no data.db"},
		"a name that leaves":         {zipped(t, "data.db", good, "../x", "x"), `"../x" is no name`},
		"an absolute name":           {zipped(t, "data.db", good, "/etc/x", "x"), `"/etc/x" is no name`},
		"a name that goes up inside": {zipped(t, "data.db", good, "a/../b", "x"), "is no name"},
		"a name twice":               {zipped(t, "data.db", good, "data.db", "x"), `"data.db" is in it twice`},
		"a file that is a folder":    {zipped(t, "data.db", good, "storage", "x", "storage/y", "y"), `"storage" is a file and a folder`},
		"no database":                {zipped(t, "data.db", strings.Repeat("text", 5000)), "data.db is no whole database"},
		"an empty database":          {zipped(t, "data.db", ""), "no table _collections"},
		"a damaged database":         {zipped(t, "data.db", string(damaged)), "data.db is"},
		"half a database":            {zipped(t, "data.db", good[:len(good)/2]), "data.db is"},
		"another's database":         {zipped(t, "data.db", databaseFile(t, "CREATE TABLE x (y)")), "no table _collections"},
		"a damaged auxiliary.db":     {zipped(t, "data.db", good, "auxiliary.db", strings.Repeat("text", 5000)), "auxiliary.db is no whole database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			_, err := f.Upload(t.Context(), "up.zip", bytes.NewReader(c.body))
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("upload: %v, want %q", err, c.want)
			}
			f.clean(t)
			if len(f.zips.keys())+len(f.catalog.keys()) > 0 {
				t.Errorf("left %v %v", f.zips.keys(), f.catalog.keys())
			}
			// The same, put into the archive by others.
			if _, err := f.zips.Put(t.Context(), "put.zip", bytes.NewReader(c.body), objectstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			s, err := f.Verify(t.Context(), "put.zip")
			if !errors.Is(err, ErrInvalid) || s.Status != Failed || !strings.Contains(s.Error, c.want) {
				t.Errorf("verify: %+v, %v", s, err)
			}
			into := filepath.Join(t.TempDir(), "into")
			if err := f.Extract(t.Context(), "put.zip", into); !errors.Is(err, ErrInvalid) {
				t.Errorf("extract: %v", err)
			}
			if _, err := os.Stat(into); !os.IsNotExist(err) {
				t.Errorf("extract left %v", err)
			}
			// It is not this vault's to delete.
			if err := f.Recover(t.Context()); err != nil || len(f.zips.keys()) != 1 {
				t.Errorf("recover: %v, zips %v", err, f.zips.keys())
			}
			f.clean(t)
		})
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := zipped(t, "data.db", databaseFile(t, "CREATE TABLE _collections (id TEXT)"), "storage/a/b/c.txt", "text", "pb_hooks/", "")
	s, err := f.Upload(t.Context(), "up.zip", bytes.NewReader(body))
	if err != nil || s.Status != OK || s.Kind != Uploaded || s.Verified == nil || s.SHA256 != sumOf(body) || s.Files != 1 || s.FileBytes != 4 {
		t.Fatalf("%+v, %v", s, err)
	}
	if got, err := f.Get(t.Context(), "up.zip"); err != nil || !sameJSON(got, s) {
		t.Errorf("got %+v, %v, want %+v", got, err, s)
	}
	if _, err := f.Upload(t.Context(), "up.zip", bytes.NewReader(body)); !errors.Is(err, ErrExists) {
		t.Errorf("again: %v", err)
	}
	if _, err := f.Upload(t.Context(), "../up.zip", bytes.NewReader(body)); !errors.Is(err, ErrName) {
		t.Errorf("bad name: %v", err)
	}
	f.zips.onCall(failing("put", errors.New("away")))
	if _, err := f.Upload(t.Context(), "two.zip", bytes.NewReader(body)); err == nil {
		t.Error("uploaded to a store that is away")
	}
	if _, err := f.Upload(t.Context(), "three.zip", io.MultiReader(bytes.NewReader(body), broken{})); err == nil {
		t.Error("uploaded half a body")
	}
	f.clean(t)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Bit rot shows when a snapshot is verified, and the snapshot stays, for whoever
// wants to rescue something.
func TestVerify(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	if _, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{Name: "x.zip"}); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Hour)
	s, err := f.Verify(t.Context(), "x.zip")
	if err != nil || !s.Verified.Equal(f.now) {
		t.Fatalf("%+v, %v", s, err)
	}

	f.zips.onCall(failing("get", errors.New("away")))
	if _, err := f.Verify(t.Context(), "x.zip"); err == nil || errors.Is(err, ErrInvalid) {
		t.Errorf("with the store away: %v", err)
	}
	f.zips.onCall(nil)
	if got, _ := f.Get(t.Context(), "x.zip"); got.Status != OK {
		t.Errorf("a store that is away made it %+v", got)
	}

	f.zips.change(t, "x.zip", func(content []byte) []byte { content[100] ^= 1; return content })
	s, err = f.Verify(t.Context(), "x.zip")
	if !errors.Is(err, ErrInvalid) || s.Status != Failed || s.Error != "not a usable backup: its content changed (SHA-256)" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := f.Extract(t.Context(), "x.zip", filepath.Join(t.TempDir(), "x")); !errors.Is(err, ErrInvalid) {
		t.Errorf("extract: %v", err)
	}
	if err := f.Recover(t.Context()); err != nil || len(f.zips.keys()) != 1 {
		t.Errorf("recover: %v, %v", err, f.zips.keys())
	}
	f.zips.change(t, "x.zip", func(content []byte) []byte { content[100] ^= 1; return content })
	if s, err = f.Verify(t.Context(), "x.zip"); err != nil || s.Status != OK || s.Error != "" {
		t.Errorf("mended: %+v, %v", s, err)
	}

	f.zips.change(t, "x.zip", func(content []byte) []byte { return content[:50] })
	if got, _ := f.Get(t.Context(), "x.zip"); got.Status != Failed || got.Error != "the zip was changed" {
		t.Errorf("cut: %+v", got)
	}
	if err := f.zips.Delete(t.Context(), "x.zip"); err != nil {
		t.Fatal(err)
	}
	if got, _ := f.Get(t.Context(), "x.zip"); got.Status != Failed || got.Error != "the zip is gone" {
		t.Errorf("gone: %+v", got)
	}
	if _, err := f.Verify(t.Context(), "x.zip"); !errors.Is(err, ErrNotFound) {
		t.Errorf("verify gone: %v", err)
	}
	f.clean(t)
}

// A store that breaks off is not a zip that is damaged.
func TestStoreBreaksOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	file := &ranged{ctx: t.Context(), store: breaking{f.zips}, key: "x", size: 10}
	if _, err := f.zips.Put(t.Context(), "x", strings.NewReader("0123456789"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := file.ReadAt(make([]byte, 8), 0); err == nil || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

type breaking struct{ objectstore.Store }

func (s breaking) Get(ctx context.Context, key string, offset, _ int64) (io.ReadCloser, error) {
	return s.Store.Get(ctx, key, offset, 5)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	if _, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{Name: "x.zip"}); err != nil {
		t.Fatal(err)
	}
	whole := f.zips.objects["x.zip"].content
	for _, c := range []struct{ offset, length int64 }{{0, -1}, {100, 50}, {int64(len(whole)) - 10, 100}} {
		body, s, err := f.Open(t.Context(), "x.zip", c.offset, c.length)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Delete(t.Context(), "x.zip"); !errors.Is(err, ErrBusy) {
			t.Errorf("delete: %v", err)
		}
		got, err := io.ReadAll(body)
		end := int64(len(whole))
		if c.length >= 0 {
			end = min(end, c.offset+c.length)
		}
		if err != nil || !bytes.Equal(got, whole[c.offset:end]) || s.Size != int64(len(whole)) {
			t.Errorf("%+v: %d bytes, %v", c, len(got), err)
		}
		_, _ = body.Close(), body.Close()
	}
	for _, id := range []string{"y.zip", "../x.zip", "x", ""} {
		if _, _, err := f.Open(t.Context(), id, 0, -1); !errors.Is(err, ErrNotFound) {
			t.Errorf("open %q: %v", id, err)
		}
		if _, err := f.Get(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("get %q: %v", id, err)
		}
		if err := f.Delete(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("delete %q: %v", id, err)
		}
	}
	if err := f.Delete(t.Context(), "x.zip"); err != nil || len(f.zips.keys())+len(f.catalog.keys()) > 0 || len(f.uses) > 0 {
		t.Errorf("delete: %v, left %v %v, uses %v", err, f.zips.keys(), f.catalog.keys(), f.uses)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	snapshot := func(id string, kind Kind, status Status, days int, verified bool) Snapshot {
		s := Snapshot{ID: id, Kind: kind, Status: status, Created: now.AddDate(0, 0, -days)}
		if verified {
			s.Verified = &now
		}
		return s
	}
	all := []Snapshot{
		snapshot("making", Scheduled, Creating, 0, false),
		snapshot("broken", Scheduled, Failed, 1, false),
		snapshot("s1", Scheduled, OK, 2, true),
		snapshot("manual", Manual, OK, 3, true),
		snapshot("before", BeforeRestore, OK, 4, true),
		snapshot("@auto_pb_backup_stock", Uploaded, OK, 5, false),
		snapshot("s2", Scheduled, OK, 6, true),
		snapshot("old before", BeforeRestore, OK, 20, true),
		snapshot("old broken", Scheduled, Failed, 21, false),
		snapshot("old manual", Manual, OK, 22, true),
		snapshot("old up", Uploaded, OK, 23, true),
		snapshot("s3", Scheduled, OK, 24, true),
	}
	day := 24 * time.Hour
	for _, c := range []struct {
		all    []Snapshot
		keep   int
		maxAge time.Duration
		want   []string
	}{
		{all, 0, 0, nil},
		{all, 2, 0, []string{"s2", "s3"}},
		{all, 1, 0, []string{"@auto_pb_backup_stock", "s2", "s3"}},
		{all, 0, 10 * day, []string{"old before", "old broken", "s3"}},
		{all, 0, time.Hour, []string{"broken", "before", "@auto_pb_backup_stock", "s2", "old before", "old broken", "s3"}},
		{all, 3, 21*day + time.Hour, []string{"s3"}},
		{all[11:], 1, time.Hour, nil},
		{all[5:6], 0, time.Hour, []string{"@auto_pb_backup_stock"}},
		{nil, 1, day, nil},
	} {
		if got := prunable(c.all, c.keep, c.maxAge, now); !reflect.DeepEqual(got, c.want) {
			t.Errorf("keep %d, %s: %v, want %v", c.keep, c.maxAge, got, c.want)
		}
	}

	f := newFixture(t)
	dir, _ := newProject(t)
	var made []string
	for range 3 {
		f.now = f.now.Add(time.Hour)
		s, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{Kind: Scheduled})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, s.ID)
	}
	body, _, err := f.Open(t.Context(), made[0], 0, 1) // in use: it stays
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Prune(t.Context(), 1, 0); err != nil || !slices.Equal(got, []string{made[1]}) {
		t.Errorf("pruned %v, %v", got, err)
	}
	_ = body.Close()
	if got, err := f.Prune(t.Context(), 1, 0); err != nil || !slices.Equal(got, []string{made[0]}) {
		t.Errorf("pruned %v, %v", got, err)
	}
}

// A process that is killed leaves a name, perhaps a zip, and temporary files.
func TestRecover(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, _ := newProject(t)
	good, err := f.Create(t.Context(), Source{Dir: dir}, CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	killed := f.another(t)
	for _, name := range []string{"a.zip", "b.zip"} {
		if _, _, _, err := killed.reserve(t.Context(), CreateOptions{Name: name, Kind: Manual}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.zips.Put(t.Context(), "b.zip", strings.NewReader("half"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := killed.scratch(); err != nil {
		t.Fatal(err)
	}
	own, err := f.Vault.scratch()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(own); err != nil {
		t.Errorf("recovery took this process's own: %v", err)
	}
	_ = os.Remove(own)
	f.clean(t)
	if keys := f.zips.keys(); !slices.Equal(keys, []string{good.ID}) {
		t.Errorf("zips %v", keys)
	}
	for _, name := range []string{"a.zip", "b.zip"} {
		if got, err := f.Get(t.Context(), name); err != nil || got.Status != Failed || got.Error != "the server stopped before it was done" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := f.Get(t.Context(), good.ID); err != nil || got.Status != OK {
		t.Errorf("%+v, %v", got, err)
	}
}
