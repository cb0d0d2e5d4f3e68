package tenant

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNewFolderIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	tenant, err := New(Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := tenant.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	defer tenant.Close()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o700 {
		t.Errorf("the folder has the mode %o, want 700", mode)
	}
}
