package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

func newRouter(t *testing.T, cfg Config, all ...routes.Route) *Router {
	t.Helper()
	table := NewTable(quietLogger())
	for _, route := range all {
		put(table, route)
	}
	cfg.Resolver = table
	if cfg.Logger == nil {
		cfg.Logger = quietLogger()
	}
	router, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

func TestStop(t *testing.T) {
	t.Parallel()
	tenant, open := gatedTenant(t)
	router := newRouter(t, Config{}, running("a", tenant, "a.example.com"))
	url, stop := serve(t, router, ServeConfig{DrainTimeout: patienceOfTests})
	inFlight := occupy(t, router, url, "a.example.com", 1)
	streamed := make(chan error, 1)
	go func() {
		_, err := try(context.Background(), url, request{host: "a.example.com", path: "/stream"})
		streamed <- err
	}()
	eventually(t, "it streams", func() bool { return router.metrics.streams.Load() == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// A stream has no end, so it is told at once.
	if err := <-streamed; err == nil {
		t.Error("a stream that was cut looks whole")
	}
	eventually(t, "nobody is accepted", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case <-stopped:
		t.Error("it did not wait for what is in flight")
	default:
	}
	open()
	if a := <-inFlight; a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestStopWaitsOnlySoLong(t *testing.T) {
	t.Parallel()
	tenant, _ := gatedTenant(t)
	router := newRouter(t, Config{}, running("a", tenant, "a.example.com"))
	url, stop := serve(t, router, ServeConfig{DrainTimeout: 50 * time.Millisecond})
	occupy(t, router, url, "a.example.com", 1)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	router := newRouter(t, Config{}, shop.route("shop.example.com"))
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ready := false
	url, _ := serve(t, router, ServeConfig{Admin: admin, Ready: func() bool { return ready }})
	_ = send(t, url, request{host: "shop.example.com"})
	_ = send(t, url, request{host: "no.example.com"})
	router.FeedConnected(true)
	get := func(path string) (int, string) {
		a := send(t, "http://"+admin.Addr().String(), request{path: path})
		return a.status, string(a.body)
	}
	if status, _ := get("/readyz"); status != 503 {
		t.Errorf("ready without a table: %d", status)
	}
	ready = true
	for path, want := range map[string]int{"/readyz": 200, "/healthz": 200, "/x": 404} {
		if status, _ := get(path); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
	_, metrics := get("/metrics")
	for _, line := range []string{
		`picobase_router_requests_total{outcome="forwarded"} 1`, `picobase_router_requests_total{outcome="project_not_found"} 1`,
		"picobase_router_table_names 1", "picobase_router_feed_connected 1", "picobase_router_requests_open 0",
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	// Clients of projects do not see any of it.
	if a := send(t, url, request{host: "shop.example.com", path: "/metrics"}); a.seen.Tenant != "shop" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var lines bytes.Buffer
	shop := newTenant(t, "shop")
	_, _, url := start(t, Config{AccessLog: slog.New(slog.NewJSONHandler(locked{&mu, &lines}, nil))}, shop.route("shop.example.com"))
	a := send(t, url, request{host: "Shop.example.com", path: "/a?token=secret"})
	var line map[string]any
	eventually(t, "a line", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return json.Unmarshal(lines.Bytes(), &line) == nil
	})
	for name, want := range map[string]any{"project": "shop", "host": "Shop.example.com", "method": "GET", "path": "/a", "status": 200.0, "outcome": "forwarded",
		"client": "127.0.0.1", "bytes": float64(len(a.body)), "requestId": a.header.Get("X-Request-Id")} {
		if line[name] != want {
			t.Errorf("%s: %v, want %v", name, line[name], want)
		}
	}
	if strings.Contains(lines.String(), "secret") {
		t.Error("a query is in the log")
	}
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(data)
}

func TestRedirectToHTTPS(t *testing.T) {
	t.Parallel()
	router := newRouter(t, Config{}, sleeping("shop", "shop.example.com", "2001:db8::1"))
	for _, c := range []struct{ host, target, want string }{
		{"shop.example.com", "/a?b=c", "https://shop.example.com/a?b=c"},
		{"SHOP.example.com.", "//evil.example.com/", "https://shop.example.com//evil.example.com/"},
		{"shop.example.com:8080", "/", "https://shop.example.com:8443/"},
		{"[2001:db8::1]", "/", "https://[2001:db8::1]/"},
		{"[2001:db8::1]:8080", "/", "https://[2001:db8::1]:8443/"},
		{"no.example.com", "/", ""},
	} {
		req := httptest.NewRequest("GET", "/", nil)
		req.Host = c.host
		req.URL.Path, req.URL.RawQuery, _ = strings.Cut(c.target, "?")
		recorder := httptest.NewRecorder()
		router.RedirectToHTTPS("8443").ServeHTTP(recorder, req)
		if got := recorder.Header().Get("Location"); got != c.want || (recorder.Code == 308) != (c.want != "") {
			t.Errorf("%s: %d %q, want %q", c.host, recorder.Code, got, c.want)
		}
	}
}

// reporter keeps what it is told.
type reporter struct {
	told chan routes.Activity
	err  error
}

func (r *reporter) Report(_ context.Context, activity routes.Activity) error {
	if r.err != nil {
		return r.err
	}
	r.told <- activity
	return nil
}

func TestActivity(t *testing.T) {
	t.Parallel()
	tenant, open := gatedTenant(t)
	told := &reporter{told: make(chan routes.Activity, 9)}
	router := newRouter(t, Config{Reporter: told}, running("a", tenant, "a.example.com"), running("b", tenant, "b.example.com"), running("c", tenant, "c.example.com"))
	url, stop := serve(t, router, ServeConfig{})
	report := func() *routes.Activity {
		if err := router.report(context.Background()); err != nil && told.err == nil {
			t.Error(err)
		}
		select {
		case activity := <-told.told:
			return &activity
		default:
			return nil
		}
	}
	if got := report(); got != nil {
		t.Errorf("a report of nothing: %v", got)
	}
	before := time.Now()
	occupy(t, router, url, "a.example.com", 2)
	_ = send(t, url, request{host: "b.example.com", path: "/free"})
	eventually(t, "b is idle", func() bool { return router.open.Load() == 2 })
	got := report()
	if got == nil || len(got.Projects) != 2 || got.Projects["a"].Open != 2 || got.Projects["b"].Open != 0 || got.Projects["a"].Last.Before(before) || got.Projects["b"].Last.Before(before) {
		t.Fatalf("%+v", got)
	}
	// What is open is used now.
	again := report()
	if again == nil || len(again.Projects) != 1 || !again.Projects["a"].Last.After(got.Projects["a"].Last) {
		t.Errorf("%+v", again)
	}
	open()
	eventually(t, "a is idle", func() bool { return router.open.Load() == 0 })
	told.err = errors.New("no platform")
	if got := report(); got != nil {
		t.Errorf("%+v", got)
	}
	told.err = nil
	eventually(t, "a report that got lost comes again", func() bool {
		got = report()
		return got != nil && got.Projects["a"].Open == 0
	})
	if got := report(); got != nil {
		t.Errorf("idle chatter: %+v", got)
	}
	_ = send(t, url, request{host: "b.example.com", path: "/free"})
	if err := stop(); err != nil {
		t.Error(err)
	}
	select {
	case activity := <-told.told:
		if _, ok := activity.Projects["b"]; !ok {
			t.Errorf("%+v", activity)
		}
	default:
		t.Error("what was used last is not told at the end")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	table := NewTable(quietLogger())
	for _, bad := range []Config{{}, {Resolver: table, WakeTimeout: -1}, {Resolver: table, Limits: Limits{Held: -1}}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v", bad)
		}
	}
	router := newRouter(t, Config{})
	if err := router.Serve(context.Background(), ServeConfig{}); err == nil {
		t.Error("serves nowhere")
	}
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	_ = listener.Close()
	if err := router.Serve(context.Background(), ServeConfig{HTTP: listener}); err == nil || errors.Is(err, http.ErrServerClosed) {
		t.Errorf("%v", err)
	}
}
