package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	_ "github.com/picobase/picobase/migrations"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/hook"
)

const superuserEmail = "test@example.com"

// tenant is an app with the plugin, behind a real server.
type tenant struct {
	*tests.TestApp
	plugin   *Plugin
	settings *config.Settings
	url      string
	token    string
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	tt := &tenant{TestApp: app, settings: config.Default()}
	tt.plugin, err = Register(app, Config{Settings: func() *config.Settings { return tt.settings }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	r.Bind(identify())
	tt.plugin.Routes(r)
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	if err := tt.plugin.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tt.plugin.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	tt.url = server.URL
	tt.token = tt.tokenOf(t, superuserEmail)
	return tt
}

// identify stands in for the plugins that find out who calls.
func identify() *hook.Handler[*core.RequestEvent] {
	return &hook.Handler[*core.RequestEvent]{
		Id:       "testIdentify",
		Priority: apis.DefaultLoadAuthTokenMiddlewarePriority - 1,
		Func: func(e *core.RequestEvent) error {
			state := httpapi.StateOf(e)
			state.RequestID = e.Request.Header.Get(httpapi.HeaderRequestID)
			kind, id, _ := strings.Cut(e.Request.Header.Get("X-API-Key"), ":")
			if id != "" {
				state.Key = &httpapi.Key{ID: id, Label: "label of " + id}
				if kind == "secret" {
					state.Key.Secret = true
					state.Key.Scopes = must(scope.Parse([]string{scope.Logs}))
				}
			}
			return e.Next()
		},
	}
}

func (tt *tenant) tokenOf(t *testing.T, email string) string {
	t.Helper()
	record, err := tt.FindAuthRecordByEmail(core.CollectionNameSuperusers, email)
	if err != nil {
		t.Fatal(err)
	}
	token, err := record.NewAuthToken()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// call sends a request as the superuser and returns its status and body.
func (tt *tenant) call(t *testing.T, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, tt.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", tt.token)
	request.Header.Set("User-Agent", "audit-test")
	request.Header.Set(httpapi.HeaderRequestID, "req-1")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// sql sends a statement to the console.
func (tt *tenant) sql(t *testing.T, statement string) (int, string) {
	t.Helper()
	return tt.call(t, http.MethodPost, "/api/sql", encode(t, map[string]string{"query": statement}))
}

// trail returns all entries, the oldest first.
func (tt *tenant) trail(t *testing.T) []item {
	t.Helper()
	var items []item
	err := tt.plugin.each(filter{}, func(rows []row) error {
		for i := range rows {
			items = append(items, rows[i].item())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// since returns the entries after the first n.
func (tt *tenant) since(t *testing.T, n int) []item {
	t.Helper()
	return tt.trail(t)[n:]
}

// add puts an entry into the table, as old as given.
func (tt *tenant) add(t *testing.T, id, created, action string) {
	t.Helper()
	r := row{ID: id, Created: created, ActorKind: KindSystem, Action: action}
	if err := r.insert(tt); err != nil {
		t.Fatal(err)
	}
}

func (tt *tenant) count(t *testing.T, where dbx.Expression) int {
	t.Helper()
	var n int
	if err := tt.DB().Select("COUNT(*)").From(table).Where(where).Row(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func encode(t *testing.T, v any) string {
	t.Helper()
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return buffer.String()
}

func actions(items []item) string {
	var names []string
	for _, it := range items {
		names = append(names, it.Action)
	}
	return strings.Join(names, " ")
}

func TestRegisterNeedsSettings(t *testing.T) {
	t.Parallel()
	if _, err := Register(core.NewBaseApp(core.BaseAppConfig{DataDir: t.TempDir()}), Config{}); err == nil {
		t.Fatal("registered without settings")
	}
}

func TestFreshFolderStartsWithAShortTrail(t *testing.T) {
	t.Parallel()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: t.TempDir()})
	p, err := Register(app, Config{Settings: config.Default})
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.ResetBootstrapState(); err != nil {
			t.Error(err)
		}
	})
	for range 2 { // start after stop works, and stop after stop
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := p.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows, total, err := p.page(filter{}, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if total > 3 {
		t.Fatalf("a fresh folder has %d entries: %+v", total, rows)
	}
	for _, r := range rows {
		if r.ActorKind != KindSystem {
			t.Errorf("%s by %s", r.Action, r.ActorKind)
		}
	}
}

func mustContain(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: %s is missing in %s", what, part, text)
		}
	}
}

func mustSucceed(t *testing.T, status int, body string) {
	t.Helper()
	if status >= 300 {
		t.Fatal(fmt.Sprint(status, " ", body))
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never came: " + what)
		}
	}
}
