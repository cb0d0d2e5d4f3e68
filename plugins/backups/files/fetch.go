package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

var errStopped = errors.New("stopped")

// flight is the downloads under way, one for each file whoever asks for it.
type flight struct {
	slots chan struct{}
	mu    sync.Mutex
	calls map[string]*call
}

type call struct {
	done chan struct{}
	err  error // once done
}

func (f *flight) init(concurrency int) {
	f.slots = make(chan struct{}, concurrency)
	f.calls = map[string]*call{}
}

// fetch brings a file that a record names into the local folder, or waits for
// somebody else's fetch of it. It goes on when ctx ends: others may wait too.
func (p *Plugin) fetch(ctx context.Context, key string) error {
	f := &p.fetches
	f.mu.Lock()
	c := f.calls[key]
	if c == nil {
		c = &call{done: make(chan struct{})}
		started := p.spawn(func(ctx context.Context) {
			c.err = safely(func() error { return p.fetchNow(ctx, key) })
			f.mu.Lock()
			delete(f.calls, key)
			f.mu.Unlock()
			close(c.done)
		})
		if !started {
			f.mu.Unlock()
			return errStopped
		}
		f.calls[key] = c
	}
	f.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Plugin) fetchNow(ctx context.Context, key string) error {
	select {
	case p.fetches.slots <- struct{}{}:
		defer func() { <-p.fetches.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.isLocal(key) { // a fetch ended just before this one
		return nil
	}
	if err := p.download(ctx, key); err != nil {
		return fmt.Errorf("fetch %q: %w", key, err)
	}
	p.mu.Lock()
	p.missing = max(p.missing-1, 0)
	p.mu.Unlock()
	return nil
}

func (p *Plugin) download(ctx context.Context, key string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hurry := time.AfterFunc(p.patience, cancel)
	defer hurry.Stop()

	info, err := p.cfg.Store.Stat(ctx, key)
	if err != nil {
		return err
	}
	hurry.Reset(p.patience + time.Duration(info.Size)*time.Second/slowestRate)

	dir := filepath.Dir(p.path(key))
	if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // as PocketBase does
		return err
	}
	attrs, err := p.downloadTemp(ctx, key+attrsExt, info.Modified)
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		return err
	}
	file, err := p.downloadTemp(ctx, key, info.Modified)
	defer func() {
		_, _ = os.Remove(attrs), os.Remove(file) // what has not been renamed
	}()
	if err != nil {
		return err
	}

	switch named, err := p.isNamed(ctx, key); {
	case err != nil:
		return err
	case !named: // the record was deleted meanwhile, and its folder
		return objectstore.ErrNotFound
	}
	// The sidecar goes first: a file that is there has its content type.
	if attrs != "" {
		if err := os.Rename(attrs, p.path(key+attrsExt)); err != nil {
			return err
		}
	}
	return os.Rename(file, p.path(key))
}

// downloadTemp copies an object to a file of another name beside where it
// belongs, which the caller removes.
func (p *Plugin) downloadTemp(ctx context.Context, key string, modified time.Time) (name string, err error) {
	content, err := p.cfg.Store.Get(ctx, key, 0, -1)
	if err != nil {
		return "", err
	}
	defer content.Close()
	name = filepath.Join(filepath.Dir(p.path(key)), tempPrefix+strconv.FormatUint(rand.Uint64(), 36))
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666) //nolint:gosec // as PocketBase does
	if err != nil {
		return "", err
	}
	_, err = io.Copy(file, content)
	if err == nil {
		// A file that a crash cut short would be taken for the real one for ever.
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil && !modified.IsZero() {
		err = os.Chtimes(name, time.Time{}, modified) // for Last-Modified
	}
	if err != nil {
		_ = os.Remove(name)
		return "", err
	}
	return name, nil
}
