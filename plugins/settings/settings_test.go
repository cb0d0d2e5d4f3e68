package settings

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
)

type fixture struct {
	t      *testing.T
	dir    string
	plugin *Plugin
	mux    http.Handler
}

func open(t *testing.T, dir string, cfg Config) *fixture {
	t.Helper()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	plugin, err := Register(app, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.ResetBootstrapState() })
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	plugin.Routes(r)
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t, dir, plugin, mux}
}

func (f *fixture) patch(body string) (int, string) {
	f.t.Helper()
	request := httptest.NewRequest(http.MethodPatch, "/api/v1/settings", strings.NewReader(body))
	request = request.WithContext(httpapi.WithCommandLine(request.Context(), "ann"))
	recorder := httptest.NewRecorder()
	f.mux.ServeHTTP(recorder, request)
	content, _ := io.ReadAll(recorder.Body)
	return recorder.Code, string(content)
}

func TestPatchIsKept(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir(), Config{})
	for _, body := range []string{`{"usage":{"retentionDays":7}}`, `{"cors":{"maxAge":60}}`} {
		if status, answer := f.patch(body); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	for name, plugin := range map[string]*Plugin{"at once": f.plugin, "after a restart": open(t, f.dir, Config{}).plugin} {
		if got := plugin.Current(); got.Usage.RetentionDays != 7 || got.CORS.MaxAge != 60 || got.Audit != config.Default().Audit {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Whatever fails, the settings in force and the stored ones stay the same.
func TestFailedPatchChangesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk full")
	for name, cfg := range map[string]Config{
		"refused by a check": {Check: func(*core.RequestEvent, *config.Settings) error { return apierr.Invalid("cors", "no.") }},
		"failed to store": {Transact: func(e *core.RequestEvent, change func(core.App) error) error {
			return e.App.RunInTransaction(func(tx core.App) error { return errors.Join(change(tx), broken) })
		}},
		"against a rule": {},
	} {
		f := open(t, t.TempDir(), cfg)
		body := `{"usage":{"retentionDays":7}}`
		if name == "against a rule" {
			body = `{"usage":{"retentionDays":7},"cors":{"maxAge":-1}}`
		}
		if status, answer := f.patch(body); status < http.StatusBadRequest || strings.Contains(answer, "disk full") {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		for when, plugin := range map[string]*Plugin{"at once": f.plugin, "after a restart": open(t, f.dir, Config{}).plugin} {
			if got := plugin.Current().Usage.RetentionDays; got != config.Default().Usage.RetentionDays {
				t.Errorf("%s, %s: changed to %d", name, when, got)
			}
		}
	}
}

// Two patches at once must not undo each other.
func TestConcurrentPatches(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir(), Config{})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { f.patch(`{"usage":{"retentionDays":11}}`) })
		wg.Go(func() { f.patch(`{"audit":{"retentionDays":111}}`) })
	}
	wg.Wait()
	if got := f.plugin.Current(); got.Usage.RetentionDays != 11 || got.Audit.RetentionDays != 111 {
		t.Errorf("%+v", got)
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir(), Config{})
	recorder := httptest.NewRecorder()
	f.mux.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/api/v1/settings", nil))
	if recorder.Code != http.StatusUnauthorized {
		t.Errorf("anyone can read the settings: %d %s", recorder.Code, recorder.Body)
	}
}
