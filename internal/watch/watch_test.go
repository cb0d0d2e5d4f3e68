package watch

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func write(t *testing.T, at string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(time.Now().String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatcher(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "hooks")
	var w Watcher
	changes := make(chan struct{}, 100)
	var running atomic.Int32
	changed := func() {
		if running.Add(1) > 1 {
			t.Error("two calls at once")
		}
		running.Add(-1)
		changes <- struct{}{}
	}
	onError := func(err error) { t.Error(err) }
	if err := w.Start(dir, changed, onError); err == nil {
		t.Fatal("a folder that is not there is watched")
	}
	write(t, filepath.Join(dir, "a.pb.js"))
	start := func() {
		t.Helper()
		for range 2 { // the second does nothing
			if err := w.Start(dir, changed, onError); err != nil {
				t.Fatal(err)
			}
		}
	}
	noticed := func(what string, change func()) {
		t.Helper()
		for len(changes) > 0 {
			<-changes
		}
		change()
		select {
		case <-changes:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not noticed", what)
		}
	}
	start()
	defer w.Stop()
	noticed("a change", func() { write(t, filepath.Join(dir, "a.pb.js")) })
	noticed("a new folder", func() { write(t, filepath.Join(dir, "lib", "deep", "b.js")) })
	noticed("a change in a new folder", func() { write(t, filepath.Join(dir, "lib", "deep", "b.js")) })
	noticed("a removed file", func() { _ = os.Remove(filepath.Join(dir, "a.pb.js")) })
	noticed("the end of the folder", func() { _ = os.RemoveAll(dir) })
	noticed("another folder in its place", func() { write(t, filepath.Join(dir, "a.pb.js")) })
	noticed("a change in that", func() { write(t, filepath.Join(dir, "a.pb.js")) })
	w.Stop()
	w.Stop()
	start()
	noticed("a change after a second start", func() { write(t, filepath.Join(dir, "a.pb.js")) })
}
