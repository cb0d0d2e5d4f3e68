//go:build linux

package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The source's user may put a pipe in the place of a file after it was listed.
func TestABranchWaitsForNoPipe(t *testing.T) {
	t.Parallel()
	source, target := t.TempDir(), t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(source, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	from, err := os.OpenRoot(source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenRoot(target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = to.Close() }()
	copied := make(chan error, 1)
	go func() { copied <- copyFile(from, to, "pipe") }()
	select {
	case err := <-copied:
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want as if it were gone", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits for ever")
	}
}
