package router

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

// gatedTenant answers when it is let, and at once below /free.
func gatedTenant(t *testing.T) (url string, open func()) {
	let := make(chan struct{})
	open = sync.OnceFunc(func() { close(let) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		if r.URL.Path != "/free" {
			select {
			case <-let:
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(func() {
		open()
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, open
}

// occupy sends n requests that stay open.
func occupy(t *testing.T, router *Router, url, host string, n int) (results chan answer) {
	t.Helper()
	before := router.open.Load()
	results = make(chan answer, n)
	for range n {
		go func() {
			a, _ := try(context.Background(), url, request{host: host})
			results <- a
		}()
	}
	eventually(t, "they are open", func() bool { return router.open.Load() == before+int64(n) })
	return results
}

func TestProjectBusy(t *testing.T) {
	t.Parallel()
	tenant, open := gatedTenant(t)
	router, _, url := start(t, Config{Limits: Limits{Requests: 3, Held: 2}}, running("a", tenant, "a.example.com"), running("b", tenant, "b.example.com"))
	first := occupy(t, router, url, "a.example.com", 3)
	// One more waits for a moment, and is refused.
	a := send(t, url, request{host: "a.example.com"})
	if a.status != 503 || a.code() != "project_busy" || a.header.Get("Retry-After") == "" || a.header.Get("X-PicoBase-Forwarded") != "false" {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Nobody else is.
	if a := send(t, url, request{host: "b.example.com", path: "/free"}); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Only so many may wait, and those have their turn.
	second := make(chan answer, 2)
	for range 2 {
		go func() {
			a, _ := try(context.Background(), url, request{host: "a.example.com"})
			second <- a
		}()
	}
	eventually(t, "two wait", func() bool { return router.held.Load() == 2 })
	began := time.Now()
	if a := send(t, url, request{host: "a.example.com"}); a.code() != "project_busy" || time.Since(began) > busyWait/2 {
		t.Errorf("after %s: %d %s", time.Since(began), a.status, a.body)
	}
	open()
	for range 3 {
		if a := <-first; a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	for range 2 {
		if a := <-second; a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestFairShare(t *testing.T) {
	t.Parallel()
	tenant, _ := gatedTenant(t)
	router, _, url := start(t, Config{Limits: Limits{Requests: 100, TotalRequests: 32}},
		running("a", tenant, "a.example.com"), running("b", tenant, "b.example.com"))
	occupy(t, router, url, "a.example.com", 24)
	if a := send(t, url, request{host: "a.example.com", path: "/free"}); a.code() != "project_busy" {
		t.Errorf("a project that has most of everything gets more: %d %s", a.status, a.body)
	}
	occupy(t, router, url, "b.example.com", 2)
	if a := send(t, url, request{host: "b.example.com", path: "/free"}); a.code() != "project_busy" {
		t.Errorf("more than its share: %d %s", a.status, a.body)
	}
	// All of it is taken: nobody gets anything.
	router.open.Add(6)
	defer router.open.Add(-6)
	if a := send(t, url, request{host: "a.example.com", path: "/free"}); a.code() != "router_busy" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestStreamsAreNoRequests(t *testing.T) {
	t.Parallel()
	tenant, _ := gatedTenant(t)
	router, _, url := start(t, Config{Limits: Limits{Requests: 1, Streams: 2}}, running("a", tenant, "a.example.com"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := range 2 {
		go func() { _, _ = try(ctx, url, request{host: "a.example.com", path: "/stream"}) }()
		eventually(t, "it streams", func() bool { return router.metrics.streams.Load() == int64(i+1) })
	}
	if a := send(t, url, request{host: "a.example.com", path: "/free"}); a.status != 200 {
		t.Errorf("streams take the place of requests: %d %s", a.status, a.body)
	}
	if a := send(t, url, request{host: "a.example.com", path: "/stream"}); a.status != 503 || a.code() != "project_busy" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestHeldBound(t *testing.T) {
	t.Parallel()
	w := &waker{wake: func(ctx context.Context, _ string) (routes.Route, error) {
		<-ctx.Done()
		return routes.Route{}, ctx.Err()
	}}
	router, _, url := start(t, Config{Waker: w, Limits: Limits{Held: 2, TotalHeld: 3}}, sleeping("a", "a.example.com"), sleeping("b", "b.example.com"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i, host := range []string{"a.example.com", "a.example.com", "b.example.com"} {
		go func() { _, _ = try(ctx, url, request{host: host}) }()
		eventually(t, "held", func() bool { return router.held.Load() == int64(i+1) })
	}
	if a := send(t, url, request{host: "a.example.com"}); a.code() != "project_busy" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := send(t, url, request{host: "b.example.com"}); a.code() != "router_busy" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestKeptBodiesAreBounded(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	router, _, url := start(t, Config{}, shop.route("shop.example.com"))
	router.buffered.Store(keepTotal)
	if a := send(t, url, request{method: "POST", host: "shop.example.com", body: "body"}); a.seen.Body != "body" {
		t.Errorf("%d %s", a.status, a.body)
	}
	eventually(t, "nothing is left over", func() bool { return router.buffered.Load() == keepTotal })
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	router, _, url := start(t, Config{Limits: Limits{ConnectionsPerClient: 2, Connections: 3}}, shop.route("shop.example.com"))
	address := strings.TrimPrefix(url, "http://")
	open := func() net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	first := open()
	_ = open()
	eventually(t, "two are counted", func() bool { return router.metrics.conns.Load() == 2 })
	third := open()
	_ = third.SetReadDeadline(time.Now().Add(patienceOfTests))
	if _, err := third.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a third connection stays open: %v", err)
	}
	_ = first.Close()
	eventually(t, "one is counted off", func() bool { return router.metrics.conns.Load() == 1 })
	if a := send(t, url, request{host: "shop.example.com"}); a.status != 200 {
		t.Errorf("%d", a.status)
	}
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	router, table, url := start(t, Config{}, shop.route("shop.example.com"))
	router.patience, router.bodyGrace = 100*time.Millisecond, 200*time.Millisecond
	for name, announced := range map[string]string{"kept": "Content-Length: 10", "streamed": "Content-Length: 1000000", "chunked": "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: shop.example.com\r\n%s\r\n\r\n1\r\n", announced)
		raw, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(raw), "HTTP/1.1 408 ") || !strings.Contains(string(raw), "request_timeout") {
			t.Errorf("%s: %q", name, raw)
		}
	}
	eventually(t, "their slots are free", func() bool { return router.open.Load() == 0 })
	// How long the answer takes is no matter, whatever was sent.
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(3 * router.patience):
			fmt.Fprint(w, "{}")
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	put(table, running("slow", slow.URL, "slow.example.com"))
	for _, body := range []string{"body", strings.Repeat("x", keepLimit+1)} {
		if a := send(t, url, request{method: "POST", host: "slow.example.com", body: body}); a.status != 200 || string(a.body) != "{}" {
			t.Errorf("%d bytes: %d %s", len(body), a.status, a.body)
		}
	}
}

func TestSlowReader(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(gone)
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	router, _, url := start(t, Config{}, running("big", server.URL, "big.example.com"))
	router.patience = 200 * time.Millisecond
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: big.example.com\r\n\r\n")
	select {
	case <-gone:
	case <-time.After(patienceOfTests):
		t.Error("a client that reads nothing is served for ever")
	}
	eventually(t, "its slot is free", func() bool { return router.open.Load() == 0 })
}
