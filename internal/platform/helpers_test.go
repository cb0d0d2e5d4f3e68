package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/picobase/picobase/internal/token"
	"github.com/pocketbase/pocketbase/core"
)

// engine runs tenants as HTTP servers of this process.
type engine struct {
	mu      sync.Mutex
	specs   map[string]driver.Spec
	running map[string]*httptest.Server
	idle    time.Time
	disk    string // status of the disk check
	usage   string // what tenants say of it, if not the usual
	metrics string
}

func newEngine() *engine {
	return &engine{specs: map[string]driver.Spec{}, running: map[string]*httptest.Server{}, disk: "ok"}
}

func (d *engine) Create(_ context.Context, spec driver.Spec) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.specs[spec.ID] = spec
	return nil
}

func (d *engine) Start(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	spec, ok := d.specs[id]
	if !ok {
		return driver.ErrNotFound
	}
	if d.running[id] == nil {
		d.running[id] = httptest.NewServer(d.tenant(spec))
	}
	return nil
}

// tenant answers what a platform asks, if it names itself.
func (d *engine) tenant(spec driver.Spec) http.Handler {
	verifier, err := token.NewVerifier(spec.Env["PICOBASE_PLATFORM_PUBLIC_KEY"].Reveal(), spec.ID)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/ready", func(http.ResponseWriter, *http.Request) {})
	answer := func(path string, body func() string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if err == nil {
				_, err := verifier.Verify(bearer(r))
				if err == nil {
					_, _ = io.WriteString(w, body())
					return
				}
			}
			w.WriteHeader(http.StatusUnauthorized)
		})
	}
	answer("/api/v1/due", func() string {
		return fmt.Sprintf(`{"due":null,"reason":"","idleSince":%q,"busy":[],"synced":true}`, d.idle.Format(time.RFC3339))
	})
	answer("/api/v1/usage", func() string {
		if d.usage != "" {
			return d.usage
		}
		return fmt.Sprintf(`{"items":[{"time":%q,"requests":7,"errors":1,"bytesIn":2,"bytesOut":3}]}`, time.Now().UTC().Format("2006-01-02T00:00:00Z"))
	})
	answer("/metrics", func() string {
		if d.metrics != "" {
			return d.metrics
		}
		return "picobase_db_size_bytes{db=\"data\"} 1000\npicobase_db_size_bytes{db=\"auxiliary\"} 24\n"
	})
	answer("/api/v1/health", func() string {
		d.mu.Lock()
		defer d.mu.Unlock()
		return fmt.Sprintf(`{"checks":{"disk":{"status":%q,"message":"The disk is full."}}}`, d.disk)
	})
	return mux
}

func (d *engine) Stop(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if server := d.running[id]; server != nil {
		server.Close()
		delete(d.running, id)
	}
	return nil
}

func (d *engine) Delete(ctx context.Context, id string) error {
	_ = d.Stop(ctx, id)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.specs, id)
	return nil
}

func (d *engine) status(id string) driver.Status {
	if server := d.running[id]; server != nil {
		return driver.Status{ID: id, State: driver.Running, URL: server.URL}
	}
	return driver.Status{ID: id, State: driver.Stopped}
}

func (d *engine) Status(_ context.Context, id string) (driver.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.specs[id]; !ok {
		return driver.Status{}, driver.ErrNotFound
	}
	return d.status(id), nil
}

func (d *engine) List(context.Context) (all []driver.Status, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.specs {
		all = append(all, d.status(id))
	}
	return all, nil
}

func (d *engine) Logs(_ context.Context, id string, _ driver.LogOptions) (io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.specs[id]; !ok {
		return nil, driver.ErrNotFound
	}
	return io.NopCloser(strings.NewReader("log of " + id + "\n")), nil
}

func (d *engine) Close() error {
	for id := range d.running {
		_ = d.Stop(context.Background(), id)
	}
	return nil
}

// dns is what a Resolver finds.
type dns struct {
	mu         sync.Mutex
	txt, cname map[string]string
}

func (d *dns) LookupTXT(_ context.Context, name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if value, ok := d.txt[name]; ok {
		return []string{value}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (d *dns) LookupCNAME(_ context.Context, host string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if value, ok := d.cname[host]; ok {
		return value, nil
	}
	return host + ".", nil
}

// fixture is a platform whose API is called without a listener.
type fixture struct {
	t *testing.T
	*Platform
	engine  *engine
	dns     *dns
	handler http.Handler

	mu  sync.Mutex
	now time.Time
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func newFixture(t *testing.T, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, engine: newEngine(), dns: &dns{txt: map[string]string{}, cname: map[string]string{}}, now: time.Now()}
	cfg := Config{
		DataDir: t.TempDir(), BaseDomain: "example.com", PublicURL: "https://example.com", Driver: f.engine, Resolver: f.dns,
		IdleAfter: 4 * time.Second, Now: f.clock, Logger: slog.New(slog.DiscardHandler), Version: "test",
	}
	for _, c := range change {
		c(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Platform = p
	if err := p.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	if f.handler, err = p.Handler(); err != nil {
		t.Fatal(err)
	}
	if err := p.fleet.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		_ = f.engine.Close()
	})
	return f
}

// user makes an account with an organization of its own, and returns its token.
func (f *fixture) user(email string) (token, organization string) {
	f.t.Helper()
	users, err := f.App.FindCollectionByNameOrId(schema.Users)
	if err != nil {
		f.t.Fatal(err)
	}
	record := core.NewRecord(users)
	record.SetEmail(email)
	record.SetPassword("correct horse")
	if err := f.App.Save(record); err != nil {
		f.t.Fatal(err)
	}
	org, err := newOrganization(f.App, email, record)
	if err != nil {
		f.t.Fatal(err)
	}
	token, err = record.NewAuthToken()
	if err != nil {
		f.t.Fatal(err)
	}
	return token, org.Id
}

type answer struct {
	t      *testing.T
	status int
	body   map[string]any
	text   string
}

// call makes a request; body is JSON, or nil.
func (f *fixture) call(method, path, token string, body any) answer {
	f.t.Helper()
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			f.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	if !strings.HasPrefix(path, "/api/collections") && !strings.HasPrefix(path, "/.well") {
		path = PathPrefix + path
	}
	request := httptest.NewRequest(method, path, reader)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, request)
	a := answer{t: f.t, status: recorder.Code, text: recorder.Body.String()}
	_ = json.Unmarshal(recorder.Body.Bytes(), &a.body)
	return a
}

// want fails unless the answer has the status and, for a refusal, the code.
func (a answer) want(status int, code ...string) answer {
	a.t.Helper()
	got := ""
	if e, ok := a.body["error"].(map[string]any); ok {
		got, _ = e["code"].(string)
	}
	if a.status != status || (len(code) > 0 && got != code[0]) {
		a.t.Fatalf("got %d %s, want %d %v", a.status, a.text, status, code)
	}
	return a
}

func (a answer) str(name string) string {
	a.t.Helper()
	text, ok := a.body[name].(string)
	if !ok {
		a.t.Fatalf("no %s in %s", name, a.text)
	}
	return text
}

func (a answer) items() []map[string]any {
	a.t.Helper()
	list, ok := a.body["items"].([]any)
	if !ok {
		a.t.Fatalf("no items in %s", a.text)
	}
	items := make([]map[string]any, len(list))
	for i, item := range list {
		items[i], _ = item.(map[string]any)
	}
	return items
}
