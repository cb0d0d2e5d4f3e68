package apikeys

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/pocketbase/pocketbase/tools/types"
)

// fixture is a real app behind a real HTTP server, with posts whose author is
// a user, comments on posts, and a superuser.
type fixture struct {
	t         *testing.T
	app       core.App
	plugin    *Plugin
	url       string
	settings  *config.Settings
	superuser string // token
	user      *core.Record
	userToken string
	post      *core.Record
}

func newFixture(t *testing.T, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, settings: config.Default()}
	f.app = core.NewBaseApp(core.BaseAppConfig{DataDir: t.TempDir()})
	cfg := Config{Settings: func() *config.Settings { return f.settings }, Priority: apis.DefaultPanicRecoverMiddlewarePriority + 5}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if f.plugin, err = Register(f.app, cfg); err != nil {
		t.Fatal(err)
	}
	if err := f.app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	if err := f.app.RunAllMigrations(); err != nil {
		t.Fatal(err)
	}
	r, err := apis.NewRouter(f.app)
	if err != nil {
		t.Fatal(err)
	}
	f.plugin.Routes(r)
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: "testErrors", Priority: cfg.Priority - 1000, Func: showErrors})
	r.GET("/_test/headers", func(e *core.RequestEvent) error {
		return e.JSON(http.StatusOK, e.Request.Header)
	})
	r.GET("/_test/caller", func(e *core.RequestEvent) error {
		caller := httpapi.CallerOf(e)
		return e.JSON(http.StatusOK, map[string]any{"kind": caller.Kind, "id": caller.ID, "elevated": e.HasSuperuserAuth()})
	})
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	f.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = f.app.ResetBootstrapState()
	})
	f.seed()
	return f
}

func (f *fixture) seed() {
	f.t.Helper()
	users := f.must(f.app.FindCollectionByNameOrId("users"))
	posts := core.NewBaseCollection("posts")
	posts.Fields.Add(
		&core.TextField{Name: "title"},
		&core.RelationField{Name: "author", CollectionId: users.Id, MaxSelect: 1},
		&core.FileField{Name: "paper", MaxSelect: 1, Protected: true},
	)
	f.save(posts)
	comments := core.NewBaseCollection("comments")
	comments.Fields.Add(&core.TextField{Name: "text"}, &core.RelationField{Name: "post", CollectionId: posts.Id, MaxSelect: 1})
	f.save(comments)

	f.user = core.NewRecord(users)
	f.user.SetEmail("ann@example.com")
	f.user.SetPassword("correct horse")
	f.save(f.user)
	f.userToken = f.text(f.user.NewAuthToken())

	superuser := core.NewRecord(f.must(f.app.FindCollectionByNameOrId(core.CollectionNameSuperusers)))
	superuser.SetEmail("root@example.com")
	superuser.SetPassword("correct horse")
	f.save(superuser)
	f.superuser = f.text(superuser.NewAuthToken())

	f.post = core.NewRecord(posts)
	f.post.Set("title", "first")
	f.post.Set("author", f.user.Id)
	f.save(f.post)

	settings := f.app.Settings()
	settings.Batch.Enabled = true
	f.save(settings)
}

func (f *fixture) must(c *core.Collection, err error) *core.Collection {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *fixture) text(s string, err error) string {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (f *fixture) save(m core.Model) {
	f.t.Helper()
	if err := f.app.Save(m); err != nil {
		f.t.Fatal(err)
	}
}

// openRules lets everyone read posts.
func (f *fixture) openRules() {
	posts := f.must(f.app.FindCollectionByNameOrId("posts"))
	posts.ListRule, posts.ViewRule = types.Pointer(""), types.Pointer("")
	f.save(posts)
}

// key makes a key in the database and returns it.
func (f *fixture) key(in createInput) (raw, id string) {
	f.t.Helper()
	record, err := f.plugin.newRecord(f.app, in)
	if err != nil {
		f.t.Fatal(err)
	}
	raw, err = f.plugin.mint(record)
	if err != nil {
		f.t.Fatal(err)
	}
	f.save(record)
	return raw, record.Id
}

func (f *fixture) secret(scopes ...string) string {
	f.t.Helper()
	raw, _ := f.key(createInput{Kind: Secret, Scopes: scopes})
	return raw
}

type call struct {
	method, path string
	key          string
	token        string
	header       map[string]string
	body         any
}

type answer struct {
	status int
	code   string
	body   map[string]any
	raw    string
}

func (f *fixture) do(c call) answer {
	f.t.Helper()
	var body io.Reader
	switch content := c.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(content)
	default:
		encoded, err := json.Marshal(content)
		if err != nil {
			f.t.Fatal(err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(c.method, f.url+c.path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		request.Header.Set("X-API-Key", c.key)
	}
	if c.token != "" {
		request.Header.Set("Authorization", c.token)
	}
	for name, value := range c.header {
		request.Header.Set(name, value)
	}
	// RoundTrip does not follow redirects.
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	a := answer{status: response.StatusCode, raw: string(content)}
	_ = json.Unmarshal(content, &a.body)
	object, _ := a.body["error"].(map[string]any)
	a.code, _ = object["code"].(string)
	return a
}

// showErrors writes our own errors as the errors plugin does.
func showErrors(e *core.RequestEvent) error {
	err := e.Next()
	var native *router.ApiError
	if !errors.As(err, &native) || e.Written() {
		return err
	}
	if own, ok := native.RawData().(*apierr.Error); ok {
		return apierr.Write(e.Response, e.Request, own)
	}
	return err
}
