package due

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
)

func TestNext(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 14, 15, 9, 26, 0, time.UTC) // a Sunday
	for expression, want := range map[string]string{
		"* * * * *":     "2027-03-14T15:10:00Z",
		"*/15 * * * *":  "2027-03-14T15:15:00Z",
		"9 15 * * *":    "2027-03-15T15:09:00Z", // this minute has begun
		"0 4 * * 1-5":   "2027-03-15T04:00:00Z",
		"@monthly":      "2027-04-01T00:00:00Z",
		"30 23 31 12 *": "2027-12-31T23:30:00Z",
		"0 0 29 2 *":    "2028-02-29T00:00:00Z",
		"0 0 31 2 *":    "",
	} {
		at, err := next(expression, now)
		got := ""
		if !at.IsZero() {
			got = at.Format(time.RFC3339)
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", expression, got, err, want)
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	soon, later := time.Date(2027, 1, 2, 3, 4, 5, 6e6, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(at time.Time, reason string) Source {
		return func() (time.Time, string, error) { return at, reason, nil }
	}
	for name, c := range map[string]struct {
		sources []Source
		status  int
		want    string // before what follows the reason
	}{
		"nobody":      {nil, 200, `{"due":null,"reason":""`},
		"nothing due": {[]Source{at(time.Time{}, "")}, 200, `{"due":null,"reason":""`},
		"the first":   {[]Source{at(later, "l"), at(time.Time{}, ""), at(soon, "s")}, 200, `{"due":"2027-01-02T03:04:05.006Z","reason":"s"`},
		"an error":    {[]Source{func() (time.Time, string, error) { return soon, "", errors.New("x") }}, 500, ""},
	} {
		app := newApp(t)
		status, body := get(t, app, Config{Sources: c.sources}, true)
		if status != c.status || !strings.HasPrefix(body, c.want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if status, _ := get(t, newApp(t), Config{Sources: c.sources}, false); status != http.StatusUnauthorized {
			t.Errorf("%s, a stranger: %d", name, status)
		}
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	since := time.Date(2027, 1, 2, 3, 4, 5, 6e6, time.UTC)
	_, body := get(t, newApp(t), Config{
		Busy:      func() []Busy { return []Busy{{"requests", 2}, {"backups", 0}, {"hooks", 1}} },
		IdleSince: func() time.Time { return since },
		Synced:    func(context.Context) bool { return false },
	}, true)
	want := `{"due":null,"reason":"","idleSince":"2027-01-02T03:04:05.006Z","busy":[{"what":"requests","count":2},{"what":"hooks","count":1}],"synced":false}`
	if body != want {
		t.Errorf("busy: %s", body)
	}
	if _, body := get(t, newApp(t), Config{}, true); !strings.Contains(body, `"busy":[],"synced":true`) {
		t.Errorf("nothing to do: %s", body)
	}
}

func TestCrons(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	if at, _, err := Crons(app)(); err != nil || !at.IsZero() {
		t.Errorf("PocketBase's own jobs alone: %v, %v", at, err)
	}
	app.Cron().MustAdd("picoUpkeep", "* * * * *", func() {})
	if at, _, err := Crons(app)(); err != nil || !at.IsZero() {
		t.Errorf("upkeep: %v, %v", at, err)
	}
	app.Cron().MustAdd("picojs:mine", "0 0 * * *", func() {})
	app.Cron().MustAdd("yearly", "@yearly", func() {})
	at, reason, err := Crons(app)()
	if err != nil || reason != "cron picojs:mine" || at.Before(time.Now()) || at.After(time.Now().Add(25*time.Hour)) {
		t.Errorf("%v, %q, %v", at, reason, err)
	}
}

func newApp(t *testing.T) *tests.TestApp {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	return app
}

func get(t *testing.T, app core.App, cfg Config, owner bool) (int, string) {
	t.Helper()
	p, err := Register(app, cfg)
	if err != nil {
		t.Fatal(err)
	}
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	p.Routes(r)
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodGet, Path, nil)
	if owner {
		request = request.WithContext(httpapi.WithCommandLine(request.Context(), "ann"))
	}
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, request)
	if !json.Valid(recorder.Body.Bytes()) {
		t.Errorf("%s", recorder.Body)
	}
	return recorder.Code, strings.TrimSpace(recorder.Body.String())
}
