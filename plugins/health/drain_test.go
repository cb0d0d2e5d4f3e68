package health

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/pocketbase/pocketbase/tools/subscriptions"
)

// slowRoute adds GET /slow, which sends half its answer, waits for release
// and sends the rest.
func slowRoute(release <-chan struct{}) func(r *router.Router[*core.RequestEvent]) {
	return func(r *router.Router[*core.RequestEvent]) {
		r.GET("/slow", func(e *core.RequestEvent) error {
			if _, err := io.WriteString(e.Response, "first "); err != nil {
				return err
			}
			select {
			case <-release:
			case <-e.Request.Context().Done():
				return e.Request.Context().Err()
			}
			_, err := io.WriteString(e.Response, "second")
			return err
		})
	}
}

func TestDrainWaitsForRequests(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	s := newServer(t, Config{}, slowRoute(released))
	t.Cleanup(release) // the server waits for its requests
	slow := make(chan reply, 1)
	go func() { slow <- s.get(t, "/slow") }()
	eventually(t, "the request", func() bool { return s.plugin.inFlight.Load() == 1 })

	const drains = 3
	drained := make(chan error, drains)
	for range drains {
		go func() { drained <- s.plugin.Drain(context.Background()) }()
	}
	eventually(t, "draining", s.plugin.draining.Load)

	for _, path := range []string{"/api/health", "/slow", "/api/realtime", "/nowhere"} {
		got := s.get(t, path)
		if got.status != 503 || got.code() != "draining" || got.header.Get("X-PicoBase-Forwarded") != "false" || got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
	for path, want := range map[string]int{"/api/v1/live": 200, "/api/v1/ready": 503, "/api/v1/health": 200, "/metrics": 200} {
		if got := s.get(t, path); got.status != want {
			t.Errorf("%s: got %d, want %d", path, got.status, want)
		}
	}
	select {
	case err := <-drained:
		t.Fatalf("Drain returned %v with a request in flight", err)
	default:
	}

	release()
	for range drains {
		if err := <-drained; err != nil {
			t.Error(err)
		}
	}
	if got := <-slow; got.status != 200 || got.body != "first second" {
		t.Errorf("the request in flight got %d %q", got.status, got.body)
	}
	if err := s.plugin.Drain(context.Background()); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestDrainClosesConnections(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, nil)
	if err := s.plugin.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(s.URL + "/api/health")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if !response.Close {
		t.Error("the connection stays open")
	}
}

func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*Plugin) error{
		"at its timeout": func(p *Plugin) error {
			p.cfg.DrainTimeout = time.Millisecond
			return p.Drain(context.Background())
		},
		"with its context": func(p *Plugin) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return p.Drain(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			s := newServer(t, Config{}, slowRoute(release))
			done := make(chan struct{})
			go func() { defer close(done); s.get(t, "/slow") }()
			eventually(t, "the request", func() bool { return s.plugin.inFlight.Load() == 1 })
			err := run(s.plugin)
			if err == nil || !strings.Contains(err.Error(), "1 requests still in flight") ||
				!errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			close(release)
			<-done
		})
	}
}

func TestPanicIsNotInFlightForEver(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, func(r *router.Router[*core.RequestEvent]) {
		// The one panic that PocketBase lets through.
		r.GET("/panic", func(*core.RequestEvent) error { panic(http.ErrAbortHandler) })
	})
	if response, err := http.Get(s.URL + "/panic"); err == nil {
		t.Errorf("got %d", response.StatusCode)
		_ = response.Body.Close()
	}
	if err := s.plugin.Drain(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestDrainEndsRealtime(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, nil)
	const count = 5
	var clients []*subscriber
	for range count {
		clients = append(clients, s.subscribe(t))
	}
	if n, m := s.plugin.realtime.Load(), s.plugin.inFlight.Load(); n != count || m != 0 {
		t.Errorf("%d streams and %d requests in flight, want %d and 0", n, m, count)
	}
	if err := s.plugin.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, client := range clients {
		rest, err := client.rest()
		if err != nil || strings.Count(rest, "event:pico_shutdown\ndata:{\"reconnect\":true}\n") != 1 {
			t.Errorf("the stream ended with %v after %q", err, rest)
		}
	}
	eventually(t, "the end of the streams", func() bool { return s.plugin.realtime.Load() == 0 })
}

// TestStuckRealtimeClients has clients of which nobody takes a message, far more
// than the readers among them.
func TestStuckRealtimeClients(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, nil)
	broker := s.app.SubscriptionsBroker()
	for range 500 {
		broker.Register(subscriptions.NewDefaultClient())
	}
	client := s.subscribe(t)
	if err := s.plugin.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if rest, err := client.rest(); err != nil || !strings.Contains(rest, TopicShutdown) {
		t.Errorf("the reader's stream ended with %v after %q", err, rest)
	}
	if n := broker.TotalClients(); n != 0 {
		t.Errorf("%d clients are left", n)
	}
}

// TestClientThatHungUp has a client whose channel is closed when Drain tells it.
func TestClientThatHungUp(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, nil)
	broker := s.app.SubscriptionsBroker()
	gone := subscriptions.NewDefaultClient()
	gone.Discard()
	broker.Register(gone)
	if err := s.plugin.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := broker.TotalClients(); n != 0 {
		t.Errorf("%d clients are left", n)
	}
}

func TestIsStream(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"GET /api/realtime":           true,
		"GET /api/v1/logs/stream":     true,
		"POST /api/realtime":          false,
		"POST /api/v1/logs/stream":    false,
		"GET /api/v1/logs":            false,
		"GET /api/x/stream":           false,
		"GET /api/v1/hooks/{version}": false,
		"/":                           false,
	} {
		if got := isStream(pattern); got != want {
			t.Errorf("%q: got %v", pattern, got)
		}
	}
}

// TestNoGoroutineIsLeft is not parallel: it counts the whole process' goroutines.
func TestNoGoroutineIsLeft(t *testing.T) {
	s := newServer(t, Config{}, nil)
	s.get(t, "/api/v1/live")
	http.DefaultClient.CloseIdleConnections()
	start := runtime.NumGoroutine()
	for range 3 {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { s.get(t, "/api/v1/health"); s.get(t, "/metrics") })
		}
		wg.Wait()
		for range 20 {
			s.app.SubscriptionsBroker().Register(subscriptions.NewDefaultClient())
		}
		if err := s.plugin.Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.plugin.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.plugin.Start(); err != nil {
			t.Fatal(err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "the goroutines", func() bool { return runtime.NumGoroutine() <= start })
}

// BenchmarkCount is what the middleware adds to every request.
func BenchmarkCount(b *testing.B) {
	p := &Plugin{}
	e := &core.RequestEvent{}
	e.Request = &http.Request{Pattern: "GET /api/collections/{collection}/records/{id}"}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.count(e); err != nil {
			b.Fatal(err)
		}
	}
}
