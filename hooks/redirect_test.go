package hooks

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/picobase/picobase/internal/config"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/router"
)

// signIn is a server with an OAuth2 provider that counts the codes it is sent.
type signIn struct {
	url       string
	app       *tests.TestApp
	exchanged atomic.Int64
}

func newSignIn(t *testing.T, redirectURLs ...string) *signIn {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	s := &signIn{app: app}

	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.exchanged.Add(1)
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(provider.Close)
	users, err := app.FindCollectionByNameOrId("users")
	if err != nil {
		t.Fatal(err)
	}
	users.OAuth2.Enabled = true
	users.OAuth2.Providers = []core.OAuth2ProviderConfig{{
		Name: "oidc", ClientId: "id", ClientSecret: "secret",
		AuthURL: provider.URL, TokenURL: provider.URL, UserInfoURL: provider.URL,
	}}
	if err := app.Save(users); err != nil {
		t.Fatal(err)
	}

	settings := config.Default()
	settings.Auth.RedirectURLs = redirectURLs
	RestrictRedirects(app, func() *config.Settings { return settings })
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	err = app.OnServe().Trigger(&core.ServeEvent{App: app, Router: r}, func(e *core.ServeEvent) error {
		mux, err := e.Router.BuildMux()
		if err != nil {
			return err
		}
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		s.url = server.URL
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// post signs in and reports whether the code was sent to the provider.
func (s *signIn) post(t *testing.T, contentType, body string) (status int, answer string, exchanged bool) {
	t.Helper()
	before := s.exchanged.Load()
	request, err := http.NewRequest(http.MethodPost, s.url+"/api/collections/users/auth-with-oauth2", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(read), s.exchanged.Load() > before
}

func form(redirect string) (contentType, body string) {
	return "application/x-www-form-urlencoded",
		url.Values{"provider": {"oidc"}, "code": {"c"}, "redirectURL": {redirect}}.Encode()
}

func TestRestrictRedirects(t *testing.T) {
	t.Parallel()
	s := newSignIn(t, "https://exact.example.com/callback", "https://app.example.com/*", "com.example.app:/oauth2")
	s.app.Settings().Meta.AppURL = "https://pico.example.com/base/"

	for _, test := range []struct {
		redirect string
		allowed  bool
	}{
		{"https://exact.example.com/callback", true},
		{"HTTPS://Exact.Example.COM:443/callback", true},
		{"https://exact.example.com/callback/", false},
		{"https://exact.example.com/callback?next=1", false},
		{"https://app.example.com/", true},
		{"https://app.example.com", true},
		{"https://app.example.com/a/b?state=1", true},
		{"com.example.app:/oauth2", true},
		{s.url + "/api/oauth2-redirect", true},
		{"https://pico.example.com/base/api/oauth2-redirect", true},
		{"https://pico.example.com/base/api/oauth2-redirect?to=evil", false},
		{"https://pico.example.com/other", false},
		{"https://evil.net/api/oauth2-redirect", false},
		{"http://pico.example.com/base/api/oauth2-redirect", false},
		{"https://evil.net/", false},
		{"", false},
	} {
		contentType, body := form(test.redirect)
		status, answer, exchanged := s.post(t, contentType, body)
		if exchanged != test.allowed {
			t.Errorf("%q: code exchanged = %v, want %v (%d %s)", test.redirect, exchanged, test.allowed, status, answer)
		}
		if status != http.StatusBadRequest { // the provider refuses every code
			t.Errorf("%q: status %d, want 400", test.redirect, status)
		}
		if !test.allowed && (!strings.Contains(answer, "auth.redirectURLs") || !strings.Contains(answer, test.redirect)) {
			t.Errorf("%q: the answer does not name it and the setting: %s", test.redirect, answer)
		}
	}
}

// TestBodyFormats sends the URL in every way that PocketBase reads it.
func TestBodyFormats(t *testing.T) {
	t.Parallel()
	const good, evil = "https://app.example.com/cb", "https://evil.net/cb"
	s := newSignIn(t, "https://app.example.com/*")
	xml := func(redirect string) string {
		return "<f><Provider>oidc</Provider><Code>c</Code><RedirectURL>" + redirect + "</RedirectURL></f>"
	}
	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	for name, value := range map[string]string{"provider": "oidc", "code": "c", "redirectURL": good, "@jsonPayload": `{"redirectURL":"` + evil + `"}`} {
		if err := writer.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		contentType, body string
		allowed           bool
	}{
		"json":             {"application/json", `{"provider":"oidc","code":"c","redirectURL":"` + good + `"}`, true},
		"json evil":        {"application/json", `{"provider":"oidc","code":"c","redirectURL":"` + evil + `"}`, false},
		"json old name":    {"application/json", `{"provider":"oidc","code":"c","redirectUrl":"` + good + `"}`, true},
		"json old evil":    {"application/json", `{"provider":"oidc","code":"c","redirectUrl":"` + evil + `"}`, false},
		"json both":        {"application/json", `{"provider":"oidc","code":"c","redirectUrl":"` + good + `","redirectURL":"` + evil + `"}`, false},
		"json twice":       {"application/json", `{"provider":"oidc","code":"c","redirectURL":"` + good + `","redirectURL":"` + evil + `"}`, false},
		"json other case":  {"application/json", `{"provider":"oidc","code":"c","redirectURL":"` + good + `","REDIRECTURL":"` + evil + `"}`, false},
		"json two values":  {"application/json", `{"provider":"oidc","code":"c","redirectURL":"` + evil + `"}{"redirectURL":"` + good + `"}`, false},
		"xml":              {"text/xml", xml(good), true},
		"xml evil":         {"text/xml", xml(evil), false},
		"multipart hidden": {writer.FormDataContentType(), parts.String(), false},
		"unknown type":     {"text/plain", "redirectURL=" + good, false},
		"broken":           {"application/json", `{"redirectURL":"` + good, false},
	} {
		t.Run(name, func(t *testing.T) {
			if status, answer, exchanged := s.post(t, test.contentType, test.body); exchanged != test.allowed || status != http.StatusBadRequest {
				t.Errorf("exchanged = %v, want %v (%d %s)", exchanged, test.allowed, status, answer)
			}
		})
	}
}

// TestSecondDocument hides another URL behind the part of the body that an XML
// decoder reads at once.
func TestSecondDocument(t *testing.T) {
	t.Parallel()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	const good, evil = "<f><RedirectURL>good</RedirectURL></f>", "<f><RedirectURL>evil</RedirectURL></f>"
	body := good + strings.Repeat(" ", 4096-len(good)) + evil
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	request.Header.Set("Content-Type", "text/xml")
	request.Body = &router.RereadableReadCloser{ReadCloser: request.Body}
	e := &core.RequestEvent{App: app}
	e.Request, e.Response = request, httptest.NewRecorder()

	for range 2 { // first the rule, then PocketBase
		if got, err := redirectURL(e); err != nil || got != "good" {
			t.Fatalf("read %q, %v; want good", got, err)
		}
	}
}

func TestNoRestriction(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	contentType, body := form("https://anywhere.example.net/cb")
	if status, answer, exchanged := s.post(t, contentType, body); !exchanged {
		t.Errorf("an empty list refused a sign-in: %d %s", status, answer)
	}
}

func TestErrorCode(t *testing.T) {
	t.Parallel()
	err := notAllowed("https://evil.net/" + strings.Repeat("x", 5000))
	if err.Code != "redirect_not_allowed" || err.Status != http.StatusBadRequest {
		t.Errorf("got %+v", err)
	}
	if len(err.Message) > 600 {
		t.Errorf("the message has %d bytes", len(err.Message))
	}
}

// TestRuleReadsLimitedBodies checks that the rule runs inside of the body limit.
func TestRuleReadsLimitedBodies(t *testing.T) {
	t.Parallel()
	if rule := restrictRedirects(config.Default); rule.Priority <= apis.DefaultBodyLimitMiddlewarePriority {
		t.Errorf("priority %d is outside of the body limit's %d", rule.Priority, apis.DefaultBodyLimitMiddlewarePriority)
	}
}
