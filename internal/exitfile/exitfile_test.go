package exitfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	Write("", 1) // nobody asked
	path := filepath.Join(t.TempDir(), "exit")
	if _, ok := Read(path); ok {
		t.Error("read a file that is not there")
	}
	for _, code := range []int{0, 1, 255} {
		Write(path, code)
		if got, ok := Read(path); !ok || got != code {
			t.Errorf("read %d %t, want %d", got, ok, code)
		}
	}
	for _, content := range []string{"", "0", "x\n", "-1\n", "256\n"} { // 0 without its end was cut off
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := Read(path); ok {
			t.Errorf("%q was read as %d", content, got)
		}
	}
}

// The folder is a tenant's, and the reader may be root.
func TestReadTouchesNothingButAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret, link, pipe, long := filepath.Join(dir, "secret"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe"), filepath.Join(dir, "long")
	Write(secret, 7)
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(long, []byte(strings.Repeat("0", 1<<20)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, pipe, long, dir} {
		read := make(chan bool, 1)
		go func() {
			_, ok := Read(path)
			read <- ok
		}()
		select {
		case ok := <-read:
			if ok {
				t.Errorf("%s was read as a code", filepath.Base(path))
			}
		case <-time.After(5 * time.Second):
			t.Errorf("reading %s does not end", filepath.Base(path))
		}
	}
}
