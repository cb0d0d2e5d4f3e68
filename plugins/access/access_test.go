package access

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

var testOrder = Priorities{
	Routers:        apis.DefaultCorsMiddlewarePriority - 4,
	CORS:           apis.DefaultCorsMiddlewarePriority - 2,
	TrustedProxies: apis.DefaultCorsMiddlewarePriority - 1,
	IPAllowlist:    apis.DefaultLoadAuthTokenMiddlewarePriority - 6,
	RateLimit:      apis.DefaultLoadAuthTokenMiddlewarePriority - 4,
}

// tenant is a PocketBase with the plugin, its settings and its clock in the
// hands of a test. The headers Test-Key and Test-Own-Limit stand in for API keys.
type tenant struct {
	app      *tests.TestApp
	plugin   *Plugin
	handler  http.Handler
	settings atomic.Pointer[config.Settings]
	clock    *clock
	metrics  *prometheus.Registry
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newTenant(t testing.TB, change func(*config.Settings), options ...func(*Config)) *tenant {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)

	tn := &tenant{app: app, clock: newClock(), metrics: prometheus.NewRegistry()}
	tn.configure(change)
	cfg := Config{
		Settings:   tn.settings.Load,
		Priorities: testOrder,
		Metrics:    tn.metrics,
		Now:        tn.clock.Now,
	}
	for _, option := range options {
		option(&cfg)
	}
	if tn.plugin, err = Register(app, cfg); err != nil {
		t.Fatal(err)
	}

	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	r.Bind(apis.CORS(apis.DefaultCORSConfig)) // as apis.Serve does, to be replaced
	tn.plugin.Routes(r)
	r.Bind(
		&hook.Handler[*core.RequestEvent]{Id: "testErrors", Priority: testOrder.CORS - 1, Func: writeErrors},
		&hook.Handler[*core.RequestEvent]{Id: "testKeys", Priority: testOrder.RateLimit - 1, Func: testKeys},
	)
	r.GET("/ip", func(e *core.RequestEvent) error { return e.String(http.StatusOK, e.RealIP()) })
	r.GET("/denied", func(*core.RequestEvent) error {
		return httpapi.Error(apierr.New(http.StatusUnauthorized, "no", "No."))
	})
	v1 := r.Group(httpapi.PathPrefix)
	for _, probe := range []string{"/health", "/live", "/ready"} {
		v1.GET(probe, func(e *core.RequestEvent) error { return e.String(http.StatusOK, "probe") })
	}
	v1.POST("/health", func(e *core.RequestEvent) error { return e.String(http.StatusOK, "not a probe") })
	if tn.handler, err = r.BuildMux(); err != nil {
		t.Fatal(err)
	}
	return tn
}

// configure puts changed default settings in force.
func (tn *tenant) configure(change func(*config.Settings)) {
	settings := config.Default()
	if change != nil {
		change(settings)
	}
	tn.settings.Store(settings)
}

// trustHeaders sets PocketBase's side of the trusted proxies.
func (tn *tenant) trustHeaders(leftmost bool, headers ...string) {
	tn.app.Settings().TrustedProxy.Headers = headers
	tn.app.Settings().TrustedProxy.UseLeftmostIP = leftmost
}

// counter reads a metric from the registry, the sum over the series with the
// label value, or over all for an empty one.
func (tn *tenant) counter(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := tn.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && (label == "" || metric.GetLabel()[0].GetValue() == label) {
				total += metric.GetCounter().GetValue()
			}
		}
	}
	return total
}

type testRequest struct {
	method, path, peer string
	header             http.Header
	commandLine        bool
}

// do serves one request in process, which lets it come from any peer.
func (tn *tenant) do(r testRequest) *httptest.ResponseRecorder {
	if r.method == "" {
		r.method = http.MethodGet
	}
	if r.path == "" {
		r.path = "/ip"
	}
	request := httptest.NewRequest(r.method, r.path, nil)
	if r.peer != "" {
		request.RemoteAddr = r.peer
	}
	maps.Copy(request.Header, r.header)
	if r.commandLine {
		request = request.WithContext(httpapi.WithCommandLine(request.Context(), "root"))
	}
	recorder := httptest.NewRecorder()
	tn.handler.ServeHTTP(recorder, request)
	return recorder
}

// serve listens, for the tests that go over real HTTP.
func (tn *tenant) serve(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(tn.handler)
	t.Cleanup(server.Close)
	return server
}

func fetch(t *testing.T, method, url string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(request.Header, header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// writeErrors stands in for the plugin that writes errors.
func writeErrors(e *core.RequestEvent) error {
	err := e.Next()
	if native := router.ToApiError(err); err != nil && !e.Written() {
		var own *apierr.Error
		if raw, ok := native.RawData().(error); ok && errors.As(raw, &own) {
			return apierr.Write(e.Response, e.Request, own)
		}
	}
	return err
}

// testKeys stands in for the plugin that resolves API keys.
func testKeys(e *core.RequestEvent) error {
	if id := e.Request.Header.Get("Test-Key"); id != "" {
		key := &httpapi.Key{ID: id}
		if e.Request.Header.Get("Test-Own-Limit") != "" {
			key.RateLimit = &config.RateLimit{Rate: 5, Burst: 10}
		}
		httpapi.StateOf(e).Key = key
	}
	return e.Next()
}

func TestRegister(t *testing.T) {
	t.Parallel()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Cleanup()

	taken := prometheus.NewRegistry()
	taken.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "picobase_ip_refused_total", Help: "x"}))
	cases := map[string]struct {
		change func(*Config)
		want   string
	}{
		"complete":       {func(*Config) {}, ""},
		"no settings":    {func(c *Config) { c.Settings = nil }, "Config.Settings is required"},
		"no order":       {func(c *Config) { c.Priorities = Priorities{} }, "must rise"},
		"wrong order":    {func(c *Config) { c.Priorities.IPAllowlist = c.Priorities.CORS }, "must rise"},
		"origins":        {func(c *Config) { c.Origins = []string{"https://a.example.com"} }, ""},
		"broken origin":  {func(c *Config) { c.Origins = []string{"a.example.com"} }, `Config.Origins: cors.origins: "a.example.com" is not an origin`},
		"too few":        {func(c *Config) { c.MaxBuckets = 1 }, "Config.MaxBuckets is 1"},
		"metrics twice":  {func(c *Config) { c.Metrics = taken }, "register metrics"},
		"metrics absent": {func(c *Config) { c.Metrics = nil }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Settings: config.Default, Priorities: testOrder, Metrics: prometheus.NewRegistry()}
			c.change(&cfg)
			p, err := Register(app, cfg)
			if c.want == "" {
				if err != nil || p == nil {
					t.Fatalf("got %v, want no error", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
