package jshooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	_ "github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// fixture is a real app with a collection of posts behind a real HTTP server,
// whose callers are the person at this machine's command line.
type fixture struct {
	*Plugin
	t        *testing.T
	url      string
	settings atomic.Pointer[config.Settings]
	log      *syncBuffer // the operator's

	mu   sync.Mutex
	acts []string
}

// syncBuffer is a buffer that several goroutines use.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

type options struct {
	dataDir string // of an earlier fixture
	dir     string // of hooks
	watch   bool
	allowed func(*core.RequestEvent) bool
	idle    bool // not started: a command on the folder
	network http.RoundTripper
}

func newFixture(t *testing.T, o options) *fixture {
	t.Helper()
	if o.dataDir == "" {
		o.dataDir = t.TempDir()
	}
	f := &fixture{t: t, log: &syncBuffer{}}
	f.settings.Store(config.Default())
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: o.dataDir, EncryptionEnv: "PICO_TEST_ENCRYPTION"})
	var err error
	f.Plugin, err = Register(app, Config{
		Settings: f.settings.Load, Dir: o.dir, Watch: o.watch, StillAllowed: o.allowed, Transport: o.network,
		Logger: slog.New(slog.NewTextHandler(f.log, nil)),
		Record: func(_ core.App, _ *core.RequestEvent, act Act) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.acts = append(f.acts, fmt.Sprint(act))
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	if err := app.RunAllMigrations(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.ResetBootstrapState() })
	if _, err := app.FindCollectionByNameOrId("posts"); err != nil {
		posts := core.NewBaseCollection("posts")
		open := ""
		posts.CreateRule, posts.ListRule, posts.ViewRule = &open, &open, &open
		posts.Fields.Add(&core.TextField{Name: "title"}, &core.TextField{Name: "slug"})
		if err := app.Save(posts); err != nil {
			t.Fatal(err)
		}
	}
	f.serve(o)
	return f
}

func (f *fixture) serve(o options) {
	f.t.Helper()
	r, err := apis.NewRouter(f.app)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: "testErrors", Priority: -2000, Func: func(e *core.RequestEvent) error {
		httpapi.StateOf(e).RequestID = e.Request.Header.Get("X-Request-Id")
		err := e.Next()
		var native *router.ApiError
		if !errors.As(err, &native) || e.Written() {
			return err
		}
		if own, ok := native.RawData().(*apierr.Error); ok {
			return apierr.Write(e.Response, e.Request, own)
		}
		return err
	}})
	// As apis.Serve does: the engine puts hooks' own routes into the router then.
	var mux http.Handler
	event := &core.ServeEvent{App: f.app, Router: r}
	err = f.app.OnServe().Trigger(event, func(e *core.ServeEvent) (err error) {
		f.Routes(e.Router)
		mux, err = e.Router.BuildMux()
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Anonymous") == "" {
			r = r.WithContext(httpapi.WithCommandLine(r.Context(), "ann"))
		}
		mux.ServeHTTP(w, r)
	}))
	f.url = server.URL
	f.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := f.Stop(ctx); err != nil {
			f.t.Error(err)
		}
	})
	if o.idle {
		return
	}
	if err := f.Start(); err != nil {
		f.t.Fatal(err)
	}
}

type response struct {
	status int
	text   string
}

// code is the code of an error.
func (r response) code() string {
	var body struct {
		Error struct{ Code string }
	}
	_ = json.Unmarshal([]byte(r.text), &body)
	return body.Error.Code
}

func (r response) into(t *testing.T, target any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.text), target); err != nil {
		t.Fatalf("%v: %s", err, r.text)
	}
}

func (f *fixture) send(method, path, contentType string, body []byte, headers ...string) response {
	f.t.Helper()
	request, err := http.NewRequest(method, f.url+path, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return response{answer.StatusCode, string(text)}
}

func (f *fixture) call(method, path string, body any) response {
	f.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.send(method, path, "application/json", encoded)
}

// slugHook sets the slug of new posts, so that a test sees which version runs.
func slugHook(slug string) string {
	return "onRecordCreate((e) => {\n  e.record.set('slug', '" + slug + "')\n  e.next()\n}, 'posts')\n"
}

// push uploads one file and returns the version.
func (f *fixture) push(source string) Version {
	f.t.Helper()
	answer := f.call(http.MethodPost, "/api/v1/hooks", map[string]any{"files": map[string]string{"main.pb.js": source}})
	if answer.status != http.StatusCreated && answer.status != http.StatusOK {
		f.t.Fatalf("push: %+v", answer)
	}
	var v Version
	answer.into(f.t, &v)
	return v
}

// list returns the answer of GET /api/v1/hooks.
func (f *fixture) list() versionList {
	f.t.Helper()
	var list versionList
	f.call(http.MethodGet, "/api/v1/hooks", nil).into(f.t, &list)
	return list
}

func (f *fixture) active() string {
	f.t.Helper()
	if active := f.list().Active; active != nil {
		return *active
	}
	return ""
}

// slug makes a post and returns the slug that hooks gave it.
func (f *fixture) slug() string {
	f.t.Helper()
	answer := f.call(http.MethodPost, "/api/collections/posts/records", map[string]string{"title": "x"})
	var post struct{ Slug string }
	answer.into(f.t, &post)
	if answer.status != http.StatusOK {
		f.t.Fatalf("make a post: %+v", answer)
	}
	return post.Slug
}

func (f *fixture) want(got response, status int, code string) {
	f.t.Helper()
	if got.status != status || got.code() != code {
		f.t.Errorf("got %d %s, want %d %q", got.status, got.text, status, code)
	}
}

func (f *fixture) recorded() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.acts, "\n")
}

// eventually polls until ok, for as long as it may take on a busy machine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
