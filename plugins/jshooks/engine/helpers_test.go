package engine_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// host is an app with an engine and its HTTP handler.
type host struct {
	t      *testing.T
	app    *tests.TestApp
	engine *engine.Engine
	http   http.Handler

	mu      sync.Mutex
	entries []engine.Entry
}

func newHost(t *testing.T, cfg engine.Config) *host {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, app: app}
	cfg.App = app
	cfg.Log = func(e engine.Entry) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.entries = append(h.entries, e)
	}
	if h.engine, err = engine.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := h.engine.Close(ctx); err != nil {
			t.Error(err)
		}
		app.Cleanup()
	})
	items := core.NewBaseCollection("items")
	everyone := ""
	items.ListRule, items.ViewRule, items.CreateRule, items.UpdateRule, items.DeleteRule = &everyone, &everyone, &everyone, &everyone, &everyone
	items.Fields.Add(&core.TextField{Name: "title"}, &core.NumberField{Name: "count"}, &core.BoolField{Name: "active"}, &core.JSONField{Name: "meta"},
		&core.AutodateField{Name: "created", OnCreate: true})
	if err := app.Save(items); err != nil {
		t.Fatal(err)
	}
	router, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	router.Bind(&hook.Handler[*core.RequestEvent]{Id: "testRequestID", Priority: -2000, Func: func(e *core.RequestEvent) error {
		httpapi.StateOf(e).RequestID = e.Request.Header.Get(httpapi.HeaderRequestID)
		return e.Next()
	}})
	if err := app.OnServe().Trigger(&core.ServeEvent{App: app, Router: router}, func(e *core.ServeEvent) error { return e.Next() }); err != nil {
		t.Fatal(err)
	}
	if h.http, err = router.BuildMux(); err != nil {
		t.Fatal(err)
	}
	return h
}

// load compiles and activates one file, main.pb.js, and what else is named.
func (h *host) load(source string, more ...string) {
	h.t.Helper()
	b := engine.Bundle{"main.pb.js": []byte(source)}
	for i := 0; i+1 < len(more); i += 2 {
		b[more[i]] = []byte(more[i+1])
	}
	g, problems := h.engine.Compile(context.Background(), "v1", b)
	if len(problems) > 0 {
		h.t.Fatalf("problems: %v", problems)
	}
	h.engine.Activate(g)
}

type response struct {
	status int
	body   string
	header http.Header
}

func (h *host) send(method, path, body string, headers ...string) response {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.http.ServeHTTP(rec, req)
	raw, _ := io.ReadAll(rec.Body)
	return response{rec.Code, string(raw), rec.Result().Header}
}

func (h *host) log() []engine.Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]engine.Entry(nil), h.entries...)
}

// logged returns the messages as one text.
func (h *host) logged() string {
	var b strings.Builder
	for _, e := range h.log() {
		b.WriteString(e.Level + " " + e.Message + "\n")
	}
	return b.String()
}
