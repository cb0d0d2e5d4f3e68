package usage

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// liveLog reads a stream.
type liveLog struct {
	t       *testing.T
	body    io.ReadCloser
	scanner *bufio.Scanner
}

func (s *tenant) listen(query string) *liveLog {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, s.url+"/api/v1/logs/stream?"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("X-API-Key", "listener logs")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("got %d %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
	s.t.Cleanup(func() { response.Body.Close() })
	l := &liveLog{s.t, response.Body, bufio.NewScanner(response.Body)}
	if line := l.line(); line != ": listening" {
		s.t.Fatalf("got %q", line)
	}
	return l
}

// line returns the next line that is not empty.
func (l *liveLog) line() string {
	l.t.Helper()
	for l.scanner.Scan() {
		if line := l.scanner.Text(); line != "" {
			return line
		}
	}
	l.t.Fatalf("the stream ended: %v", l.scanner.Err())
	return ""
}

// event returns the next event, past comments.
func (l *liveLog) event() (name, data string) {
	l.t.Helper()
	for {
		if name, found := strings.CutPrefix(l.line(), "event: "); found {
			data, _ := strings.CutPrefix(l.line(), "data: ")
			return name, data
		}
	}
}

func (l *liveLog) entry() (received entry) {
	l.t.Helper()
	name, data := l.event()
	if err := json.Unmarshal([]byte(data), &received); name != "log" || err != nil {
		l.t.Fatalf("got %s %s: %v", name, data, err)
	}
	return received
}

func TestTail(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-01-31T12:30:00Z")
	s := serve(t, Config{Now: clock.Now}, func(r *router.Router[*core.RequestEvent]) {
		testRoutes(r)
		r.POST("/slow/{name}", func(e *core.RequestEvent) error {
			clock.advance(1500 * time.Microsecond)
			io.Copy(io.Discard, e.Request.Body)
			return e.String(http.StatusCreated, "made")
		})
	})
	live := s.listen("")
	s.do(http.MethodPost, "/slow/x%20y?a=1&token=secret", strings.NewReader("12345"), "X-API-Key", "k1", "X-Request-Id", "r1")
	want := entry{
		Time: clock.Now(), RequestID: "r1", KeyID: "k1", Method: "POST", URL: "/slow/x%20y?a=1&token=REDACTED",
		Route: "POST /slow/{name}", Status: 201, DurationMs: 1.5, BytesIn: 5, BytesOut: 4,
	}
	if got := live.entry(); got != want { // and not the stream itself
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	s.get("/unknown")
	if got := live.entry(); got.Status != 404 || got.Error == "" || got.URL != "/unknown" {
		t.Errorf("got %+v", got)
	}
	s.get("/panic")
	if got := live.entry(); got.Status != 500 || strings.Contains(got.Error, "on purpose") {
		t.Errorf("got %+v", got)
	}
}

func TestTailFilters(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, testRoutes)
	filters := map[string]*liveLog{
		"key=k1":   s.listen("key=k1"),
		"key=none": s.listen("key=none&status=200"),
		"status":   s.listen("status=4xx"),
		"route":    s.listen("route=" + url.QueryEscape("GET /redirect") + "&status=302"),
	}
	// Each of these is for one listener alone.
	s.get("/nothing", "X-API-Key", "k1")
	s.get("/hello")
	s.get("/unknown", "X-API-Key", "k2")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(s.url + "/redirect")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	for name, want := range map[string]string{"key=k1": "/nothing", "key=none": "/hello", "status": "/unknown", "route": "/redirect"} {
		if got := filters[name].entry(); got.URL != want {
			t.Errorf("%s: got %s, want %s", name, got.URL, want)
		}
	}
}

func TestTailHeartbeat(t *testing.T) {
	t.Parallel()
	s := register(t, Config{})
	s.tail.Heartbeat = time.Millisecond
	served := serveOn(t, s, nil)
	if line := served.listen("").line(); line != ": heartbeat" {
		t.Errorf("got %q", line)
	}
}

// A stream outlives the check of its caller, who may be shut out in the meantime.
func TestTailEndsWithPermission(t *testing.T) {
	t.Parallel()
	var shutOut atomic.Bool
	s := serve(t, Config{StillAllowed: func(*core.RequestEvent) bool { return !shutOut.Load() }}, testRoutes)
	live := s.listen("")
	s.get("/hello")
	live.entry()
	shutOut.Store(true)
	s.get("/hello")
	for live.scanner.Scan() {
		if live.scanner.Text() != "" {
			t.Errorf("got %q, want the end", live.scanner.Text())
		}
	}

	shutOut.Store(false)
	quiet := register(t, Config{StillAllowed: func(*core.RequestEvent) bool { return false }})
	quiet.tail.Heartbeat = time.Millisecond
	if ended := serveOn(t, quiet, nil).listen(""); ended.scanner.Scan() && ended.scanner.Text() != "" {
		t.Errorf("got %q on a quiet stream, want the end", ended.scanner.Text())
	}
}

func TestTailEnds(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	s.listen("").body.Close()
	eventually(t, func() bool { return !s.tail.HasListeners() })

	one, other := s.listen(""), s.listen("")
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, live := range []*liveLog{one, other} {
		if live.scanner.Scan() && live.scanner.Text() != "" {
			t.Errorf("got %q, want the end", live.scanner.Text())
		}
		if err := live.scanner.Err(); err != nil {
			t.Error(err)
		}
	}
	if s.tail.HasListeners() {
		t.Error("listeners are left after Stop")
	}
	s.flushed(3)
}
