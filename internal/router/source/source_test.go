package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/router"
	"github.com/picobase/picobase/internal/routes"
	"github.com/picobase/picobase/internal/secret"
)

const patience = 20 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// table remembers what was applied, as the router's would.
type table struct {
	mu       sync.Mutex
	messages []string
}

func (t *table) Apply(m routes.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := string(m.Op)
	if m.Route != nil {
		text += " " + m.Route.Project
	}
	t.messages = append(t.messages, text)
}

func (t *table) has(want ...string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Equal(t.messages, want)
}

func (t *table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.messages, ", ")
}

// platform is a server that speaks as the platform does.
type platform struct {
	*httptest.Server
	streams chan chan string // one for each that is connected
	handle  func(w http.ResponseWriter, r *http.Request)
}

func newPlatform(t *testing.T) *platform {
	p := &platform{streams: make(chan chan string, 100)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer shared" {
			_ = apierr.Write(w, r, apierr.New(401, "unauthorized", "no"))
			return
		}
		if r.URL.Path != routes.Path {
			p.handle(w, r)
			return
		}
		lines := make(chan string)
		p.streams <- lines
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					return
				}
				fmt.Fprintln(w, line)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func connect(t *testing.T, cfg PlatformConfig) *Platform {
	t.Helper()
	if cfg.Token.IsZero() {
		cfg.Token = secret.New("shared")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	source, err := NewPlatform(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func run(t *testing.T, source Source, to Table) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		source.Run(ctx, to)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func TestPlatformStream(t *testing.T) {
	t.Parallel()
	server, to := newPlatform(t), &table{}
	connected := make(chan bool, 100)
	run(t, connect(t, PlatformConfig{URL: server.URL + "/", Connected: func(is bool) { connected <- is }}), to)
	lines := <-server.streams
	for _, line := range []string{`{"op":"begin"}`, `{"op":"put","route":{"project":"a","hosts":["a.example.com"],"state":"asleep"}}`, `{"op":"end"}`, ``, `{"op":"ping"}`, `{"op":"remove","route":{"project":"a"}}`} {
		lines <- line
	}
	eventually(t, "all is applied: "+to.String(), func() bool { return to.has("begin", "put a", "end", "ping", "remove a") })
	if !<-connected {
		t.Error("not connected")
	}
	// The stream breaks: what there is stays, and another one begins.
	close(lines)
	if <-connected {
		t.Error("still connected")
	}
	lines = <-server.streams
	lines <- `{"op":"begin"}`
	eventually(t, "a new table begins", func() bool { return strings.HasSuffix(to.String(), ", remove a, begin") })
	lines <- `no message`
	<-server.streams
}

func TestSilentPlatform(t *testing.T) {
	t.Parallel()
	server := newPlatform(t)
	run(t, connect(t, PlatformConfig{URL: server.URL, silence: 50 * time.Millisecond}), &table{})
	<-server.streams
	select {
	case <-server.streams:
	case <-time.After(patience):
		t.Error("a stream that is silent for too long is kept")
	}
}

func TestWrongToken(t *testing.T) {
	t.Parallel()
	server := newPlatform(t)
	var log syncBuffer
	source := connect(t, PlatformConfig{URL: server.URL, Token: secret.New("other"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	run(t, source, &table{})
	eventually(t, "the reason is logged", func() bool { return strings.Contains(log.String(), "PICOBASE_ROUTER_TOKEN") })
	if strings.Contains(log.String(), "other") {
		t.Error("the token is in the log")
	}
	if _, err := source.Wake(context.Background(), "a"); err == nil || asAPI(err) != nil {
		t.Errorf("%v", err)
	}
}

func asAPI(err error) *apierr.Error {
	var own *apierr.Error
	if errors.As(err, &own) {
		return own
	}
	return nil
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(data)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func TestWake(t *testing.T) {
	t.Parallel()
	server := newPlatform(t)
	server.handle = func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /api/platform/v1/routes/runs/wake":
			_ = json.NewEncoder(w).Encode(routes.Route{Project: "runs", State: routes.Running, URL: "http://a:1"})
		case "POST /api/platform/v1/routes/quota/wake":
			_ = apierr.Write(w, r, apierr.New(402, "quota_exceeded", "Used up.").WithRetryAfter(7*time.Second))
		case "POST /api/platform/v1/routes/unknown/wake":
			_ = apierr.Write(w, r, apierr.New(404, "project_not_found", "No."))
		case "POST /api/platform/v1/routes/fault/wake":
			_ = apierr.Write(w, r, apierr.ErrInternal)
		default:
			http.Error(w, "what?", http.StatusServiceUnavailable)
		}
	}
	source := connect(t, PlatformConfig{URL: server.URL})
	route, err := source.Wake(context.Background(), "runs")
	if err != nil || route.URL != "http://a:1" {
		t.Errorf("%+v %v", route, err)
	}
	_, err = source.Wake(context.Background(), "quota")
	if own := asAPI(err); own == nil || own.Status != 503 || own.Code != "quota_exceeded" || own.RetryAfter != 7*time.Second {
		t.Errorf("%v", err)
	}
	_, err = source.Wake(context.Background(), "unknown")
	if own := asAPI(err); own == nil || own.Status != 404 {
		t.Errorf("%v", err)
	}
	for _, id := range []string{"fault", "a/../b", "other"} {
		if _, err := source.Wake(context.Background(), id); err == nil || asAPI(err) != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A platform that restarts is asked again while somebody waits.
func TestWakeOutlastsARestart(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	address := gone.Listener.Addr().String()
	gone.Close()
	source := connect(t, PlatformConfig{URL: "http://" + address})
	ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := source.Wake(ctx, "a"); err == nil || time.Since(began) < 500*time.Millisecond {
		t.Errorf("given up after %s: %v", time.Since(began), err)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	server := newPlatform(t)
	got := make(chan routes.Activity, 1)
	server.handle = func(w http.ResponseWriter, r *http.Request) {
		var activity routes.Activity
		if err := json.NewDecoder(r.Body).Decode(&activity); err != nil || r.URL.Path != routes.ActivityPath {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		got <- activity
		w.WriteHeader(204)
	}
	sent := routes.Activity{Projects: map[string]routes.Use{"a": {Last: time.Now().UTC(), Open: 2}}}
	if err := connect(t, PlatformConfig{URL: server.URL}).Report(context.Background(), sent); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.Projects["a"].Open != 2 || !a.Projects["a"].Last.Equal(sent.Projects["a"].Last) {
		t.Errorf("%+v", a)
	}
	if err := connect(t, PlatformConfig{URL: server.URL, Token: secret.New("other")}).Report(context.Background(), sent); err == nil {
		t.Error("refused, and no error")
	}
}

func TestPlatformConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []PlatformConfig{{}, {URL: "platform"}, {URL: "http://a/b", Token: secret.New("x")}, {URL: "http://a"}, {URL: "ftp://a", Token: secret.New("x")}} {
		if _, err := NewPlatform(cfg); err == nil {
			t.Errorf("%+v", cfg)
		}
	}
}

const goodFile = `{"routes": [
	{"project": "shop", "hosts": ["shop.example.com"], "url": "http://127.0.0.1:8090"},
	{"project": "blog", "hosts": ["blog.example.com"], "state": "off", "message": "Closed."}
]}`

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "routes.json")
	write := func(content string) {
		// As editors and orchestrators do it.
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write(goodFile)
	var log syncBuffer
	source, err := NewFile(path, router.CheckRoute, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	to := &table{}
	run(t, source, to)
	eventually(t, "it is loaded", func() bool { return to.has("begin", "put shop", "put blog", "end") })
	write(`{"routes": [{"project": "shop", "hosts": ["shop.example.com"], "url": "http://127.0.0.1:8090"}`)
	eventually(t, "a bad file is told of", func() bool { return strings.Contains(log.String(), "the table stays as it is") })
	if !to.has("begin", "put shop", "put blog", "end") {
		t.Error(to)
	}
	write(`{"routes": []}`)
	eventually(t, "it is loaded again", func() bool { return to.has("begin", "put shop", "put blog", "end", "begin", "end") })
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		``:                 "EOF",
		`{`:                "unexpected EOF",
		"{\n\"routes\":x":  "line 2",
		`{}`:               `no "routes"`,
		`{"routes": []} x`: "after the object",
		`{"routes": [{"project": "a", "hosts": ["a.example.com"], "port": 1}]}`:                                                  "port",
		`{"routes": [{"hosts": ["a.example.com"], "url": "http://a"}]}`:                                                          "no project",
		`{"routes": [{"project": "a", "url": "http://a"}]}`:                                                                      "no hosts",
		`{"routes": [{"project": "a", "hosts": ["a.example.com"]}]}`:                                                             "neither http://host:port",
		`{"routes": [{"project": "a", "hosts": ["a.example.com"], "state": "asleep"}]}`:                                          "none of running",
		`{"routes": [{"project": "a", "hosts": ["A.example.com"], "url": "http://a"}]}`:                                          `must be written "a.example.com"`,
		`{"routes": [{"project": "a", "hosts": ["a.example.com:1"], "url": "http://a"}]}`:                                        `must be written "a.example.com"`,
		`{"routes": [{"project": "a", "hosts": ["*.example.com"], "url": "http://a"}]}`:                                          "no host name",
		`{"routes": [{"project": "a", "hosts": ["a"], "url": "http://a"}, {"project": "a", "hosts": ["b"], "url": "http://a"}]}`: "two of the project",
		`{"routes": [{"project": "a", "hosts": ["a"], "url": "http://a"}, {"project": "b", "hosts": ["a"], "url": "http://a"}]}`: "is of a already",
	} {
		path := filepath.Join(t.TempDir(), "routes.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := NewFile(path, router.CheckRoute, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", content, err)
		}
	}
	if _, err := NewFile(filepath.Join(t.TempDir(), "none"), router.CheckRoute, nil); err == nil {
		t.Error("there is no file, and no error")
	}
}
