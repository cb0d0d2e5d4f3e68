package tenant

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/routertest"
	"github.com/picobase/picobase/plugins/openapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

func newTenant(t *testing.T, cfg Config) *Tenant {
	t.Helper()
	cfg.DataDir = t.TempDir()
	built, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := built.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = built.App.ResetBootstrapState() })
	return built
}

func newRouter(t *testing.T, built *Tenant) *router.Router[*core.RequestEvent] {
	t.Helper()
	r, err := apis.NewRouter(built.App)
	if err != nil {
		t.Fatal(err)
	}
	r.Bind(apis.CORS(apis.CORSConfig{})) // as apis.Serve does, before OnServe
	built.bindRoutes(r)
	return r
}

// The order that a request passes, ours and PocketBase's.
func TestMiddlewareOrder(t *testing.T) {
	t.Parallel()
	r := newRouter(t, newTenant(t, Config{}))
	chain := map[string]*hook.Handler[*core.RequestEvent]{} // the last of an id wins, as in the router
	for _, middleware := range r.Middlewares {
		chain[middleware.Id] = middleware
	}
	var ordered []*hook.Handler[*core.RequestEvent]
	for _, middleware := range chain {
		ordered = append(ordered, middleware)
	}
	slices.SortFunc(ordered, func(a, b *hook.Handler[*core.RequestEvent]) int { return cmp.Compare(a.Priority, b.Priority) })
	var got []string
	for i, middleware := range ordered {
		got = append(got, middleware.Id)
		if i > 0 && middleware.Priority == ordered[i-1].Priority {
			t.Errorf("%s and %s have the same priority: their order is chance", middleware.Id, ordered[i-1].Id)
		}
	}
	want := []string{
		"picoRouters", "picoErrors", apis.DefaultCorsMiddlewareId, "picoDrain", "picoTrustedProxies",
		apis.DefaultActivityLoggerMiddlewareId, "picoUsage",
		apis.DefaultPanicRecoverMiddlewareId, "picoReplicaGate", "picoIPAllowlist", "picoAPIKeys", "picoRateLimit",
		apis.DefaultLoadAuthTokenMiddlewareId, apis.DefaultSuperuserIPsWhitelistMiddlewareId,
		apis.DefaultSecurityHeadersMiddlewareId, apis.DefaultRateLimitMiddlewareId,
		apis.DefaultBodyLimitMiddlewareId, "picoAudit", "picoBackupsPage",
	}
	if !slices.Equal(got, want) {
		t.Errorf("order\n got %v\nwant %v", got, want)
	}
}

// Every route under /api/v1 is described, and everything described exists.
func TestOpenAPIMatchesRoutes(t *testing.T) {
	t.Parallel()
	built := newTenant(t, Config{Version: "1.2.3"})
	routes := map[string]bool{}
	for _, pattern := range routertest.Patterns(newRouter(t, built)) {
		if strings.Contains(pattern, " "+httpapi.PathPrefix+"/") {
			routes[pattern] = true
		}
	}
	var document struct {
		Info  struct{ Version string }
		Paths map[string]map[string]json.RawMessage
	}
	answer := request(t, built, http.MethodGet, openapi.Path, "")
	if err := json.Unmarshal([]byte(answer.body), &document); err != nil {
		t.Fatal(err)
	}
	if document.Info.Version != "1.2.3" {
		t.Errorf("version %q", document.Info.Version)
	}
	described := map[string]bool{}
	for path, item := range document.Paths {
		for method := range item {
			if method != "parameters" {
				described[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	for route := range routes {
		if !described[route] {
			t.Errorf("%s is not described in openapi.json", route)
		}
	}
	for route := range described {
		if !routes[route] {
			t.Errorf("openapi.json describes %s, which does not exist", route)
		}
	}
}

type answer struct {
	status int
	body   string
}

// request goes the way of the command line.
func request(t *testing.T, built *Tenant, method, path, body string) answer {
	t.Helper()
	handler, err := built.Handler()
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: Local{Handler: handler, User: "ann"}}
	outgoing, err := http.NewRequest(method, "http://local"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	outgoing.Header.Set("Content-Type", "application/json")
	response, err := client.Do(outgoing)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, string(content)}
}

// The command line needs no key, and nobody else can claim to be it.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	built := newTenant(t, Config{CommandLineUser: "ann"})
	if got := request(t, built, http.MethodPost, "/api/v1/keys", `{"kind":"secret"}`); got.status != http.StatusCreated {
		t.Fatalf("create a key: %+v", got)
	}
	handler, err := built.Handler()
	if err == nil {
		recorder := httptest.NewRecorder()
		incoming := httptest.NewRequest(http.MethodGet, "/api/v1/keys", nil)
		incoming.Header.Set("X-Command-Line", "ann")
		handler.ServeHTTP(recorder, incoming)
		if recorder.Code != http.StatusUnauthorized {
			t.Errorf("over the network: %d %s", recorder.Code, recorder.Body)
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no folder":  {},
		"no project": {DataDir: "x", PlatformPublicKey: "y"},
		"bad key":    {DataDir: "x", PlatformPublicKey: "y", ProjectID: "p"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Ending an app that never served, twice, is harmless.
func TestCloseTwice(t *testing.T) {
	t.Parallel()
	built := newTenant(t, Config{})
	for range 2 {
		if err := built.Close(); err != nil {
			t.Error(err)
		}
	}
}
