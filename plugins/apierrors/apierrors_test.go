package apierrors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/hook"
)

var errOwn = apierr.New(http.StatusTeapot, "teapot", "I am a teapot.").WithDetail("spout", "short")

// handlers are what can go wrong, by path.
var handlers = map[string]func(*core.RequestEvent) error{
	"/own":     func(*core.RequestEvent) error { return httpapi.Error(errOwn) },
	"/bare":    func(*core.RequestEvent) error { return errOwn },
	"/wrapped": func(*core.RequestEvent) error { return fmt.Errorf("while brewing: %w", httpapi.Error(errOwn)) },
	"/native":  func(e *core.RequestEvent) error { return e.ForbiddenError("", nil) },
	"/unknown": func(*core.RequestEvent) error { return errors.New("secret detail of the database") },
	"/panic":   func(*core.RequestEvent) error { panic("secret detail of the code") },
	"/native429": func(e *core.RequestEvent) error {
		return e.TooManyRequestsError("", nil)
	},
	"/answered": func(e *core.RequestEvent) error {
		_ = e.NoContent(http.StatusNoContent)
		return errors.New("mail not sent")
	},
	"/large": func(e *core.RequestEvent) error {
		_, err := io.ReadAll(e.Request.Body)
		return e.BadRequestError("", err)
	},
	"/abort": func(*core.RequestEvent) error { panic(http.ErrAbortHandler) },
}

func newServer(t *testing.T) *httptest.Server {
	t.Helper()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: t.TempDir()})
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Register(app, Config{Priority: apis.DefaultCorsMiddlewarePriority - 20})
	if err != nil {
		t.Fatal(err)
	}
	p.Routes(r)
	for path, handler := range handlers {
		r.POST(path, handler)
	}
	// A middleware outside of PocketBase's own panic recovery.
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: "testOuter", Priority: apis.DefaultCorsMiddlewarePriority, Func: func(e *core.RequestEvent) error {
		if e.Request.URL.RawQuery == "outer" {
			panic("in a middleware")
		}
		return e.Next()
	}})
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.Close(); _ = app.ResetBootstrapState() })
	return server
}

func TestShape(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/own":         {418, "teapot"},
		"/bare":        {418, "teapot"},
		"/wrapped":     {418, "teapot"},
		"/native":      {403, "forbidden"},
		"/native429":   {429, "rate_limited"},
		"/unknown":     {400, "bad_request"},
		"/panic":       {500, "internal_error"},
		"/own?outer":   {500, "internal_error"},
		"/large":       {413, "body_too_large"},
		"/no/route":    {404, "not_found"},
		"/api/nothing": {404, "not_found"},
	} {
		body := "{}"
		if path == "/large" {
			body = strings.Repeat("x", 33<<20)
		}
		// Without a Content-Length, so that the limit is found on the way.
		response, err := http.Post(server.URL+path, "application/json", io.MultiReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(response.Body)
		response.Body.Close()
		var got apierr.Body
		if err := json.Unmarshal(content, &got); err != nil {
			t.Errorf("%s: %v in %s", path, err, content)
			continue
		}
		if response.StatusCode != want.status || got.Error.Code != want.code || got.Status != want.status ||
			got.Message == "" || got.Message != got.Error.Message || got.Data == nil || got.Error.Details == nil {
			t.Errorf("%s: %d %s", path, response.StatusCode, content)
		}
		if strings.Contains(string(content), "secret detail") {
			t.Errorf("%s shows what went wrong inside: %s", path, content)
		}
		if response.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: no request id", path)
		}
		if want.status == 429 && response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
}

// A response that was sent is left alone, whatever comes after.
func TestAnsweredAndAborted(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	response, err := http.Post(server.URL+"/answered", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	content, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent || len(content) > 0 {
		t.Errorf("%d %s", response.StatusCode, content)
	}
	if response, err := http.Post(server.URL+"/abort", "", nil); err == nil {
		response.Body.Close()
		t.Errorf("an aborted request was answered: %d", response.StatusCode)
	}
}

func FuzzRequestID(f *testing.F) {
	f.Add("abc-123")
	f.Add("a\r\nSet-Cookie: x")
	f.Add(strings.Repeat("x", 129))
	f.Fuzz(func(t *testing.T, given string) {
		r := &http.Request{Header: http.Header{"X-Request-Id": {given}}}
		got := requestID(r)
		if !validID(got) {
			t.Errorf("%q became %q", given, got)
		}
		if validID(given) != (got == given) {
			t.Errorf("%q was replaced by %q", given, got)
		}
	})
}
