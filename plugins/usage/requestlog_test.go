package usage

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/logger"
	"github.com/pocketbase/pocketbase/tools/router"
)

// logRoutes are what the two loggers are compared on.
func logRoutes(r *router.Router[*core.RequestEvent]) {
	r.GET("/fine/{name}", func(e *core.RequestEvent) error { return e.JSON(http.StatusCreated, "x") })
	r.GET("/quiet", func(e *core.RequestEvent) error { return e.NoContent(http.StatusNoContent) }).Bind(apis.SkipSuccessActivityLog())
	r.GET("/quiet-failure", func(*core.RequestEvent) error { return errors.New("x") }).Bind(apis.SkipSuccessActivityLog())
	r.GET("/failure", func(e *core.RequestEvent) error { return e.ForbiddenError("", errors.New("why")) })
}

var logRequests = []string{"/fine/a%20b?c=d", "/quiet", "/quiet-failure", "/failure", "/nothing"}

// ask sends every request, with a user's token, and returns the log's rows by message.
func ask(t *testing.T, app *tests.TestApp, url string, write func() error) map[string]*core.Log {
	t.Helper()
	user, err := app.FindAuthRecordByEmail("users", "test@example.com")
	if err != nil {
		t.Fatal(err)
	}
	token, err := user.NewAuthToken()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range logRequests {
		request, err := http.NewRequest(http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", token)
		request.Header.Set("Referer", "https://example.com/page")
		request.Header.Set("User-Agent", "tester")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	batches, ok := app.Logger().Handler().(*logger.BatchHandler)
	if !ok {
		t.Fatalf("the logger is a %T", app.Logger().Handler())
	}
	byMessage := map[string]*core.Log{}
	eventually(t, func() bool {
		if err := errors.Join(batches.WriteAll(context.Background()), write()); err != nil {
			t.Fatal(err)
		}
		var rows []*core.Log
		if err := app.AuxModelQuery(&core.Log{}).AndWhere(dbx.NewExp("JSON_EXTRACT(data, '$.type') = 'request'")).All(&rows); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			byMessage[row.Message] = row
		}
		return len(byMessage) == len(logRequests)-1
	})
	return byMessage
}

// The log has the same rows, with the same members, as without the plugin.
func TestRequestLogLooksLikePocketBases(t *testing.T) {
	t.Parallel()
	configure := func(app *tests.TestApp) {
		app.Settings().Logs.MaxDays, app.Settings().Logs.LogAuthId, app.Settings().Logs.LogIP = 5, true, true
	}

	stock, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	defer stock.Cleanup()
	configure(stock)
	r, err := apis.NewRouter(stock)
	if err != nil {
		t.Fatal(err)
	}
	logRoutes(r)
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	want := ask(t, stock, server.URL, func() error { return nil })

	s := serve(t, Config{}, logRoutes)
	configure(s.app)
	got := ask(t, s.app, s.url, s.requests.write)

	if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
		t.Fatalf("rows\n got %q\nwant %q", a, b)
	}
	for message, row := range got {
		expected := want[message]
		if row.Level != expected.Level || row.Created.IsZero() || len(row.Id) != len(expected.Id) {
			t.Errorf("%s: %+v, want %+v", message, row, expected)
		}
		delete(row.Data, "meta") // the plugin's own addition
		for _, data := range []map[string]any{row.Data, expected.Data} {
			if data["execTime"].(float64) <= 0 {
				t.Errorf("%s: no duration", message)
			}
			delete(data, "execTime")
		}
		a, _ := json.Marshal(row.Data)
		b, _ := json.Marshal(expected.Data)
		if string(a) != string(b) {
			t.Errorf("%s:\n got %s\nwant %s", message, a, b)
		}
	}
}

// A batch that the database refuses is kept; beyond the bound the oldest go.
func TestRequestLogKeepsWhatFailed(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, logRoutes)
	s.app.Settings().Logs.MaxDays = 5
	s.get("/fine/x")
	if _, err := s.app.AuxDB().NewQuery("ALTER TABLE _logs RENAME TO _elsewhere").Execute(); err != nil {
		t.Fatal(err)
	}
	if err := s.requests.write(); err == nil {
		t.Fatal("written without a table")
	}
	if _, err := s.app.AuxDB().NewQuery("ALTER TABLE _elsewhere RENAME TO _logs").Execute(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(context.Background()); err != nil { // writes what is left
		t.Fatal(err)
	}
	var count int
	if err := s.app.AuxDB().NewQuery("SELECT COUNT(*) FROM _logs WHERE message = 'GET /fine/x'").Row(&count); err != nil || count != 1 {
		t.Errorf("%d rows, %v", count, err)
	}

	full := requestLog{app: s.app, pending: make([]loggedRequest, maxPending-1)}
	full.putBack(make([]loggedRequest, 3))
	if len(full.pending) != maxPending || full.dropped != 2 {
		t.Errorf("%d pending, %d dropped", len(full.pending), full.dropped)
	}
}
