package certs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/picobase/picobase/internal/objectstore"
)

const (
	lockPrefix = "locks/"

	// refresh is how often the holder of a lock writes it again. One that was not
	// written for stale, by the clock of who waits, belongs to a process that is gone.
	refresh = 5 * time.Second
	stale   = 20 * time.Second
	retry   = 500 * time.Millisecond
)

// storage is certmagic's storage in an object store.
type storage struct {
	store  objectstore.Store
	logger *slog.Logger
	locks  sync.Map // name → *held
}

var _ certmagic.Storage = (*storage)(nil)

// Store implements [certmagic.Storage].
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	_, err := s.store.Put(ctx, key, bytes.NewReader(value), objectstore.PutOptions{})
	return err
}

// Load implements [certmagic.Storage].
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := objectstore.ReadAll(ctx, s.store, key)
	return value, notExist(err)
}

func notExist(err error) error {
	if errors.Is(err, objectstore.ErrNotFound) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// Delete implements [certmagic.Storage].
func (s *storage) Delete(ctx context.Context, key string) error {
	keys := []string{key}
	for info, err := range s.store.List(ctx, key+"/", "") {
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
	}
	return s.store.Delete(ctx, keys...)
}

// Exists implements [certmagic.Storage].
func (s *storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements [certmagic.Storage].
func (s *storage) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	prefix := ""
	if path != "" {
		prefix = path + "/"
	}
	var keys []string
	for info, err := range s.store.List(ctx, prefix, "") {
		if err != nil {
			return nil, err
		}
		key := info.Key
		if !recursive {
			child, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
			key = prefix + child
			if len(keys) > 0 && keys[len(keys)-1] == key {
				continue
			}
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, fmt.Errorf("%w: nothing below %s", fs.ErrNotExist, path)
	}
	return keys, nil
}

// Stat implements [certmagic.Storage].
func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	info, err := s.store.Stat(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: info.Modified, Size: info.Size, IsTerminal: true}, nil
	}
	if !errors.Is(err, objectstore.ErrNotFound) {
		return certmagic.KeyInfo{}, err
	}
	for _, listErr := range s.store.List(ctx, key+"/", "") {
		if listErr != nil {
			return certmagic.KeyInfo{}, listErr
		}
		return certmagic.KeyInfo{Key: key}, nil
	}
	return certmagic.KeyInfo{}, notExist(err)
}

// held is a lock of this process.
type held struct {
	key, etag string
	cancel    context.CancelFunc
	done      chan struct{}
}

func lockKey(name string) string { return lockPrefix + certmagic.StorageKeys.Safe(name) }

// Lock implements [certmagic.Locker].
func (s *storage) Lock(ctx context.Context, name string) error {
	key, seen, since := lockKey(name), "", time.Now()
	for {
		etag, err := s.tryLock(ctx, key, seen, time.Since(since) > stale)
		switch {
		case err != nil:
			return fmt.Errorf("lock %s: %w", name, err)
		case etag.ours:
			s.hold(ctx, name, key, etag.value)
			return nil
		case etag.value != seen:
			seen, since = etag.value, time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retry):
		}
	}
}

// lockTag is the ETag of a lock's object, and whether we have written it.
type lockTag struct {
	value string
	ours  bool
}

// tryLock takes a lock that is free, or whose holder, last seen with that ETag, is gone.
func (s *storage) tryLock(ctx context.Context, key, seen string, holderGone bool) (lockTag, error) {
	opts := objectstore.PutOptions{IfAbsent: true}
	if seen != "" && holderGone {
		opts = objectstore.PutOptions{IfMatch: seen}
	}
	info, err := s.store.Put(ctx, key, strings.NewReader(rand.Text()), opts)
	if err == nil {
		return lockTag{info.ETag, true}, nil
	}
	if !errors.Is(err, objectstore.ErrChanged) {
		return lockTag{}, err
	}
	info, err = s.store.Stat(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return lockTag{}, nil // free again
	}
	return lockTag{info.ETag, false}, err
}

// hold writes the lock again and again, until Unlock.
func (s *storage) hold(ctx context.Context, name, key, etag string) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	lock := &held{key: key, etag: etag, cancel: cancel, done: make(chan struct{})}
	s.locks.Store(name, lock)
	go func() {
		defer close(lock.done)
		ticker := time.NewTicker(refresh)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			info, err := s.store.Put(ctx, key, strings.NewReader(rand.Text()), objectstore.PutOptions{IfMatch: lock.etag})
			switch {
			case err == nil:
				lock.etag = info.ETag
			case ctx.Err() != nil:
			case errors.Is(err, objectstore.ErrChanged):
				s.logger.Warn("a lock for a certificate was taken over", "lock", name)
				return
			default:
				s.logger.Warn("a lock for a certificate was not kept", "lock", name, "error", err)
			}
		}
	}()
}

// Unlock implements [certmagic.Locker].
func (s *storage) Unlock(ctx context.Context, name string) error {
	value, ok := s.locks.LoadAndDelete(name)
	lock, isLock := value.(*held)
	if !ok || !isLock {
		return fmt.Errorf("unlock %s: it is not locked", name)
	}
	lock.cancel()
	<-lock.done
	// A write that was cut short may have happened, so it is no sign of another's.
	info, err := s.store.Stat(ctx, lock.key)
	if errors.Is(err, objectstore.ErrNotFound) || err == nil && info.ETag != lock.etag {
		return nil // theirs now, or gone stale soon
	}
	if err != nil {
		return err
	}
	return s.store.Delete(ctx, lock.key)
}
