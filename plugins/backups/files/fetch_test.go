package files

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"
	"github.com/pocketbase/pocketbase/tools/types"
)

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o777); err != nil {
		t.Fatal(err)
	}
}

// TestFetchedAnswersAreTheSame compares answers before and after the local
// folder was lost.
func TestFetchedAnswersAreTheSame(t *testing.T) {
	s := newTenant(t)
	svg, err := filesystem.NewFileFromBytes([]byte(`<svg xmlns="http://www.w3.org/2000/svg"></svg>`), "drawing.svg")
	if err != nil {
		t.Fatal(err)
	}
	record := s.save(s.record("one", picture(), "many", []*filesystem.File{text(strings.Repeat("0123456789", 100)), svg},
		"secret", text("for some")))
	keys := s.keys(record)
	yesterday := time.Now().Add(-24 * time.Hour) // Last-Modified counts in seconds
	for _, key := range keys {
		if err := os.Chtimes(s.path(key), yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
		delete(s.store.objects, key)
	}
	s.reconcile()

	view := core.NewViewCollection("pics_view")
	view.ViewQuery = "SELECT id, one FROM pics"
	view.ViewRule = types.Pointer("")
	if err := s.app.Save(view); err != nil {
		t.Fatal(err)
	}
	superuser, err := s.app.FindAuthRecordByEmail(core.CollectionNameSuperusers, "test@example.com")
	if err != nil {
		t.Fatal(err)
	}
	token, err := superuser.NewFileToken()
	if err != nil {
		t.Fatal(err)
	}

	cases := []struct {
		name, method, path string
		headers            []string
		status             int
		fetches            bool
	}{
		{"picture", "GET", fileURL(keys[0]), nil, 200, true},
		{"by collection name", "GET", "/api/files/pics/" + record.Id + "/" + record.GetString("one"), nil, 200, true},
		{"thumb", "GET", fileURL(keys[0]) + "?thumb=5x5", nil, 200, true},
		{"default thumb", "GET", fileURL(keys[0]) + "?thumb=100x100", nil, 200, true},
		{"download", "GET", fileURL(keys[1]) + "?download=1", nil, 200, true},
		{"head", "HEAD", fileURL(keys[1]), nil, 200, true},
		{"range", "GET", fileURL(keys[1]), []string{"Range", "bytes=5-14"}, 206, true},
		{"bad range", "GET", fileURL(keys[1]), []string{"Range", "bytes=5000-"}, 416, true},
		{"svg", "GET", fileURL(keys[2]), nil, 200, true},
		{"protected with token", "GET", fileURL(keys[3]) + "?token=" + token, nil, 200, true},
		{"protected", "GET", fileURL(keys[3]), nil, 404, true},
		{"protected with a bad token", "GET", fileURL(keys[3]) + "?token=x", nil, 404, true},
		{"view", "GET", "/api/files/pics_view/" + record.Id + "/" + record.GetString("one"), nil, 200, true},
		{"thumb's own path", "GET", fileURL(record.BaseFilesPath() + "/thumbs_" + record.GetString("one")), nil, 404, false},
		{"sidecar", "GET", fileURL(keys[0] + attrsExt), nil, 404, false},
		{"other name", "GET", fileURL(record.BaseFilesPath() + "/other.png"), nil, 404, false},
		{"other record", "GET", fileURL("pics/aaaaaaaaaaaaaaa/" + record.GetString("one")), nil, 404, false},
		{"other collection", "GET", fileURL("nothing/" + record.Id + "/" + record.GetString("one")), nil, 404, false},
		{"traversal", "GET", fileURL("pics/" + record.Id + "/..%2f..%2fdata.db"), nil, 404, false},
		{"traversal by record", "GET", fileURL("pics/..%2f" + record.Id + "/" + record.GetString("one")), nil, 404, false},
		{"dots", "GET", fileURL("pics/%2e%2e/data.db"), nil, 404, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := s.do(c.method, c.path, c.headers...)
			if before.status != c.status {
				t.Fatalf("before: status %d, want %d", before.status, c.status)
			}
			s.evict(record)
			s.store.forgetCalls()
			after := s.do(c.method, c.path, c.headers...)
			if after.status != before.status || !bytes.Equal(after.body, before.body) {
				t.Errorf("status %d, was %d; %d bytes, were %d", after.status, before.status, len(after.body), len(before.body))
			}
			for _, name := range []string{"Content-Type", "Content-Length", "Content-Range", "Content-Disposition", "Cache-Control"} {
				if after.header.Get(name) != before.header.Get(name) {
					t.Errorf("%s is %q, was %q", name, after.header.Get(name), before.header.Get(name))
				}
			}
			isThumb := strings.Contains(c.path, "thumb=")
			if !isThumb && after.header.Get("Last-Modified") != before.header.Get("Last-Modified") {
				t.Errorf("Last-Modified is %q, was %q", after.header.Get("Last-Modified"), before.header.Get("Last-Modified"))
			}
			if n := s.store.count(""); (n > 0) != c.fetches {
				t.Errorf("%d calls of the store: %v", n, s.store.calls)
			}
			s.store.forgetCalls()
			s.do(c.method, c.path, c.headers...)
			if n := s.store.count(""); n != 0 {
				t.Errorf("%d calls for a file that is there", n)
			}
		})
	}
	s.reconcile()
	for key := range s.store.objects {
		if strings.Contains(key, "/thumbs_") {
			t.Errorf("a thumbnail in the store: %s", key)
		}
	}
}

// TestOriginalName: what Go code learns from the sidecar survives too.
func TestOriginalName(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", picture()))
	s.evict(record)
	s.reconcile()
	fsys, err := s.app.NewFilesystem()
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	attrs, err := fsys.Attributes(s.keys(record)[0])
	if err != nil {
		t.Fatal(err)
	}
	if attrs.ContentType != "image/png" || attrs.Metadata["original-filename"] != "Holiday Picture.png" {
		t.Errorf("attributes %+v", attrs)
	}
}

func TestParallelDownloadsFetchOnce(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", text("hello")))
	key := s.keys(record)[0]
	s.evict(record)
	s.store.forgetCalls()

	const clients = 50
	release := make(chan struct{})
	s.store.setFault(func(ctx context.Context, method, _ string) error {
		if method == "stat" {
			<-release
		}
		return nil
	})
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			if got := s.do("GET", fileURL(key)); got.status != 200 || string(got.body) != "hello" {
				t.Errorf("status %d, body %q", got.status, got.body)
			}
		})
	}
	eventually(t, "the fetch", func() bool { return s.store.count("stat ") > 0 })
	close(release)
	group.Wait()
	if n := s.store.count("get " + key); n != 2 { // the file and its sidecar
		t.Errorf("%d gets: %v", n, s.store.calls)
	}
}

// TestAbandonedDownload: a client that goes away does not end the fetch that
// others wait for.
func TestAbandonedDownload(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", text("hello")))
	key := s.keys(record)[0]
	s.evict(record)
	entered, release := make(chan struct{}), make(chan struct{})
	s.store.setFault(func(ctx context.Context, method, _ string) error {
		if method == "stat" {
			close(entered)
			<-release
		}
		return ctx.Err()
	})
	ctx, leave := context.WithCancel(context.Background())
	request, _ := http.NewRequestWithContext(ctx, "GET", s.url+fileURL(key), nil)
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = http.DefaultClient.Do(request)
	}()
	<-entered
	leave()
	<-left
	close(release)
	eventually(t, "the fetch", func() bool { return s.isLocal(key) })
}

func TestFetchFailures(t *testing.T) {
	cases := []struct {
		name   string
		file   string
		breaks func(*tenant, string)
		status int
	}{
		{"store away", "one", func(s *tenant, _ string) {
			s.store.setFault(func(context.Context, string, string) error { return errAway })
		}, 503},
		{"protected and store away", "secret", func(s *tenant, _ string) {
			s.store.setFault(func(context.Context, string, string) error { return errAway })
		}, 404},
		{"store panics", "one", func(s *tenant, _ string) {
			s.store.setFault(func(context.Context, string, string) error { panic("broken client") })
		}, 503},
		{"content cut short", "one", func(s *tenant, _ string) { s.store.cut = true }, 503},
		{"not in the store", "one", func(s *tenant, key string) { delete(s.store.objects, key) }, 404},
		{"stopped", "one", func(s *tenant, _ string) { s.stop() }, 503},
		{"record deleted meanwhile", "one", func(s *tenant, key string) {
			s.store.setFault(func(_ context.Context, method, asked string) error {
				if method == "get" && asked == key {
					s.exec("DELETE FROM pics")
				}
				return nil
			})
		}, 404},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newTenant(t)
			record := s.save(s.record(c.file, text("hello, this is some content")))
			key := s.keys(record)[0]
			s.evict(record)
			c.breaks(s, key)
			got := s.do("GET", fileURL(key))
			if got.status != c.status {
				t.Errorf("status %d, want %d: %s", got.status, c.status, got.body)
			}
			left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.path(key)), "*"))
			hidden, _ := filepath.Glob(filepath.Join(filepath.Dir(s.path(key)), ".*"))
			if len(left)+len(hidden) != 0 {
				t.Errorf("left behind: %v %v", left, hidden)
			}
		})
	}
}
