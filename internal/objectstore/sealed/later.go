package sealed

import (
	"context"
	"io"
	"iter"
	"sync"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/secret"
)

// OpenLater returns inner as Open does, but asks it for its marker only when it
// is first used: most commands never use it, and it may be away. A use whose
// Open fails returns that error, and the next one tries again.
func OpenLater(inner objectstore.Store, identity secret.String) objectstore.Store {
	return &later{inner: inner, identity: identity}
}

type later struct {
	inner    objectstore.Store
	identity secret.String

	mu     sync.Mutex
	opened objectstore.Store
}

func (l *later) open(ctx context.Context) (objectstore.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened != nil {
		return l.opened, nil
	}
	opened, err := Open(ctx, l.inner, l.identity)
	if err == nil {
		l.opened = opened
	}
	return opened, err
}

// Put implements [objectstore.Store].
func (l *later) Put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	store, err := l.open(ctx)
	if err != nil {
		return objectstore.Info{}, err
	}
	return store.Put(ctx, key, body, opts)
}

// Get implements [objectstore.Store].
func (l *later) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	store, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return store.Get(ctx, key, offset, length)
}

// Stat implements [objectstore.Store].
func (l *later) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	store, err := l.open(ctx)
	if err != nil {
		return objectstore.Info{}, err
	}
	return store.Stat(ctx, key)
}

// List implements [objectstore.Store].
func (l *later) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		store, err := l.open(ctx)
		if err != nil {
			yield(objectstore.Info{}, err)
			return
		}
		store.List(ctx, prefix, after)(yield)
	}
}

// Delete implements [objectstore.Store].
func (l *later) Delete(ctx context.Context, keys ...string) error {
	store, err := l.open(ctx)
	if err != nil {
		return err
	}
	return store.Delete(ctx, keys...)
}
