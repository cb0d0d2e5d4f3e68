package health

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestIsLocalHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8090": true, "127.0.0.1:8090": true, "127.1.2.3": true, "[::1]:8090": true,
		"": false, "evil.net": false, "evil.net:8090": false, "localhost.evil.net": false, "10.0.0.1:8090": false, "127.0.0.1.evil.net": false,
	} {
		if got := isLocalHost(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

func TestMetricsAccess(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, func(r *router.Router[*core.RequestEvent]) {
		// As the middlewares between do: keys in, untrusted proxy headers out.
		r.Bind(&hook.Handler[*core.RequestEvent]{
			Id:       "testKey",
			Priority: apis.DefaultLoadAuthTokenMiddlewarePriority - 1,
			Func: func(e *core.RequestEvent) error {
				e.Request.Header.Del("X-Forwarded-For")
				if name := e.Request.Header.Get("X-Test-Scope"); name != "" {
					scopes, err := scope.Parse([]string{name})
					if err != nil {
						return err
					}
					httpapi.StateOf(e).Key = &httpapi.Key{ID: "k", Secret: true, Scopes: scopes}
				}
				return e.Next()
			},
		})
	})
	s.app.Settings().TrustedProxy.Headers = []string{"X-My-Proxy"}
	superusers, err := s.app.FindAllRecords(core.CollectionNameSuperusers)
	if err != nil || len(superusers) == 0 {
		t.Fatal(err, superusers)
	}
	token, err := superusers[0].NewAuthToken()
	if err != nil {
		t.Fatal(err)
	}
	users, err := s.app.FindAllRecords("users")
	if err != nil || len(users) == 0 {
		t.Fatal(err, users)
	}
	userToken, err := users[0].NewAuthToken()
	if err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		name   string
		header []string
		status int
		code   string
	}{
		{"local", nil, 200, ""},
		{"forwarded, superuser", []string{"Via", "1.1 x", "Authorization", token}, 200, ""},
		{"forwarded, key", []string{"Via", "1.1 x", "X-Test-Scope", scope.Usage}, 200, ""},
		{"forwarded, key without the scope", []string{"Via", "1.1 x", "X-Test-Scope", scope.Logs}, 403, httpapi.ErrScopeRequired.Code},
		{"forwarded, user", []string{"Via", "1.1 x", "Authorization", userToken}, 403, httpapi.ErrSecretKeyRequired.Code},
		{"Forwarded", []string{"Forwarded", "for=127.0.0.1"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"dropped on the way in", []string{"X-Forwarded-For", "127.0.0.1"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"empty", []string{"X-Forwarded-For", ""}, 401, httpapi.ErrCredentialsRequired.Code},
		{"X-Forwarded-Host", []string{"x-forwarded-host", "localhost"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"X-Forwarded-Proto", []string{"X-Forwarded-Proto", "http"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"X-Real-IP", []string{"X-Real-IP", "127.0.0.1"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"CF-Connecting-IP", []string{"CF-Connecting-IP", "::1"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"Fly-Client-IP", []string{"Fly-Client-IP", "::1"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"True-Client-IP", []string{"True-Client-IP", "::1"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"trusted proxy's header", []string{"X-My-Proxy", "127.0.0.1"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"web page under a name of its own", []string{"Host", "evil.net"}, 401, httpapi.ErrCredentialsRequired.Code},
		{"web page", []string{"Origin", "https://evil.net"}, 401, httpapi.ErrCredentialsRequired.Code},
	} {
		got := s.do(t, http.MethodGet, "/metrics", test.header...)
		if got.status != test.status || got.code() != test.code {
			t.Errorf("%s: got %d %.200s", test.name, got.status, got.body)
		}
	}
}

func TestAuthorizeMetricsDecides(t *testing.T) {
	t.Parallel()
	open := newServer(t, Config{AuthorizeMetrics: func(*core.RequestEvent) bool { return true }}, nil)
	if got := open.do(t, http.MethodGet, "/metrics", "Via", "1.1 x"); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	closed := newServer(t, Config{AuthorizeMetrics: func(e *core.RequestEvent) bool {
		httpapi.StateOf(e).Key = nil
		return false
	}}, nil)
	if got := closed.do(t, http.MethodGet, "/metrics", "Via", "1.1 x"); got.status != 401 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestIsLocal(t *testing.T) {
	t.Parallel()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "127.8.9.1:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		"10.0.0.1:1": false, "[fe80::1%eth0]:1": false, "[2001:db8::1]:1": false, "0.0.0.0:1": false, "@": false, "": false,
	} {
		e := &core.RequestEvent{App: app}
		e.Request = httptest.NewRequest(http.MethodGet, "/metrics", nil)
		e.Request.RemoteAddr, e.Request.Host = address, "localhost:8090"
		if got := isLocal(e); got != want {
			t.Errorf("%q: got %v, want %v", address, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "picobase_other_total", Help: "Another plugin's."})
	registry.MustRegister(other)
	s := newServer(t, Config{Version: "1.2.3", Metrics: registry}, nil)
	s.subscribe(t)

	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", err, problems)
	}
	got := s.get(t, "/metrics")
	if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("got %d %v", got.status, got.header)
	}
	for _, line := range []string{
		`picobase_info{pocketbase="` + pocketbaseVersion() + `",version="1.2.3"} 1`,
		"picobase_realtime_clients 1",
		"picobase_streams_in_flight 1",
		"picobase_requests_in_flight 0",
		"picobase_draining 0",
		"picobase_other_total 0",
		"picobase_uptime_seconds ",
		`picobase_db_size_bytes{db="data"} `,
		`picobase_db_size_bytes{db="auxiliary"} `,
		`picobase_wal_size_bytes{db="data"} `,
		`picobase_db_connections_open{pool="read"} `,
		`picobase_db_connections_in_use{pool="write"} 0`,
		`picobase_db_connection_waits_total{pool="write"} `,
		"go_goroutines ",
		"process_start_time_seconds ",
	} {
		if !strings.Contains(got.body, "\n"+line) {
			t.Errorf("no %q", line)
		}
	}
	if strings.Contains(got.body, `picobase_db_size_bytes{db="data"} 0`) {
		t.Error("the size of the database is 0")
	}
}

// TestMetricsWithoutDatabase scrapes an app that is closed already.
func TestMetricsWithoutDatabase(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, nil)
	if err := s.app.ResetBootstrapState(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.plugin.cfg.Metrics.Gather(); err != nil {
		t.Error(err)
	}
	if result := s.plugin.checkDatabase(t.Context()); result.Status != Failing {
		t.Errorf("got %+v", result)
	}
}
