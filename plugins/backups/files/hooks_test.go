package files

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"
	"github.com/pocketbase/pocketbase/tools/hook"
)

func TestSavedFilesAreStored(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", picture(), "many", []*filesystem.File{text("a"), text("b")}))
	created := s.keys(record)
	if len(created) != 3 {
		t.Fatalf("%d files", len(created))
	}
	s.wantStored(created...)

	record.Set("many+", text("c"))
	record.Set("one", picture()) // replaces
	s.save(record)
	s.wantStored(s.keys(record)...)
	s.wantStored(created...) // also the replaced one
	if s.isLocal(created[0]) {
		t.Error("PocketBase kept the replaced file")
	}
	if n := s.store.count("put "); n != 2*5 {
		t.Errorf("%d puts, want one for each file and sidecar", n)
	}

	s.store.forgetCalls()
	record.Set("title", "no new file")
	s.save(record)
	if n := s.store.count(""); n != 0 {
		t.Errorf("%d calls for a save without new files", n)
	}

	all := s.keys(record)
	if err := s.app.Delete(record); err != nil {
		t.Fatal(err)
	}
	eventually(t, "PocketBase's deletion", func() bool { return !s.isLocal(all[0]) })
	s.wantStored(all...)
}

func TestRequestFindsFileStored(t *testing.T) {
	s := newTenant(t)
	stored := 0
	s.app.OnRecordCreateRequest("pics").BindFunc(func(e *core.RecordRequestEvent) error {
		if err := e.Next(); err != nil {
			return err
		}
		stored = s.store.count("put ") // before the client can read anything of the answer
		return nil
	})
	if got := s.post("one", "hello", "many", "a", "many", "b"); got.status != 200 {
		t.Fatalf("status %d %s", got.status, got.body)
	}
	if stored != 6 {
		t.Errorf("%d objects when answered, want 6", stored)
	}
	if n := s.store.count("put "); n != 6 {
		t.Errorf("%d puts", n)
	}
}

func TestTransaction(t *testing.T) {
	s := newTenant(t)
	records := []*core.Record{}
	saveAll := func(result error) error {
		return s.app.RunInTransaction(func(tx core.App) error {
			for range 8 {
				record := s.record("one", text("in a transaction"))
				if err := tx.Save(record); err != nil {
					return err
				}
				records = append(records, record)
			}
			if n := s.store.count("put "); n != 0 {
				t.Errorf("%d uploads while the transaction is open", n)
			}
			return result
		})
	}

	if err := saveAll(errors.New("roll back")); err == nil {
		t.Fatal("no roll back")
	}
	if n, pending := s.store.count(""), s.Status().Pending; n != 0 || pending != 0 {
		t.Errorf("after a roll back %d calls and %d pending", n, pending)
	}

	// The files of a transaction go up together: each waits here for three more.
	var running, most atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	s.store.setFault(func(ctx context.Context, method, key string) error {
		if method != "put" || strings.HasSuffix(key, attrsExt) {
			return nil
		}
		n := running.Add(1)
		defer running.Add(-1)
		most.Store(max(most.Load(), n))
		if n == uploadConcurrency {
			once.Do(func() { close(full) })
		}
		select {
		case <-full:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	records = nil
	if err := saveAll(nil); err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		s.wantStored(s.keys(record)...)
	}
	if most.Load() != uploadConcurrency {
		t.Errorf("%d uploads at a time", most.Load())
	}
}

func TestFailedSaveLeavesNothing(t *testing.T) {
	s := newTenant(t)
	record := s.record("one", text("x"), "title", strings.Repeat("too long", 10))
	if err := s.app.Save(record); err == nil {
		t.Fatal("saved")
	}
	s.app.OnRecordCreateExecute("pics").Bind(&hook.Handler[*core.RecordEvent]{
		Priority: innermost + 1, // when the local file is there already
		Func:     func(*core.RecordEvent) error { return errors.New("no") },
	})
	if err := s.app.Save(s.record("one", text("x"))); err == nil {
		t.Fatal("saved")
	}
	if n, pending := s.store.count(""), s.Status().Pending; n != 0 || pending != 0 {
		t.Errorf("%d calls and %d pending", n, pending)
	}
}

// TestStoreAway: whatever the store does, a committed write is answered as one.
func TestStoreAway(t *testing.T) {
	release := make(chan struct{})
	cases := []struct {
		name  string
		fault func(ctx context.Context) error
	}{
		{"refuses", func(context.Context) error { return errAway }},
		{"panics", func(context.Context) error { panic("broken client") }},
		{"hangs", func(ctx context.Context) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newTenant(t, func(cfg *Config) { cfg.UploadTimeout = 20 * time.Millisecond })
			s.store.setFault(func(ctx context.Context, method, _ string) error {
				if method == "put" {
					return c.fault(ctx)
				}
				return nil
			})
			began := time.Now()
			if got := s.post("one", "hello", "many", "abc"); got.status != 200 {
				t.Fatalf("status %d %s", got.status, got.body)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("answered after %v", took)
			}
			status := s.Status()
			if status.Pending != 2 || status.PendingBytes != 8 || status.OldestPending.IsZero() {
				t.Errorf("status %+v", status)
			}
			if c.name == "hangs" {
				close(release)
			} else if status.LastError == nil {
				t.Error("no error in the status")
			}
			s.store.setFault(nil)
			s.settle()
			if status := s.Status(); status.LastError != nil || status.PendingBytes != 0 || !status.OldestPending.IsZero() {
				t.Errorf("afterwards %+v", status)
			}
			if len(s.store.objects) != 4 {
				t.Errorf("%d objects", len(s.store.objects))
			}
		})
	}
}

// TestHangingStoreIsWaitedForOnce: the requests after the first wait no more
// than awayTimeout.
func TestHangingStoreIsWaitedForOnce(t *testing.T) {
	s := newTenant(t, func(cfg *Config) { cfg.UploadTimeout = 700 * time.Millisecond })
	release := make(chan struct{})
	s.store.setFault(func(ctx context.Context, _, _ string) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	var took [2]time.Duration
	for i := range took {
		began := time.Now()
		s.save(s.record("one", text("x")))
		took[i] = time.Since(began)
	}
	if took[0] < 700*time.Millisecond || took[1] < awayTimeout || took[1] > 690*time.Millisecond {
		t.Errorf("waited %v", took)
	}
	close(release)
	s.settle()
	if s.uploads.isAway() {
		t.Error("still taken for away")
	}
}

// TestBadFileHoldsNothingUp: a file that cannot be read does not make the store
// look away.
func TestBadFileHoldsNothingUp(t *testing.T) {
	s := newTenant(t)
	bad := s.save(s.record("title", "x"))
	// A folder in the place of the file fails to read.
	mkdir(t, s.path(bad.BaseFilesPath()+"/bad.txt"))
	if _, err := s.uploads.add(bad.BaseFilesPath() + "/bad.txt"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a failure", func() bool { return s.Status().LastError != nil })
	if s.uploads.isAway() {
		t.Error("the store is taken for away")
	}
	s.wantStored(s.keys(s.save(s.record("one", text("good"))))...)
}

// TestPocketBaseS3: with PocketBase's own setting on, the plugin does nothing.
func TestPocketBaseS3(t *testing.T) {
	s := newTenant(t)
	before := s.save(s.record("one", text("before")))
	s.store.forgetCalls()
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"x"`)
	}))
	defer bucket.Close()
	s3 := &s.app.Settings().S3
	s3.Endpoint, s3.Bucket, s3.Region, s3.AccessKey, s3.Secret = bucket.URL, "b", "r", "a", "s"
	s3.ForcePathStyle = true
	toggle := func(on bool) {
		t.Helper()
		s3.Enabled = on
		if err := s.app.Save(s.app.Settings()); err != nil {
			t.Fatal(err)
		}
	}
	// Queued by a stop, not by a failure: that is logged, and PocketBase's logger
	// reads the settings without a lock.
	s.stop()
	queued := s.save(s.record("one", text("queued")))
	toggle(true)
	s.start()
	s.settle()
	if s.store.has(s.keys(queued)[0]) {
		t.Error("uploaded what was queued")
	}
	s.store.forgetCalls()
	if !s.Status().Disabled {
		t.Error("not disabled")
	}

	if got := s.post("one", "into the user's bucket"); got.status != 200 {
		t.Fatalf("status %d %s", got.status, got.body)
	}
	s.evict(before)
	s.do("GET", fileURL(s.keys(before)[0]))
	s.reconcile()
	for range s.Missing(context.Background()) {
		t.Error("something is missing")
	}
	if n := s.store.count(""); n != 0 {
		t.Errorf("%d calls: %v", n, s.store.calls)
	}

	// Off again, and a reconcile makes up for what was not done.
	toggle(false)
	eventually(t, "the fetch", func() bool { return s.isLocal(s.keys(before)[0]) })
	eventually(t, "the upload", func() bool { return s.store.has(s.keys(queued)[0]) })
	if s.Status().Disabled {
		t.Error("still disabled")
	}
}
