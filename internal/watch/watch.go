// Package watch notices changes in a folder of source files and the folders below
// it, dot folders and node_modules excepted.
//
// It says that something changed, not what: whoever asks reads the folder anew.
//
//	var w watch.Watcher
//	err := w.Start("jsvm_hooks", reload, logError)
//	defer w.Stop()
package watch

import (
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing must have changed: editors write a file in steps,
	// and a checkout many files.
	quiet = 100 * time.Millisecond

	// lookAgain is how often a folder is looked for that is gone.
	lookAgain = time.Second
)

// Watcher calls a function after changes in a folder. The zero Watcher is ready
// to start.
type Watcher struct {
	mu   sync.Mutex
	fs   *fsnotify.Watcher
	done chan struct{}
}

// Start begins to watch dir, which must exist. After changes it calls changed, and
// onError with what went wrong with the watching; never both at once. A folder
// that is replaced by another one of the name is watched on. It does nothing if
// it has begun already.
func (w *Watcher) Start(dir string, changed func(), onError func(error)) error {
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
		watch(notifier, dir, changed, onError)
	}(w.done)
	return nil
}

// Stop ends the watching and waits for a call under way. A second Stop is
// harmless, and Start may follow.
func (w *Watcher) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fs == nil {
		return
	}
	_ = w.fs.Close() // ends the loop
	<-w.done
	w.fs = nil
}

func watch(notifier *fsnotify.Watcher, dir string, changed func(), onError func(error)) {
	timer := time.NewTimer(quiet)
	timer.Stop()
	defer timer.Stop()
	gone := false
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
			// Nobody tells of a folder that takes the place of the one that is watched.
			was := gone
			if gone = watchBelow(notifier, dir) != nil; gone {
				timer.Reset(lookAgain)
			}
			if !gone || !was {
				changed()
			}
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
