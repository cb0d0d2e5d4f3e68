package snapshots_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/picobase/picobase/plugins/backups/snapshots"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/archive"
	"github.com/pocketbase/pocketbase/tools/filesystem"
)

// stock opens a data folder with PocketBase itself.
func stock(t *testing.T, dir string) core.App {
	t.Helper()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	if err := app.RunAllMigrations(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.ResetBootstrapState() })
	return app
}

// stockProject has a record with a file.
func stockProject(t *testing.T) (core.App, *core.Record) {
	t.Helper()
	app := stock(t, filepath.Join(t.TempDir(), "pb_data"))
	collection := core.NewBaseCollection("posts")
	collection.Fields.Add(&core.TextField{Name: "title"}, &core.FileField{Name: "photo", MaxSize: 1 << 20})
	if err := app.Save(collection); err != nil {
		t.Fatal(err)
	}
	photo, err := filesystem.NewFileFromBytes([]byte("pixels"), "photo.jpg")
	if err != nil {
		t.Fatal(err)
	}
	record := core.NewRecord(collection)
	record.Set("title", "hello")
	record.Set("photo", photo)
	if err := app.Save(record); err != nil {
		t.Fatal(err)
	}
	return app, record
}

func holds(t *testing.T, dir string, want *core.Record) {
	t.Helper()
	app := stock(t, dir)
	got, err := app.FindRecordById("posts", want.Id)
	if err != nil || got.GetString("title") != "hello" {
		t.Fatalf("the record is %v, %v", got, err)
	}
	files, err := app.NewFilesystem()
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	attributes, err := files.Attributes(got.BaseFilesPath() + "/" + got.GetString("photo"))
	if err != nil || attributes.Size != 6 || attributes.Metadata["original-filename"] != "photo.jpg" {
		t.Errorf("the file is %+v, %v", attributes, err)
	}
}

// What is made here of a running PocketBase opens in PocketBase, extracted by
// either side.
func TestOpensInPocketBase(t *testing.T) {
	t.Parallel()
	app, record := stockProject(t)
	vault, content := snapshots.NewTestVault(t)
	made, err := vault.Create(t.Context(), snapshots.Source{Dir: app.DataDir()}, snapshots.CreateOptions{App: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if made.Database.Rows["posts"] != 1 || made.Files != 1 {
		t.Errorf("made %+v, %+v", made, made.Database)
	}
	ours, theirs := filepath.Join(t.TempDir(), "ours"), filepath.Join(t.TempDir(), "theirs")
	if err := vault.Extract(t.Context(), made.ID, ours); err != nil {
		t.Fatal(err)
	}
	zip := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(zip, content(made.ID), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := archive.Extract(zip, theirs); err != nil {
		t.Fatal(err)
	}
	holds(t, ours, record)
	holds(t, theirs, record)
}

// A backup that PocketBase made, or a zip of a folder in use with its WAL, is
// taken in.
func TestTakesPocketBaseZips(t *testing.T) {
	t.Parallel()
	app, record := stockProject(t)
	if err := app.CreateBackup(context.Background(), "stock.zip"); err != nil {
		t.Fatal(err)
	}
	raw := filepath.Join(t.TempDir(), "raw.zip")
	if err := archive.Create(app.DataDir(), raw, "backups", ".pb_temp_to_delete"); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"stock.zip": filepath.Join(app.DataDir(), "backups", "stock.zip"), "raw.zip": raw} {
		vault, _ := snapshots.NewTestVault(t)
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		s, err := vault.Upload(t.Context(), name, file)
		if err != nil || s.Database.Rows["posts"] != 1 || s.Files != 1 {
			t.Fatalf("%s: %+v, %v", name, s, err)
		}
		into := filepath.Join(t.TempDir(), "into")
		if err := vault.Extract(t.Context(), name, into); err != nil {
			t.Fatal(err)
		}
		holds(t, into, record)
	}
}
