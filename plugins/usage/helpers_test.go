package usage

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	_ "github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// tenant is a server with the plugin on PocketBase's fixtures.
type tenant struct {
	*Plugin
	t   *testing.T
	app *tests.TestApp
	url string
}

// register makes a plugin on a fresh app, without a server.
func register(t *testing.T, cfg Config) *tenant {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	if cfg.Settings == nil {
		cfg.Settings = config.Default
	}
	plugin, err := Register(app, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &tenant{Plugin: plugin, t: t, app: app}
}

// serve adds a server; routes, which may be nil, binds more routes.
func serve(t *testing.T, cfg Config, routes func(*router.Router[*core.RequestEvent])) *tenant {
	t.Helper()
	return serveOn(t, register(t, cfg), routes)
}

func serveOn(t *testing.T, s *tenant, routes func(*router.Router[*core.RequestEvent])) *tenant {
	t.Helper()
	r, err := apis.NewRouter(s.app)
	if err != nil {
		t.Fatal(err)
	}
	s.Routes(r)
	r.Bind(testKeys())
	if routes != nil {
		routes(r)
	}
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// testKeys stands in for the plugin that checks API keys: "id" or "id scope"
// in X-API-Key is taken at its word.
func testKeys() *hook.Handler[*core.RequestEvent] {
	return &hook.Handler[*core.RequestEvent]{
		Id:       "testKeys",
		Priority: apis.DefaultLoadAuthTokenMiddlewarePriority - 5,
		Func: func(e *core.RequestEvent) error {
			state := httpapi.StateOf(e)
			state.RequestID = e.Request.Header.Get(httpapi.HeaderRequestID)
			if id, scopes, _ := strings.Cut(e.Request.Header.Get("X-API-Key"), " "); id != "" {
				state.Key = &httpapi.Key{ID: id, Secret: scopes != ""}
				if scopes != "" {
					var err error
					if state.Key.Scopes, err = scope.Parse([]string{scopes}); err != nil {
						return err
					}
				}
			}
			return e.Next()
		},
	}
}

// do sends a request and returns the answer with its whole body. headers are
// pairs of names and values.
func (s *tenant) do(method, path string, body io.Reader, headers ...string) (status int, answer string) {
	s.t.Helper()
	request, err := http.NewRequest(method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(read)
}

func (s *tenant) get(path string, headers ...string) (status int, answer string) {
	s.t.Helper()
	return s.do(http.MethodGet, path, nil, headers...)
}

func (s *tenant) superuserToken() string {
	s.t.Helper()
	record, err := s.app.FindAuthRecordByEmail(core.CollectionNameSuperusers, "test@example.com")
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := record.NewAuthToken()
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// storedRow is a row of the table.
type storedRow struct {
	Hour        int64  `db:"hour"`
	KeyID       string `db:"key_id"`
	Route       string `db:"route"`
	StatusClass int    `db:"status_class"`
	Requests    int64  `db:"requests"`
	BytesIn     int64  `db:"bytes_in"`
	BytesOut    int64  `db:"bytes_out"`
}

// rows returns what the table holds.
func (s *tenant) rows() []storedRow {
	s.t.Helper()
	var rows []storedRow
	err := s.app.AuxDB().Select("*").From("_pico_usage").OrderBy("hour", "key_id", "route", "status_class").All(&rows)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// flushed flushes until the table counts n requests: a client can see its
// answer before the middleware has counted it.
func (s *tenant) flushed(n int64) []storedRow {
	s.t.Helper()
	var rows []storedRow
	eventually(s.t, func() bool {
		if err := s.flush(); err != nil {
			s.t.Fatal(err)
		}
		rows = s.rows()
		var requests int64
		for _, row := range rows {
			requests += row.Requests
		}
		return requests >= n
	})
	return rows
}

// latencies returns the number of latencies in the table.
func (s *tenant) latencies() (n int64) {
	s.t.Helper()
	sum := "SUM(" + strings.Join(latencyParams[:], "+") + ")"
	if err := s.app.AuxDB().Select(sum).From("_pico_usage").Row(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// exec runs a statement on auxiliary.db.
func (s *tenant) exec(statement string) {
	s.t.Helper()
	if _, err := s.app.AuxNonconcurrentDB().NewQuery(statement).Execute(); err != nil {
		s.t.Fatal(err)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("timed out")
		}
	}
}

// clock is a clock that only the test moves.
type clock struct{ nanoseconds atomic.Int64 }

func newClock(at string) *clock {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	c := &clock{}
	c.nanoseconds.Store(t.UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanoseconds.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }
