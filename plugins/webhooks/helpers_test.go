package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/event"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/prometheus/client_golang/prometheus"
)

const patience = 15 * time.Second

// eventually polls until check holds.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen in %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// clock is set by hand; it does not go by itself.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// site is an app with the plugin and its API.
type site struct {
	t        *testing.T
	app      *tests.TestApp
	plugin   *Plugin
	clock    *clock
	settings atomic.Pointer[config.Settings]
	metrics  *prometheus.Registry
	handler  http.Handler
}

func newSite(t *testing.T, change ...func(*Config)) *site {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, app: app, clock: &clock{now: time.Now()}, metrics: prometheus.NewRegistry()}
	s.allow("127.0.0.1")
	cfg := Config{
		Settings: s.settings.Load, Metrics: s.metrics,
		Now: s.clock.Now, Jitter: func() float64 { return 0 }, Timeout: 2 * time.Second, AskTimeout: time.Second,
	}
	for _, change := range change {
		change(&cfg)
	}
	if s.plugin, err = Register(app, cfg); err != nil {
		t.Fatal(err)
	}
	if err := app.RunAllMigrations(); err != nil {
		t.Fatal(err)
	}
	if err := s.plugin.reload(); err != nil { // the app was bootstrapped before
		t.Fatal(err)
	}
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	s.plugin.Routes(r)
	if s.handler, err = r.BuildMux(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
		app.Cleanup()
	})
	return s
}

// allow sets the private hosts that may be called.
func (s *site) allow(hosts ...string) {
	settings := config.Default()
	settings.Webhooks.AllowedPrivateHosts = hosts
	s.settings.Store(settings)
}

func lastOf(row delivery) try { return *row.view().Last }

func (s *site) start() {
	s.t.Helper()
	if err := s.plugin.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) stop() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.plugin.Stop(ctx); err != nil {
		s.t.Error(err)
	}
}

// call requests a path below /api/v1/webhooks, as an owner.
func (s *site) call(method, path string, body any) (status int, answer map[string]any) {
	s.t.Helper()
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		reader = strings.NewReader(string(encoded))
	}
	request := httptest.NewRequest(method, "/api/v1/webhooks"+path, reader)
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, request.WithContext(httpapi.WithCommandLine(request.Context(), "ann")))
	if recorder.Body.Len() > 0 {
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
			s.t.Fatalf("%s %s: %s", method, path, recorder.Body)
		}
	}
	return recorder.Code, answer
}

// endpoint makes an endpoint and returns its id and secret.
func (s *site) endpoint(url string, events ...string) (id, secret string) {
	s.t.Helper()
	if len(events) == 0 {
		events = []string{"user.*"}
	}
	status, answer := s.call(http.MethodPost, "", map[string]any{"url": url, "events": events})
	if status != http.StatusCreated {
		s.t.Fatalf("%d %v", status, answer)
	}
	return answer["id"].(string), answer["secret"].(string)
}

// publish publishes a user.created about the user.
func (s *site) publish(user string, more ...map[string]any) string {
	s.t.Helper()
	data := map[string]any{"record": map[string]any{"id": user}}
	for _, members := range more {
		for name, value := range members {
			data[name] = value
		}
	}
	e := event.New(event.UserCreated, "users", user, data, s.clock.Now())
	if err := s.plugin.Publish(s.app, e); err != nil {
		s.t.Fatal(err)
	}
	return e.ID
}

func (s *site) row(event string) delivery {
	s.t.Helper()
	var row delivery
	if err := s.app.ConcurrentDB().NewQuery("SELECT * FROM " + table + " WHERE event = '" + event + "'").One(&row); err != nil {
		s.t.Fatal(err)
	}
	return row
}

// pass moves the clock and has the table looked at.
func (s *site) pass(d time.Duration) {
	s.clock.add(d)
	s.plugin.dispatch.wake()
}

func (s *site) counted(status string) (n int) {
	s.t.Helper()
	if err := s.app.ConcurrentDB().NewQuery("SELECT COUNT(*) FROM " + table + " WHERE status = '" + status + "'").Row(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// receiver counts what it gets and answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []got
	answer func(w http.ResponseWriter, r *http.Request, n int)
}

type got struct {
	header http.Header
	body   string
}

func (g got) id() string { return g.header.Get("webhook-id") }

func newReceiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		r.got = append(r.got, got{request.Header.Clone(), string(body)})
		n, answer := len(r.got), r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, request, n)
		}
	}))
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got{}, r.got...)
}

func (r *receiver) count() int { return len(r.all()) }

func (r *receiver) then(answer func(w http.ResponseWriter, r *http.Request, n int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// with answers with a status.
func with(status int) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(status) }
}

// metric returns the value of a metric, such as name or name{outcome="x"}.
func (s *site) metric(name, outcome string) float64 {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if outcome == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == outcome {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	s.t.Fatal(fmt.Errorf("there is no metric %s %s", name, outcome))
	return 0
}
