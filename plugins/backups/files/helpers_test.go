package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"iter"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/filesystem"
	"github.com/pocketbase/pocketbase/tools/types"
)

var errAway = errors.New("store is away")

// memory is a store with switches for faults.
type memory struct {
	now func() time.Time

	mu      sync.Mutex
	objects map[string]object
	calls   []string // method and key
	fault   func(ctx context.Context, method, key string) error
	cut     bool // content ends in an error half way
}

type object struct {
	data           []byte
	stored, moment time.Time
}

func (m *memory) call(ctx context.Context, method, key string) error {
	m.mu.Lock()
	m.calls = append(m.calls, method+" "+key)
	fault := m.fault
	m.mu.Unlock()
	if fault != nil {
		return fault(ctx, method, key)
	}
	return nil
}

func (m *memory) Put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	if err := m.call(ctx, "put", key); err != nil {
		return objectstore.Info{}, err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return objectstore.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = object{data: data, stored: m.now(), moment: opts.Time}
	return objectstore.Info{Key: key, Size: int64(len(data))}, nil
}

func (m *memory) Get(ctx context.Context, key string, _, _ int64) (io.ReadCloser, error) {
	if err := m.call(ctx, "get", key); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return nil, objectstore.ErrNotFound
	}
	content := io.Reader(bytes.NewReader(o.data))
	if m.cut {
		content = io.MultiReader(bytes.NewReader(o.data[:len(o.data)/2]), brokenReader{})
	}
	return io.NopCloser(content), nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (m *memory) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	if err := m.call(ctx, "stat", key); err != nil {
		return objectstore.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return objectstore.Info{}, objectstore.ErrNotFound
	}
	return objectstore.Info{Key: key, Size: int64(len(o.data)), Modified: o.moment}, nil
}

func (m *memory) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if err := m.call(ctx, "list", prefix); err != nil {
			yield(objectstore.Info{}, err)
			return
		}
		m.mu.Lock()
		objects := maps.Clone(m.objects)
		m.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(objects)) {
			if !strings.HasPrefix(key, prefix) || key <= after {
				continue
			}
			if err := m.call(ctx, "listed", key); err != nil {
				yield(objectstore.Info{}, err)
				return
			}
			if !yield(objectstore.Info{Key: key, Size: int64(len(objects[key].data)), Modified: objects[key].stored}, nil) {
				return
			}
		}
	}
}

func (m *memory) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := m.call(ctx, "delete", key); err != nil {
			return err
		}
		m.mu.Lock()
		delete(m.objects, key)
		m.mu.Unlock()
	}
	return nil
}

func (m *memory) setFault(fault func(ctx context.Context, method, key string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

func (m *memory) has(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.objects[key]
	return ok
}

// count returns how many calls begin with prefix, such as "put ".
func (m *memory) count(prefix string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, call := range m.calls {
		if strings.HasPrefix(call, prefix) {
			n++
		}
	}
	return n
}

func (m *memory) forgetCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = nil
}

// clock is a clock that only the test moves.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanoseconds.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

// tenant is a server with the plugin, and a collection "pics" that everybody
// may read and write.
type tenant struct {
	*Plugin
	t     *testing.T
	app   *tests.TestApp
	store *memory
	clock *clock
	pics  *core.Collection
	url   string
}

func newTenant(t *testing.T, configure ...func(*Config)) *tenant {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	s := &tenant{t: t, app: app, clock: &clock{}}
	s.clock.nanoseconds.Store(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	s.store = &memory{now: s.clock.Now, objects: map[string]object{}}
	cfg := Config{Store: s.store, Now: s.clock.Now}
	for _, f := range configure {
		f(&cfg)
	}
	if s.Plugin, err = Register(app, cfg); err != nil {
		t.Fatal(err)
	}
	s.Plugin.uploads.minBackoff, s.Plugin.uploads.maxBackoff = time.Millisecond, 5*time.Millisecond
	s.Plugin.retryDelay = time.Millisecond
	s.Plugin.diskSpace = func(string) (uint64, uint64, error) { return 50 << 30, 100 << 30, nil }
	t.Cleanup(func() { s.stop() })

	s.pics = core.NewBaseCollection("pics")
	s.pics.Fields.Add(
		&core.TextField{Name: "title", Max: 20},
		&core.FileField{Name: "one", MaxSize: 1 << 20, Thumbs: []string{"5x5"}},
		&core.FileField{Name: "many", MaxSelect: 400, MaxSize: 1 << 20},
		&core.FileField{Name: "secret", Protected: true},
	)
	everybody := types.Pointer("")
	s.pics.ListRule, s.pics.CreateRule, s.pics.UpdateRule, s.pics.DeleteRule = everybody, everybody, everybody, everybody
	if err := app.Save(s.pics); err != nil {
		t.Fatal(err)
	}
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	s.Routes(r)
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *tenant) start() {
	s.t.Helper()
	if err := s.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *tenant) stop() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		s.t.Errorf("stop: %v", err)
	}
}

func (s *tenant) reconcile() {
	s.t.Helper()
	if err := s.Reconcile(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

// settle waits until nothing is pending.
func (s *tenant) settle() {
	s.t.Helper()
	eventually(s.t, "an empty queue", func() bool { return s.Status().Pending == 0 })
}

// record returns an unsaved record with files: pairs of a field and a file.
func (s *tenant) record(fields ...any) *core.Record {
	record := core.NewRecord(s.pics)
	for i := 0; i < len(fields); i += 2 {
		record.Set(fields[i].(string), fields[i+1])
	}
	return record
}

func (s *tenant) save(record *core.Record) *core.Record {
	s.t.Helper()
	if err := s.app.Save(record); err != nil {
		s.t.Fatal(err)
	}
	return record
}

// keys returns the keys of a record's files.
func (s *tenant) keys(record *core.Record) (keys []string) {
	for _, field := range []string{"one", "many", "secret"} {
		for _, name := range record.GetStringSlice(field) {
			keys = append(keys, record.BaseFilesPath()+"/"+name)
		}
	}
	return keys
}

func (s *tenant) wantStored(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		local, err := os.ReadFile(s.path(key))
		for _, name := range []string{key, key + attrsExt} {
			if !s.store.has(name) {
				s.t.Errorf("the store lacks %s", name)
			}
		}
		s.store.mu.Lock()
		same := bytes.Equal(local, s.store.objects[key].data)
		s.store.mu.Unlock()
		if err == nil && !same {
			s.t.Errorf("the store's %s differs", key)
		}
	}
}

// evict removes the local folders of records, as a new disk would.
func (s *tenant) evict(records ...*core.Record) {
	s.t.Helper()
	for _, record := range records {
		if err := os.RemoveAll(filepath.Join(s.storageDir(), record.BaseFilesPath())); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *tenant) exec(statement string) {
	s.t.Helper()
	if _, err := s.app.NonconcurrentDB().NewQuery(statement).Execute(); err != nil {
		s.t.Fatal(err)
	}
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *tenant) do(method, path string, headers ...string) answer {
	s.t.Helper()
	request, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return s.send(request)
}

func (s *tenant) send(request *http.Request) answer {
	s.t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Error(err)
		return answer{}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Error(err)
	}
	return answer{response.StatusCode, response.Header, body}
}

// post uploads files as a form: pairs of a field and a content.
func (s *tenant) post(fields ...string) answer {
	s.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for i := 0; i < len(fields); i += 2 {
		part, err := w.CreateFormFile(fields[i], "upload.txt")
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprint(part, fields[i+1])
	}
	w.Close()
	request, err := http.NewRequest(http.MethodPost, s.url+"/api/collections/pics/records", &form)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", w.FormDataContentType())
	return s.send(request)
}

func fileURL(key string) string { return "/api/files/" + key }

func text(content string) *filesystem.File {
	file, err := filesystem.NewFileFromBytes([]byte(content), "note.txt")
	if err != nil {
		panic(err)
	}
	return file
}

func picture() *filesystem.File {
	var content bytes.Buffer
	if err := png.Encode(&content, image.NewGray(image.Rect(0, 0, 20, 20))); err != nil {
		panic(err)
	}
	file, err := filesystem.NewFileFromBytes(content.Bytes(), "Holiday Picture.png")
	if err != nil {
		panic(err)
	}
	return file
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			stacks := make([]byte, 1<<16)
			t.Fatalf("%s did not happen in time\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
