package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// unsorted is a store whose list is in the wrong order.
type unsorted struct{ *memory }

func (u unsorted) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		var all []objectstore.Info
		for info := range u.memory.List(ctx, prefix, after) {
			all = append(all, info)
		}
		slices.Reverse(all)
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// many saves n records with three files each.
func (s *tenant) many(n int) (records []*core.Record, keys []string) {
	s.t.Helper()
	for i := range n {
		record := s.save(s.record("one", text(fmt.Sprint("one of ", i)),
			"many", []*filesystem.File{text(fmt.Sprint("first of ", i)), text(fmt.Sprint("second of ", i))}))
		records = append(records, record)
		keys = append(keys, s.keys(record)...)
	}
	return records, keys
}

func TestReconcile300FilesBothWays(t *testing.T) {
	s := newTenant(t)
	s.reconcile() // the fixtures of PocketBase, which are not counted below
	records, keys := s.many(100)
	contents := map[string]string{}
	for _, key := range keys {
		contents[key] = string(s.store.objects[key].data)
	}
	fixtures := len(s.store.objects) - 2*len(keys)

	// A tenant that just got a bucket.
	for _, key := range keys {
		delete(s.store.objects, key)
		delete(s.store.objects, key+attrsExt)
	}
	s.store.forgetCalls()
	s.reconcile()
	s.wantStored(keys...)
	if len(s.store.objects) != fixtures+600 {
		t.Errorf("%d objects, want %d and 600", len(s.store.objects), fixtures)
	}
	if n := s.store.count("list "); n != 1 {
		t.Errorf("%d listings", n)
	}

	// A new disk.
	s.evict(records...)
	s.store.forgetCalls()
	s.reconcile()
	for _, key := range keys {
		content, err := os.ReadFile(s.path(key))
		if err != nil || string(content) != contents[key] {
			t.Fatalf("%s came back as %q, %v", key, content, err)
		}
		if _, err := os.Stat(s.path(key + attrsExt)); err != nil {
			t.Error(err)
		}
	}
	if n := s.store.count("list "); n != 1 {
		t.Errorf("%d listings", n)
	}
	if status := s.Status(); status.Missing != 0 || status.LastError != nil || !status.LastReconcile.Equal(s.clock.Now()) {
		t.Errorf("status %+v", status)
	}

	// Nothing to do.
	s.store.forgetCalls()
	s.reconcile()
	if n := s.store.count("put ") + s.store.count("stat ") + s.store.count("delete "); n != 0 {
		t.Errorf("%d calls without anything to do", n)
	}
	if left, _ := filepath.Glob(filepath.Join(s.app.DataDir(), core.LocalTempDirName, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestReconcileRepairsSidecars: a crash may have come between a sidecar and its
// file, or have lost one.
func TestReconcileRepairsSidecars(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", picture()))
	key := s.keys(record)[0]
	for _, lost := range []string{key, key + attrsExt} {
		delete(s.store.objects, lost)
		s.reconcile()
		s.wantStored(key)
	}
}

// TestReconcileOnlyNamedFiles: what no record names goes neither way.
func TestReconcileOnlyNamedFiles(t *testing.T) {
	s := newTenant(t)
	s.reconcile()
	record := s.save(s.record("one", text("x")))
	dir := filepath.Join(s.storageDir(), record.BaseFilesPath())
	mkdir(t, filepath.Join(dir, "thumbs_x"))
	for _, name := range []string{"stray.txt", "x.123.tmp", "thumbs_x/5x5_x", tempPrefix + "young", tempPrefix + "old"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.storageDir(), "stray.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, tempPrefix+"old"), long, long); err != nil {
		t.Fatal(err)
	}
	s.store.objects[s.pics.Id+"/"+record.Id+"/gone.txt"] = object{data: []byte("x")}
	s.store.forgetCalls()
	s.reconcile()
	if n := s.store.count("put ") - s.store.count("put "+marksKey); n != 0 {
		t.Errorf("uploads: %v", s.store.calls)
	}
	if s.isLocal(record.BaseFilesPath() + "/gone.txt") {
		t.Error("fetched what no record names")
	}
	for name, want := range map[string]bool{tempPrefix + "young": true, tempPrefix + "old": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	cases := []struct {
		name        string
		free, total uint64
		err         error
		fetches     bool
	}{
		{"plenty", 50 << 30, 100 << 30, nil, true},
		{"under a tenth", 9 << 30, 100 << 30, nil, false},
		{"just a tenth, less the file", 10 << 30, 100 << 30, nil, false},
		{"under a gigabyte", 900 << 20, 2 << 30, nil, false},
		{"small disk", 1100 << 20, 2 << 30, nil, true},
		{"not known", 0, 0, os.ErrInvalid, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newTenant(t)
			record := s.save(s.record("one", text("x")))
			key := s.keys(record)[0]
			s.evict(record)
			s.diskSpace = func(string) (uint64, uint64, error) { return c.free, c.total, c.err }
			s.reconcile()
			if s.isLocal(key) != c.fetches {
				t.Errorf("fetched is %v", s.isLocal(key))
			}
			if missing := s.Status().Missing; (missing == 0) != c.fetches {
				t.Errorf("%d missing", missing)
			}
			// A request is served all the same.
			if got := s.do("GET", fileURL(key)); got.status != 200 || s.Status().Missing != 0 {
				t.Errorf("status %d, %d missing", got.status, s.Status().Missing)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	s := newTenant(t)
	records, _ := s.many(3)
	s.save(s.record("one", text("stays")))
	s.discard(s.save(s.record("one", text("deleted"))))
	want := map[string][]byte{}
	for _, record := range records[:2] {
		for _, key := range s.keys(record) {
			for _, name := range []string{key, key + attrsExt} {
				content, err := os.ReadFile(s.path(name))
				if err != nil {
					t.Fatal(err)
				}
				want[name] = content
			}
		}
	}
	s.evict(records[:2]...)
	for file, err := range s.Missing(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := file.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(body)
		body.Close()
		if !bytes.Equal(content, want[file.Name]) || len(content) == 0 || file.Size != int64(len(content)) {
			t.Errorf("%s has %q, size %d", file.Name, content, file.Size)
		}
		delete(want, file.Name)
	}
	if len(want) != 0 {
		t.Errorf("not yielded: %v", want)
	}

	s.store.setFault(func(_ context.Context, method, _ string) error {
		if method == "list" {
			return errAway
		}
		return nil
	})
	var last error
	for _, err := range s.Missing(context.Background()) {
		last = err
	}
	if last == nil {
		t.Error("no error")
	}
}

// TestOutage: the background goes on when the store is back.
func TestOutage(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", text("lost")))
	s.evict(record)
	s.store.setFault(func(context.Context, string, string) error { return errAway })
	s.retryDelay = time.Hour // so that only the recovery can wake the reconcile
	s.start()
	eventually(t, "a failed reconcile", func() bool { return s.Status().LastError != nil })
	added := s.save(s.record("one", text("added")))
	s.store.setFault(nil)
	s.settle()
	s.wantStored(s.keys(added)...)
	eventually(t, "the fetch", func() bool { return s.isLocal(s.keys(record)[0]) })
	eventually(t, "a clean status", func() bool { return s.Status().LastError == nil })
}

func TestReconcileRetries(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", text("lost")))
	s.evict(record)
	s.store.setFault(func(context.Context, string, string) error { return errAway })
	s.start()
	eventually(t, "retries", func() bool { return s.store.count("get "+marksKey) > 2 })
	s.store.setFault(nil)
	eventually(t, "the fetch", func() bool { return s.isLocal(s.keys(record)[0]) })
}

// TestIdleIsSilent: after a reconcile nothing is asked of the store for a day.
func TestIdleIsSilent(t *testing.T) {
	s := newTenant(t)
	s.start()
	eventually(t, "a reconcile", func() bool { return !s.Status().LastReconcile.IsZero() })
	s.settle()
	s.store.forgetCalls()

	synctest.Test(t, func(t *testing.T) { // its clock jumps when all are waiting
		silent := &Plugin{app: s.app, cfg: s.cfg, wake: make(chan struct{}), reconciling: make(chan struct{}, 1),
			patience: defaultPatience, retryDelay: minRetryDelay}
		silent.uploads.init(silent)
		silent.disabled.Store(true) // a reconcile without any work
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			silent.loop(ctx)
		}()
		synctest.Wait()
		silent.skipped.Store(false)
		time.Sleep(reconcileInterval - time.Second)
		synctest.Wait()
		if silent.skipped.Load() {
			t.Error("reconciled within the day")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !silent.skipped.Load() {
			t.Error("no reconcile after a day")
		}
		cancel()
		<-ended
	})
	if n := s.store.count(""); n != 0 {
		t.Errorf("%d calls while idle", n)
	}
}

func TestStartStop(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", text("x")))
	s.stop() // before a start
	runtime.GC()
	before := runtime.NumGoroutine()
	for range 3 {
		s.evict(record)
		s.start()
		s.start()
		eventually(t, "the fetch", func() bool { return s.isLocal(s.keys(record)[0]) })
		s.stop()
		s.stop()
		eventually(t, "the end of the goroutines", func() bool { return runtime.NumGoroutine() <= before })
	}

	// Nothing waits for a plugin that is stopped; the next start uploads.
	began := time.Now()
	late := s.save(s.record("one", text("late")))
	if time.Since(began) > 5*time.Second || s.Status().Pending != 1 {
		t.Errorf("took %v, status %+v", time.Since(began), s.Status())
	}
	s.start()
	s.settle()
	s.wantStored(s.keys(late)...)
}

func TestStopUploadsWhatIsQueued(t *testing.T) {
	s := newTenant(t)
	s.uploads.minBackoff, s.uploads.maxBackoff = time.Hour, time.Hour
	s.store.setFault(func(context.Context, string, string) error { return errAway })
	var keys []string
	for range 6 {
		keys = append(keys, s.keys(s.save(s.record("one", text("x"))))...)
	}
	if n := s.Status().Pending; n != 6 {
		t.Fatalf("%d pending", n)
	}
	s.store.setFault(nil)
	s.stop()
	s.wantStored(keys...)
	if n := s.Status().Pending; n != 0 {
		t.Errorf("%d pending", n)
	}
}

func TestStopIsBounded(t *testing.T) {
	s := newTenant(t, func(cfg *Config) { cfg.UploadTimeout = time.Millisecond })
	before := runtime.NumGoroutine()
	s.store.setFault(func(ctx context.Context, _, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	})
	s.save(s.record("one", text("x")))
	s.start()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Stop(ctx); err == nil {
		t.Error("no error")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	eventually(t, "the end of the goroutines", func() bool { return runtime.NumGoroutine() <= before })
	s.store.setFault(nil)
	s.start()
	s.settle()
}

// TestStopDoesNotInsist: a store that is away does not use up the time to stop.
func TestStopDoesNotInsist(t *testing.T) {
	s := newTenant(t)
	s.uploads.minBackoff, s.uploads.maxBackoff = time.Hour, time.Hour
	s.store.setFault(func(context.Context, string, string) error { return errAway })
	for range 40 {
		s.save(s.record("one", text("x")))
	}
	s.store.forgetCalls()
	s.stop()
	if n := s.store.count("put "); n > drainFailures+uploadConcurrency {
		t.Errorf("%d attempts", n)
	}
	if n := s.Status().Pending; n != 40 {
		t.Errorf("%d pending", n)
	}
}

// TestHangingStoreEndsInAnError: nothing hangs for ever.
func TestHangingStoreEndsInAnError(t *testing.T) {
	s := newTenant(t, func(cfg *Config) { cfg.UploadTimeout = time.Millisecond })
	record := s.save(s.record("one", text("x")))
	s.settle()
	s.patience = 20 * time.Millisecond
	s.evict(record)
	for _, method := range []string{"list", "stat", "get", "put"} {
		s.store.setFault(func(ctx context.Context, called, _ string) error {
			if called != method {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if method == "put" {
			s.save(s.record("one", text("x")))
			eventually(t, "an error", func() bool { return s.Status().LastError != nil })
		} else if err := s.Reconcile(context.Background()); err == nil {
			t.Errorf("no error when %s hangs", method)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := newTenant(t, func(cfg *Config) { cfg.Metrics = registry })
	s.uploads.minBackoff, s.uploads.maxBackoff = time.Hour, time.Hour
	s.store.setFault(func(context.Context, string, string) error { return errAway })
	s.save(s.record("one", text("x")))
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
		# HELP picobase_files_missing Files that are in the object store but not in the local folder.
		# TYPE picobase_files_missing gauge
		picobase_files_missing 0
		# HELP picobase_files_pending Uploaded files that are not in the object store yet.
		# TYPE picobase_files_pending gauge
		picobase_files_pending 1
		# HELP picobase_files_upload_errors_total Attempts to upload a file to the object store that failed.
		# TYPE picobase_files_upload_errors_total counter
		picobase_files_upload_errors_total 1
	`))
	if err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	s := newTenant(t)
	for name, cfg := range map[string]Config{
		"no store":         {},
		"negative timeout": {Store: s.store, UploadTimeout: -1},
	} {
		if _, err := Register(s.app, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"c/r/name.txt": true, "c/r/..x": true, "c/r/a..b": true, "c/r/ä b.txt": true,
		"": false, "c/r": false, "c/r/thumbs_x/y": false, "/r/x": false, "c//x": false, "c/r/": false,
		"../r/x": false, "c/../x": false, "c/r/..": false, "c/./x": false, "c/r/a\nb": false, "c/r../x": false,
	} {
		k, ok := parseKey(key)
		if ok != want || ok && k.String() != key {
			t.Errorf("%q: %v %v", key, k, ok)
		}
	}
}
