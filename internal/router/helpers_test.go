package router

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/routes"
)

const patienceOfTests = 20 * time.Second

// seen is what a fake tenant tells of a request.
type seen struct {
	Tenant string
	Method string
	URI    string
	Host   string
	Header http.Header
	Body   string
}

// tenant is a server that answers with its name and what it has got.
type tenant struct {
	name   string
	server *httptest.Server
	count  atomic.Int64
	paths  sync.Map
}

func newTenant(t testing.TB, name string) *tenant {
	t.Helper()
	fake := &tenant{name: name}
	fake.server = httptest.NewServer(fake)
	t.Cleanup(fake.server.Close)
	return fake
}

func (f *tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.count.Add(1)
	f.paths.Store(r.URL.Path, true)
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Tenant", f.name)
	_ = json.NewEncoder(w).Encode(seen{f.name, r.Method, r.RequestURI, r.Host, r.Header, string(body)})
}

func (f *tenant) route(hosts ...string) routes.Route {
	return routes.Route{Project: f.name, Hosts: hosts, State: routes.Running, URL: f.server.URL}
}

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

func put(table *Table, route routes.Route) {
	table.Apply(routes.Message{Op: routes.Put, Route: &route})
}

// start serves a router on a port of its own.
func start(t testing.TB, cfg Config, all ...routes.Route) (router *Router, table *Table, url string) {
	t.Helper()
	table = NewTable(quietLogger())
	for _, route := range all {
		put(table, route)
	}
	if cfg.Resolver == nil {
		cfg.Resolver = table
	}
	if cfg.Logger == nil {
		cfg.Logger = quietLogger()
	}
	router, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url, _ = serve(t, router, ServeConfig{DrainTimeout: time.Second})
	return router, table, url
}

func serve(t testing.TB, router *Router, cfg ServeConfig) (url string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTP = listener
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- router.Serve(ctx, cfg) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() })
	return "http://" + listener.Addr().String(), stop
}

// request is one to be sent; the zero value is a GET of /.
type request struct {
	method, path, host, body string
	header                   http.Header
}

type answer struct {
	status int
	header http.Header
	body   []byte
	seen   seen
	err    apierr.Body
}

func send(t testing.TB, url string, r request) answer {
	t.Helper()
	a, err := try(context.Background(), url, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 2000, DisableCompression: true},
	Timeout:       patienceOfTests,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func try(ctx context.Context, url string, r request) (a answer, err error) {
	if r.method == "" {
		r.method = http.MethodGet
	}
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, url+r.path, body)
	if err != nil {
		return a, err
	}
	if r.header != nil {
		req.Header = r.header
	}
	req.Host = r.host
	res, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if a.body, err = io.ReadAll(res.Body); err != nil {
		return a, err
	}
	if bytes.HasPrefix(a.body, []byte(`{"error"`)) {
		_ = json.Unmarshal(a.body, &a.err)
	} else {
		_ = json.Unmarshal(a.body, &a.seen)
	}
	return a, nil
}

func (a answer) code() string { return a.err.Error.Code }

// eventually waits for something to become true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patienceOfTests)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// waker wakes with a function and counts.
type waker struct {
	calls atomic.Int64
	wake  func(ctx context.Context, project string) (routes.Route, error)
}

func (w *waker) Wake(ctx context.Context, project string) (routes.Route, error) {
	w.calls.Add(1)
	return w.wake(ctx, project)
}
