package snapshots

import (
	"os"
	"path/filepath"
	"testing"
)

// A folder that a killed server left: the newest writes are in the WAL alone.
func TestCreateOfAbandonedFolder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	live, data := newProject(t)
	exec(t, data, "PRAGMA wal_autocheckpoint = 0", "INSERT INTO posts VALUES ('c', 'three')")
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
	t.Log(names(t, dir))
}
