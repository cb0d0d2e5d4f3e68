package certs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/objectstore/s3"
	"github.com/picobase/picobase/internal/objectstore/s3test"
	"github.com/picobase/picobase/internal/secret"
)

// bucketOf returns a store in a bucket that is new.
func bucketOf(t *testing.T, server *s3test.Server) objectstore.Store {
	t.Helper()
	store, err := s3.New(s3.Config{Endpoint: server.Endpoint, Region: s3test.Region, Bucket: server.Bucket(t), AccessKeyID: secret.New(server.AccessKey), SecretAccessKey: secret.New(server.SecretKey)})
	if err != nil {
		t.Fatal(err)
	}
	return objectstore.Prefix(store, "certs/")
}

func TestStorage(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) objectstore.Store{
		"dir": func(t *testing.T) objectstore.Store { return dir.New(t.TempDir()) },
		"s3":  func(t *testing.T) objectstore.Store { return bucketOf(t, s3test.Start(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			newStorage := func() *storage { return &storage{store: store, logger: slog.New(slog.DiscardHandler)} }
			testKeys(t, newStorage())
			testLocks(t, newStorage(), newStorage())
		})
	}
}

func testKeys(t *testing.T, s *storage) {
	ctx := context.Background()
	if _, err := s.Load(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := s.Stat(ctx, "a"); !errors.Is(err, fs.ErrNotExist) || s.Exists(ctx, "a") {
		t.Errorf("%v", err)
	}
	if _, err := s.List(ctx, "a", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := s.Delete(ctx, "a/b"); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"a/b/1", "a/b/2", "a/c", "ab/d"} {
		for _, value := range []string{"old", "value of " + key} {
			if err := s.Store(ctx, key, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if value, err := s.Load(ctx, "a/b/1"); err != nil || string(value) != "value of a/b/1" {
		t.Errorf("%q %v", value, err)
	}
	if info, err := s.Stat(ctx, "a/c"); err != nil || !info.IsTerminal || info.Size != 12 || time.Since(info.Modified) > time.Minute {
		t.Errorf("%+v %v", info, err)
	}
	if info, err := s.Stat(ctx, "a/b"); err != nil || info.IsTerminal {
		t.Errorf("%+v %v", info, err)
	}
	for _, c := range []struct {
		path      string
		recursive bool
		want      []string
	}{
		{"a", false, []string{"a/b", "a/c"}}, {"a", true, []string{"a/b/1", "a/b/2", "a/c"}}, {"", false, []string{"a", "ab"}},
	} {
		if keys, err := s.List(ctx, c.path, c.recursive); err != nil || !slices.Equal(keys, c.want) {
			t.Errorf("%q: %v %v", c.path, keys, err)
		}
	}
	if err := s.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	if s.Exists(ctx, "a/b/1") || s.Exists(ctx, "a") || !s.Exists(ctx, "ab/d") {
		t.Error("the wrong keys are gone")
	}
}

// testLocks lets two processes work under one lock.
func testLocks(t *testing.T, one, two *storage) {
	ctx := context.Background()
	var inside, total atomic.Int64
	var all sync.WaitGroup
	for i := range 4 {
		s := []*storage{one, two}[i%2]
		all.Go(func() {
			if err := s.Lock(ctx, "issue example.com"); err != nil {
				t.Error(err)
				return
			}
			if inside.Add(1) != 1 {
				t.Error("two hold one lock")
			}
			total.Add(1)
			inside.Add(-1)
			if err := s.Unlock(ctx, "issue example.com"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if total.Load() != 4 {
		t.Errorf("%d of 4 got the lock", total.Load())
	}
	if err := one.Unlock(ctx, "never locked"); err == nil {
		t.Error("unlocked what was not locked")
	}
	if err := one.Lock(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := two.Lock(short, "other"); err == nil {
		t.Error("locked twice")
	}
	if err := one.Unlock(ctx, "other"); err != nil {
		t.Error(err)
	}
	// Nothing is left behind.
	if keys, err := one.List(ctx, "locks", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v %v", keys, err)
	}
}

// A process that was killed leaves its lock behind; one that lives keeps it.
func TestStaleLock(t *testing.T) {
	t.Parallel()
	store := dir.New(t.TempDir())
	s := &storage{store: store, logger: slog.New(slog.DiscardHandler)}
	ctx := context.Background()
	left, err := s.tryLock(ctx, lockKey("a"), "", false)
	if err != nil || !left.ours {
		t.Fatal(left, err)
	}
	seen, err := s.tryLock(ctx, lockKey("a"), "", false)
	if err != nil || seen.ours || seen.value != left.value {
		t.Fatal(seen, err)
	}
	if again, err := s.tryLock(ctx, lockKey("a"), seen.value, false); err != nil || again.ours {
		t.Error("taken while it may be held", again, err)
	}
	if again, err := s.tryLock(ctx, lockKey("a"), "other", true); err != nil || again.ours {
		t.Error("taken though it was written again", again, err)
	}
	taken, err := s.tryLock(ctx, lockKey("a"), seen.value, true)
	if err != nil || !taken.ours || taken.value == seen.value {
		t.Error(fmt.Sprint("not taken from one that is gone: ", taken, err))
	}
}
