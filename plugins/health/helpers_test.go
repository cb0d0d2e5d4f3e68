package health

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

const (
	testPriority = apis.DefaultCorsMiddlewarePriority - 9
	patience     = 10 * time.Second // for what must happen; a test never waits this long
)

// server is a tenant with this plugin alone.
type server struct {
	*httptest.Server
	app    *tests.TestApp
	plugin *Plugin
}

// newServer returns a started tenant; bind may add routes.
func newServer(t *testing.T, cfg Config, bind func(r *router.Router[*core.RequestEvent])) *server {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	cfg.Priority = testPriority
	p, err := Register(app, cfg)
	if err != nil {
		t.Fatal(err)
	}
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: "testErrors", Priority: testPriority - 1, Func: writeErrors})
	p.Routes(r)
	if bind != nil {
		bind(r)
	}
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: httptest.NewServer(mux), app: app, plugin: p}
	t.Cleanup(s.Close)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// writeErrors stands in for the plugin that formats errors.
func writeErrors(e *core.RequestEvent) error {
	err := e.Next()
	var native *router.ApiError
	if errors.As(err, &native) {
		if own, ok := native.RawData().(*apierr.Error); ok {
			return apierr.Write(e.Response, e.Request, own)
		}
	}
	return err
}

// reply is a response that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// code returns the code of an error response.
func (r reply) code() string {
	var body apierr.Body
	_ = json.Unmarshal([]byte(r.body), &body)
	return body.Error.Code
}

func (s *server) do(t *testing.T, method, path string, header ...string) reply {
	t.Helper()
	request, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
		if header[i] == "Host" { // which net/http sends from elsewhere
			request.Host = header[i+1]
		}
	}
	return do(t, request)
}

func (s *server) get(t *testing.T, path string) reply {
	t.Helper()
	return s.do(t, http.MethodGet, path)
}

func do(t *testing.T, request *http.Request) reply {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err) // not Fatal: also called from other goroutines
		return reply{}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

// report is what /health says, with its checks as loose fields.
type healthReport struct {
	Status     Status
	Version    string
	PocketBase string
	Uptime     *int64
	Checks     map[string]map[string]any
}

func (r reply) report(t *testing.T) healthReport {
	t.Helper()
	var report healthReport
	if err := json.Unmarshal([]byte(r.body), &report); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return report
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		<-ticker.C
	}
}

// subscriber is a realtime client that connected over HTTP.
type subscriber struct {
	lines *bufio.Scanner
}

// subscribe returns once the server has said hello.
func (s *server) subscribe(t *testing.T) *subscriber {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/realtime", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	c := &subscriber{bufio.NewScanner(response.Body)}
	for c.lines.Scan() {
		if strings.HasPrefix(c.lines.Text(), "data:") {
			return c
		}
	}
	t.Fatalf("no hello: %v", c.lines.Err())
	return nil
}

// rest returns all that still comes until the stream ends, and how it ended.
func (c *subscriber) rest() (string, error) {
	var text strings.Builder
	for c.lines.Scan() {
		text.WriteString(c.lines.Text() + "\n")
	}
	return text.String(), c.lines.Err()
}
