package router

import (
	"context"
	"errors"
	"fmt"
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

func sleeping(project string, hosts ...string) routes.Route {
	return routes.Route{Project: project, Hosts: hosts, State: routes.Asleep}
}

func TestHerd(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	began := make(chan struct{})
	release := make(chan struct{})
	w := &waker{wake: func(context.Context, string) (routes.Route, error) {
		close(began) // a second call would panic
		<-release
		return shop.route("shop.example.com"), nil
	}}
	router, table, url := start(t, Config{Waker: w}, sleeping("shop", "shop.example.com"))
	const herd = 1000
	var all sync.WaitGroup
	var failed atomic.Int64
	for i := range herd {
		all.Go(func() {
			body := fmt.Sprint("body ", i)
			a, err := try(context.Background(), url, request{method: "POST", path: fmt.Sprint("/", i), host: "shop.example.com", body: body})
			if err != nil || a.status != 200 || a.seen.Body != body {
				failed.Add(1)
				t.Logf("%d: %v %d %s", i, err, a.status, a.body)
			}
		})
	}
	<-began
	eventually(t, "all are held", func() bool { return router.held.Load() == herd })
	if n := shop.count.Load(); n != 0 {
		t.Errorf("%d requests came before it was awake", n)
	}
	close(release)
	all.Wait()
	if failed.Load() > 0 || w.calls.Load() != 1 || shop.count.Load() != herd {
		t.Errorf("%d failed, %d wakes, %d requests", failed.Load(), w.calls.Load(), shop.count.Load())
	}
	traffic := table.resolve("shop.example.com").traffic.Load()
	eventually(t, "nothing is counted any more", func() bool {
		return router.held.Load()+router.open.Load()+router.buffered.Load()+traffic.held.Load()+traffic.taken.Load()+traffic.open.Load() == 0
	})
}

func TestWakeTimeout(t *testing.T) {
	t.Parallel()
	w := &waker{wake: func(ctx context.Context, _ string) (routes.Route, error) {
		<-ctx.Done()
		return routes.Route{}, ctx.Err()
	}}
	router, table, url := start(t, Config{Waker: w, WakeTimeout: 50 * time.Millisecond}, sleeping("slow", "slow.example.com"))
	for range 2 {
		a := send(t, url, request{host: "slow.example.com", header: http.Header{"Origin": {"https://app.example.org"}}})
		if a.status != 503 || a.code() != "waking" || a.header.Get("Retry-After") == "" || a.header.Get("X-PicoBase-Forwarded") != "false" ||
			a.header.Get("Access-Control-Allow-Origin") != "https://app.example.org" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
	}
	// The wake goes on for those who come back.
	if n := w.calls.Load(); n != 1 {
		t.Errorf("%d wakes", n)
	}
	// The table may know before the waker does.
	shop := newTenant(t, "slow")
	router.cfg.WakeTimeout = patienceOfTests
	got := make(chan answer, 1)
	go func() {
		a, _ := try(context.Background(), url, request{host: "slow.example.com"})
		got <- a
	}()
	eventually(t, "it is held", func() bool { return router.held.Load() == 1 })
	put(table, shop.route("slow.example.com"))
	if a := <-got; a.seen.Tenant != "slow" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestWakeRefused(t *testing.T) {
	t.Parallel()
	var answerWith atomic.Pointer[error]
	w := &waker{wake: func(context.Context, string) (routes.Route, error) { return routes.Route{}, *answerWith.Load() }}
	_, table, url := start(t, Config{Waker: w}, sleeping("a", "a.example.com"), sleeping("b", "b.example.com"))
	quota := error(apierr.New(503, "quota_exceeded", "The organization's quota is used up.").WithRetryAfter(time.Hour))
	answerWith.Store(&quota)
	for range 3 {
		a := send(t, url, request{host: "a.example.com"})
		if a.status != 503 || a.code() != "quota_exceeded" || a.header.Get("Retry-After") != "3600" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n := w.calls.Load(); n != 1 {
		t.Errorf("a waker that refused was asked %d times at once", n)
	}
	other := errors.New("dial 10.0.0.1: refused")
	answerWith.Store(&other)
	if a := send(t, url, request{host: "b.example.com"}); a.status != 503 || a.code() != "waking" || strings.Contains(string(a.body), "10.0.0.1") {
		t.Errorf("%d %s", a.status, a.body)
	}
	// It is asked again after a while, and others never wait for that.
	shop := newTenant(t, "a")
	w.wake = func(context.Context, string) (routes.Route, error) { return shop.route("a.example.com"), nil }
	eventually(t, "asked again", func() bool { return send(t, url, request{host: "a.example.com"}).status == 200 })
	if state := table.resolve("a.example.com").place.Load().state; state != routes.Running {
		t.Error(state)
	}
}

func TestClientGoneWhileHeld(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	release := make(chan struct{})
	ended := make(chan error, 1)
	w := &waker{wake: func(ctx context.Context, _ string) (routes.Route, error) {
		<-release
		ended <- ctx.Err()
		return shop.route("shop.example.com"), nil
	}}
	router, table, url := start(t, Config{Waker: w}, sleeping("shop", "shop.example.com"))
	for _, body := range []string{"", "body"} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			_, err := try(ctx, url, request{method: "POST", host: "shop.example.com", body: body})
			done <- err
		}()
		eventually(t, "it is held", func() bool { return router.held.Load() == 1 })
		cancel()
		if err := <-done; err == nil {
			t.Error("answered")
		}
		eventually(t, "its wait ends", func() bool { return router.held.Load() == 0 })
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the wake ended with its client: %v", err)
	}
	eventually(t, "it runs", func() bool { return table.resolve("shop.example.com").place.Load().state == routes.Running })
	if shop.count.Load() != 0 {
		t.Error("a request without a client was forwarded")
	}
}

// A route can be out of date: the tenant sleeps already, or runs elsewhere.
func TestStaleRoute(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	nobody, _ := net.Listen("tcp", "127.0.0.1:0")
	stale := "http://" + nobody.Addr().String()
	_ = nobody.Close()
	w := &waker{wake: func(context.Context, string) (routes.Route, error) { return shop.route("shop.example.com"), nil }}
	_, _, url := start(t, Config{Waker: w}, running("shop", stale, "shop.example.com"))
	large := strings.Repeat("x", keepLimit+1)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			// A large body is not kept, but nothing of it has been sent.
			if a := send(t, url, request{method: "POST", host: "shop.example.com", body: large}); a.status != 200 || a.seen.Body != large {
				t.Errorf("%d %d bytes", a.status, len(a.seen.Body))
			}
		})
	}
	all.Wait()
	if n := w.calls.Load(); n > 2 {
		t.Errorf("%d wakes", n)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	nobody, _ := net.Listen("tcp", "127.0.0.1:0")
	address := nobody.Addr().String()
	_ = nobody.Close()
	w := &waker{wake: func(context.Context, string) (routes.Route, error) {
		return running("a", "http://"+address, "a.example.com"), nil
	}}
	for name, cfg := range map[string]Config{"no waker": {}, "waker": {Waker: w}} {
		t.Run(name, func(t *testing.T) {
			cfg.WakeTimeout = 300 * time.Millisecond
			_, _, url := start(t, cfg, running("a", "http://"+address, "a.example.com"))
			a := send(t, url, request{host: "a.example.com"})
			if a.status != 502 || a.code() != "upstream_failed" || a.header.Get("X-PicoBase-Forwarded") != "false" || strings.Contains(string(a.body), address) {
				t.Errorf("%d %v %s", a.status, a.header, a.body)
			}
		})
	}
	if n := w.calls.Load(); n > 2 {
		t.Errorf("one that runs and is not reachable was woken %d times", n)
	}
	// It comes back meanwhile, as after a restart.
	_, _, url := start(t, Config{}, running("a", "http://"+address, "a.example.com"))
	got := make(chan answer, 1)
	go func() {
		a, _ := try(context.Background(), url, request{host: "a.example.com"})
		got <- a
	}()
	time.AfterFunc(100*time.Millisecond, func() {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		server := &http.Server{Handler: &tenant{name: "a"}}
		t.Cleanup(func() { _ = server.Close() })
		_ = server.Serve(listener)
	})
	if a := <-got; a.seen.Tenant != "a" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A tenant that is on its way to sleep refuses, and says that it has done nothing.
func TestDrainingTenant(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	draining := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-PicoBase-Forwarded", "false")
		_ = apierr.Write(w, r, apierr.New(503, "draining", "x").WithRetryAfter(time.Second))
	}))
	defer draining.Close()
	w := &waker{wake: func(context.Context, string) (routes.Route, error) { return shop.route("shop.example.com"), nil }}
	router, table, url := start(t, Config{Waker: w}, running("shop", draining.URL, "shop.example.com"))
	for _, body := range []string{"", "body", strings.Repeat("x", keepLimit)} {
		put(table, running("shop", draining.URL, "shop.example.com"))
		table.resolve("shop.example.com").use(&router.cfg.Limits).waking.awoke = time.Time{}
		if a := send(t, url, request{method: "POST", host: "shop.example.com", body: body}); a.seen.Tenant != "shop" || a.seen.Body != body {
			t.Errorf("%d bytes: %d %s", len(body), a.status, a.body)
		}
	}
	// What cannot be sent again gets the tenant's own answer.
	put(table, running("shop", draining.URL, "shop.example.com"))
	a := send(t, url, request{method: "POST", host: "shop.example.com", body: strings.Repeat("x", keepLimit+1)})
	if a.status != 503 || a.code() != "draining" || a.header.Get("X-PicoBase-Forwarded") != "false" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

// corsTenant allows one origin, as plugins/access does: every OPTIONS is a
// preflight, and a request from elsewhere is handled all the same.
func corsTenant(t *testing.T, allowed string) (server *httptest.Server, handled *atomic.Int64) {
	handled = &atomic.Int64{}
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") == allowed {
			w.Header().Set("Access-Control-Allow-Origin", allowed)
		}
		if r.Method == http.MethodOptions {
			w.Header().Set("X-Tenant", "yes")
			w.WriteHeader(204)
			return
		}
		handled.Add(1)
	}))
	t.Cleanup(server.Close)
	return server, handled
}

func TestPreflightOfSleepingProject(t *testing.T) {
	t.Parallel()
	const good, bad = "https://app.example.org", "https://evil.example.net"
	server, handled := corsTenant(t, good)
	release := make(chan struct{})
	w := &waker{wake: func(context.Context, string) (routes.Route, error) {
		<-release
		return running("shop", server.URL, "shop.example.com"), nil
	}}
	_, table, url := start(t, Config{Waker: w}, sleeping("shop", "shop.example.com"))
	preflight := func() answer {
		return send(t, url, request{method: "OPTIONS", host: "shop.example.com", header: http.Header{"Origin": {bad},
			"Access-Control-Request-Method": {"DELETE"}, "Access-Control-Request-Headers": {"authorization,x-api-key"}}})
	}
	a := preflight()
	if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != bad || a.header.Get("Access-Control-Allow-Credentials") != "" ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "DELETE") || a.header.Get("Access-Control-Allow-Headers") != "authorization,x-api-key" ||
		a.header.Get("Access-Control-Max-Age") != "0" || a.header.Get("X-Tenant") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	eventually(t, "the project wakes already", func() bool { return w.calls.Load() == 1 })
	close(release)

	ask := func(method, origin string, header http.Header) answer {
		header.Set("Origin", origin)
		return send(t, url, request{method: method, host: "shop.example.com", header: header})
	}
	// What the preflight has let through is not let through by the project.
	if a := ask("DELETE", bad, http.Header{}); a.status != 403 || a.code() != "origin_not_allowed" || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if a := ask("GET", bad, http.Header{"X-Api-Key": {"k"}}); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if n := handled.Load(); n != 0 {
		t.Fatalf("%d requests of an origin that is not allowed were handled", n)
	}
	if a := ask("DELETE", good, http.Header{}); a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != good {
		t.Errorf("%d %v", a.status, a.header)
	}
	// Without a preflight, everything is the project's own business.
	if a := ask("GET", bad, http.Header{}); a.status != 200 {
		t.Errorf("%d", a.status)
	}
	if a := send(t, url, request{method: "DELETE", host: "shop.example.com"}); a.status != 200 {
		t.Errorf("%d", a.status)
	}
	if a := preflight(); a.header.Get("X-Tenant") != "yes" {
		t.Error("a project that runs does not answer preflights itself")
	}
	// Another router may have answered the preflight: this one saw the wake.
	p := table.resolve("shop.example.com")
	p.traffic.Load().preflight.Store(0)
	if a := ask("DELETE", bad, http.Header{}); a.status != 403 {
		t.Errorf("%d", a.status)
	}
	// Long after that the project is not asked.
	long := *p.place.Load()
	long.woke = time.Now().Add(-doubt)
	p.place.Store(&long)
	if a := ask("DELETE", bad, http.Header{}); a.status != 200 {
		t.Errorf("%d", a.status)
	}
}

// What the table says while a project wakes is newer than what the wake says.
func TestStoppedWhileWaking(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	release := make(chan struct{})
	w := &waker{wake: func(context.Context, string) (routes.Route, error) {
		<-release
		return shop.route("shop.example.com"), nil
	}}
	router, table, url := start(t, Config{Waker: w}, sleeping("shop", "shop.example.com"))
	got := make(chan answer, 1)
	go func() {
		a, _ := try(context.Background(), url, request{host: "shop.example.com"})
		got <- a
	}()
	eventually(t, "it is held", func() bool { return router.held.Load() == 1 })
	p := table.resolve("shop.example.com")
	// As if the waker had answered just before those who wait were told.
	p.place.Store(&place{state: routes.Off})
	close(release)
	if a := <-got; a.code() != "project_stopped" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	router, _, url := start(t, Config{}, shop.route("shop.example.com"))
	router.transport = roundTripper(func(*http.Request) (*http.Response, error) { panic("a fault") })
	a := send(t, url, request{host: "shop.example.com"})
	if a.status != 500 || a.code() != "internal_error" || a.header.Get("X-PicoBase-Forwarded") != "" || strings.Contains(string(a.body), "fault") {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	eventually(t, "its slot is free", func() bool { return router.open.Load() == 0 })
}
