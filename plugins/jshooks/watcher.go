package jshooks

import (
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long nothing must have changed: editors write a file in steps, and
// a checkout many files.
const quiet = 100 * time.Millisecond

// watcher calls a function after changes in a folder and the folders below it.
type watcher struct {
	mu   sync.Mutex
	fs   *fsnotify.Watcher
	done chan struct{}
}

// start begins to watch. It does nothing if that has begun already.
func (w *watcher) start(dir string, changed func(), onError func(error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fs != nil {
		return nil
	}
	notifier, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	if err := watchBelow(notifier, dir); err != nil {
		_ = notifier.Close() // err says why
		return err
	}
	w.fs, w.done = notifier, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		watch(notifier, changed, onError)
	}(w.done)
	return nil
}

// stop ends the watching and waits for a call under way.
func (w *watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fs == nil {
		return
	}
	_ = w.fs.Close() // ends the loop
	<-w.done
	w.fs = nil
}

func watch(notifier *fsnotify.Watcher, changed func(), onError func(error)) {
	timer := time.NewTimer(quiet)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case event, open := <-notifier.Events:
			if !open {
				return
			}
			if event.Has(fsnotify.Create) {
				// A new folder; of anything else there is nothing to add. One that is
				// gone already needs no watching.
				_ = watchBelow(notifier, event.Name)
			}
			if !event.Has(fsnotify.Chmod) {
				timer.Reset(quiet)
			}
		case err, open := <-notifier.Errors:
			if !open {
				return
			}
			onError(err)
		case <-timer.C:
			changed()
		}
	}
}

func watchBelow(notifier *fsnotify.Watcher, dir string) error {
	return filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name := entry.Name(); at != dir && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return fs.SkipDir
		}
		return notifier.Add(at)
	})
}
