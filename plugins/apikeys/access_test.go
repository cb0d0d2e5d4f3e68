package apikeys

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/routertest"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"
)

// Every route of PocketBase is in exactly one of the tables, and every entry
// of the tables is a route: an upgrade that adds or renames one fails here.
func TestTablesMatchRouter(t *testing.T) {
	t.Parallel()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: t.TempDir()})
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	defer app.ResetBootstrapState()
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	withoutPower := map[string]bool{
		"GET /api/health": true, "GET /api/realtime": true,
		"GET /api/oauth2-redirect": true, "POST /api/oauth2-redirect": true,
		"GET /api/backups/{key}": true, // asks for a superuser's file token
	}
	routes := map[string]bool{}
	for _, pattern := range routertest.Patterns(r) {
		routes[pattern] = true
		_, ruled := secretRules[pattern]
		count := 0
		for _, in := range []bool{ruled, authRoutes[pattern], withoutPower[pattern]} {
			if in {
				count++
			}
		}
		if count != 1 {
			t.Errorf("PocketBase's route %q is in %d tables, want 1", pattern, count)
		}
	}
	if len(routes) < 50 {
		t.Fatalf("found only %d routes", len(routes))
	}
	for pattern := range secretRules {
		if !routes[pattern] {
			t.Errorf("secretRules has %q, which PocketBase does not", pattern)
		}
	}
	for pattern := range authRoutes {
		if !routes[pattern] {
			t.Errorf("authRoutes has %q, which PocketBase does not", pattern)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := listPosts + "/" + f.post.Id
	newPost := map[string]any{"title": "x"}
	view := map[string]any{"name": "leak", "type": "view", "viewQuery": "SELECT id, email FROM _superusers"}
	base := func(fields map[string]any) map[string]any {
		c := map[string]any{"name": "mine", "type": "base"}
		for k, v := range fields {
			c[k] = v
		}
		return c
	}
	imports := func(c map[string]any) map[string]any { return map[string]any{"collections": []any{c}} }
	stolen := filepath.Join(t.TempDir(), "stolen.db")
	superusers := f.must(f.app.FindCollectionByNameOrId(core.CollectionNameSuperusers))
	batch := func(inner ...map[string]any) map[string]any { return map[string]any{"requests": inner} }
	const noScope, notAllowed = "api_key_scope_required", "api_key_not_allowed"

	cases := []struct {
		name   string
		scopes []string
		call   call
		code   string // "" for a success
	}{
		{"read all", []string{"records:read"}, call{method: "GET", path: listPosts}, ""},
		{"read one", []string{"records:read:posts"}, call{method: "GET", path: one}, ""},
		{"read by collection id", []string{"records:read:posts"}, call{method: "GET", path: strings.Replace(listPosts, "posts", f.post.Collection().Id, 1)}, ""},
		{"read another", []string{"records:read:comments"}, call{method: "GET", path: one}, noScope},
		{"write with read", []string{"records:read"}, call{method: "POST", path: listPosts, body: newPost}, noScope},
		{"create", []string{"records:write:posts"}, call{method: "POST", path: listPosts, body: newPost}, ""},
		{"update", []string{"records:*"}, call{method: "PATCH", path: one, body: newPost}, ""},
		{"read with write", []string{"records:write"}, call{method: "GET", path: one}, noScope},
		{"read with other scopes", []string{"backups", "logs", "schema:*", "settings"}, call{method: "GET", path: one}, noScope},

		{"expand within", []string{"records:read:posts", "records:read:users"}, call{method: "GET", path: listPosts + "?expand=author"}, ""},
		{"expand beyond", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?expand=author"}, noScope},
		{"expand beyond on view", []string{"records:read:posts"}, call{method: "GET", path: one + "?expand=author"}, noScope},
		{"expand beyond on write", []string{"records:*:posts"}, call{method: "PATCH", path: one + "?expand=author", body: newPost}, noScope},
		{"expand back", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?expand=comments_via_post"}, noScope},
		{"expand back, old form", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?expand=comments(post)"}, noScope},
		{"expand two steps", []string{"records:read:posts", "records:read:comments"}, call{method: "GET", path: "/api/collections/comments/records?expand=post.author"}, noScope},
		{"filter on own relation", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=author!=''"}, ""},
		{"filter beyond", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=author.email~'a'"}, noScope},
		{"filter beyond, nested", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=(title='x'||(title='y'%26%26'a'~author.email))"}, noScope},
		{"filter back", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=comments_via_post.text~'a'"}, noScope},
		{"filter in a function", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=strftime('%25Y',author.created)!=''"}, noScope},
		{"filter another collection", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=@collection.users.email~'a'"}, noScope},
		{"filter with an alias", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=@collection.users:u.email~'a'"}, noScope},
		{"filter the superusers", []string{"*"}, call{method: "GET", path: listPosts + "?filter=@collection._superusers.tokenKey~'a'"}, notAllowed},
		{"sort beyond", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?sort=title,-author.email"}, noScope},

		{"filter through the body", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=@request.body.author.email~'a'", body: map[string]any{"author": f.user.Id}}, noScope},
		{"sort through the body", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?sort=@request.body.author.email", body: map[string]any{"author": f.user.Id}}, noScope},
		{"filter on the body", []string{"records:read:posts"}, call{method: "GET", path: listPosts + "?filter=@request.body.title=''", body: map[string]any{"title": ""}}, ""},
		{"filter by password hash", []string{"records:*"}, call{method: "GET", path: "/api/collections/users/records?filter=password~'$2a'"}, notAllowed},
		{"filter by token key", []string{"records:*"}, call{method: "GET", path: listPosts + "?filter=author.tokenKey:lower~'a'"}, notAllowed},
		{"sort by token key", []string{"records:*"}, call{method: "GET", path: "/api/collections/users/records?sort=-tokenKey"}, notAllowed},
		{"endless filter", []string{"records:*"}, call{method: "GET", path: listPosts + "?filter=" + strings.Repeat("(", 4000)}, "validation_failed"},

		{"superusers", []string{"*"}, call{method: "GET", path: "/api/collections/_superusers/records"}, notAllowed},
		{"superusers by id", []string{"*"}, call{method: "GET", path: "/api/collections/" + superusers.Id + "/records"}, notAllowed},
		{"new superuser", []string{"*"}, call{method: "POST", path: "/api/collections/_superusers/records", body: map[string]any{"email": "a@b.c"}}, notAllowed},
		{"new one-time password", []string{"*"}, call{method: "POST", path: "/api/collections/_otps/records", body: map[string]any{}}, notAllowed},
		{"keys as records", []string{"*"}, call{method: "GET", path: "/api/collections/" + migrations.KeysCollection + "/records"}, notAllowed},
		{"impersonate", []string{"*"}, call{method: "POST", path: "/api/collections/users/impersonate/" + f.user.Id}, notAllowed},
		{"sql", []string{"*"}, call{method: "POST", path: "/api/sql", body: map[string]any{"query": "SELECT 1"}}, notAllowed},
		{"file token", []string{"*"}, call{method: "POST", path: "/api/files/token"}, notAllowed},
		{"crons", []string{"*"}, call{method: "GET", path: "/api/crons"}, notAllowed},
		{"mail server", []string{"*"}, call{method: "PATCH", path: "/api/settings", body: map[string]any{}}, notAllowed},
		{"restore", []string{"*"}, call{method: "POST", path: "/api/backups/x.zip/restore"}, notAllowed},
		{"dry run of a view", []string{"*"}, call{method: "POST", path: "/api/collections/meta/dry-run-view", body: map[string]any{}}, notAllowed},

		{"schema", []string{"schema:read"}, call{method: "GET", path: "/api/collections"}, ""},
		{"schema without", []string{"records:*"}, call{method: "GET", path: "/api/collections"}, noScope},
		{"new collection", []string{"schema:write"}, call{method: "POST", path: "/api/collections", body: base(nil)}, ""},
		{"new collection with a name of ours", []string{"*"}, call{method: "POST", path: "/api/collections", body: map[string]any{"name": "_pico_later", "type": "base"}}, notAllowed},
		{"new collection with read", []string{"schema:read"}, call{method: "POST", path: "/api/collections", body: base(nil)}, noScope},
		{"rules of the superusers", []string{"*"}, call{method: "PATCH", path: "/api/collections/_superusers", body: map[string]any{"createRule": ""}}, notAllowed},
		{"view of the superusers", []string{"*"}, call{method: "POST", path: "/api/collections", body: view}, notAllowed},
		{"view of token secrets", []string{"*"}, call{method: "POST", path: "/api/collections", body: map[string]any{"name": "leak", "type": "view", "viewQuery": `SELECT id, options FROM "_CoLLections"`}}, notAllowed},
		{"view of the schema", []string{"*"}, call{method: "POST", path: "/api/collections", body: map[string]any{"name": "leak", "type": "view", "viewQuery": "SELECT rowid AS id, sql FROM/**/sqlite_master"}}, notAllowed},
		{"rule on the superusers", []string{"*"}, call{method: "POST", path: "/api/collections", body: base(map[string]any{"listRule": "@collection._superusers.tokenKey ~ 'a'"})}, notAllowed},
		{"rule on the superusers by id", []string{"*"}, call{method: "POST", path: "/api/collections", body: base(map[string]any{"listRule": "@collection." + superusers.Id + ".email ~ 'a'"})}, notAllowed},
		{"rule on password hashes", []string{"*"}, call{method: "POST", path: "/api/collections", body: base(map[string]any{"listRule": "@collection.users.password ~ 'a'"})}, notAllowed},
		{"rule", []string{"*"}, call{method: "POST", path: "/api/collections", body: map[string]any{"name": "ruled", "type": "base", "listRule": "@collection.users.email ~ 'a' && @request.auth.collectionName != '_superusers'"}}, ""},
		{"index with more SQL", []string{"*"}, call{method: "POST", path: "/api/collections", body: base(map[string]any{"indexes": []any{"CREATE INDEX i ON mine (id) WHERE id != ''; COMMIT; VACUUM INTO '" + stolen + "'; BEGIN"}})}, notAllowed},
		{"index", []string{"*"}, call{method: "POST", path: "/api/collections", body: map[string]any{"name": "indexed", "type": "base", "indexes": []any{"CREATE INDEX i ON indexed (id);"}}}, ""},
		{"view with more SQL", []string{"*"}, call{method: "POST", path: "/api/collections", body: map[string]any{"name": "leak", "type": "view", "viewQuery": "SELECT id FROM posts; SELECT 1"}}, notAllowed},
		{"import of a rule on the superusers by id", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: imports(base(map[string]any{"listRule": "@collection." + superusers.Id + ".email ~ 'a'"}))}, notAllowed},
		{"import of a system collection", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: imports(base(map[string]any{"system": true}))}, notAllowed},
		{"import of an index with more SQL", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: imports(base(map[string]any{"INDEXES": []any{"CREATE INDEX i ON mine (id); COMMIT; VACUUM INTO '" + stolen + "'; BEGIN"}}))}, notAllowed},
		{"import of SQL as a name", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: imports(map[string]any{"type": "base", "name": "x (id TEXT); COMMIT; VACUUM INTO '" + stolen + "'; BEGIN; CREATE TABLE y"})}, "validation_failed"},
		{"import of SQL as a field", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: imports(base(map[string]any{"fields": []any{map[string]any{"type": "text", "name": "x TEXT); COMMIT; VACUUM INTO '" + stolen + "'; BEGIN; CREATE TABLE y (z("}}}))}, "validation_failed"},
		{"import of a path as an id", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: imports(base(map[string]any{"id": "../../evil"}))}, "validation_failed"},
		{"import", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: imports(map[string]any{"type": "base", "name": "brought", "fields": []any{map[string]any{"type": "text", "name": "t"}}})}, ""},
		{"relation to the superusers", []string{"*"}, call{method: "POST", path: "/api/collections", body: base(map[string]any{"fields": []any{map[string]any{"name": "r", "type": "relation", "collectionId": superusers.Id, "maxSelect": 1}}})}, notAllowed},
		{"import of the superusers", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: map[string]any{"collections": []any{map[string]any{"id": superusers.Id, "name": "_superusers", "type": "auth", "createRule": ""}}}}, notAllowed},
		{"import of a view", []string{"*"}, call{method: "PUT", path: "/api/collections/import", body: map[string]any{"collections": []any{view}}}, notAllowed},
		{"truncate", []string{"*"}, call{method: "DELETE", path: "/api/collections/_superusers/truncate"}, notAllowed},

		{"batch", []string{"records:write:posts"}, call{method: "POST", path: "/api/batch", body: batch(
			map[string]any{"method": "POST", "url": listPosts, "body": newPost},
			map[string]any{"method": "PATCH", "url": one, "body": newPost})}, ""},
		{"batch beyond", []string{"records:write:posts"}, call{method: "POST", path: "/api/batch", body: batch(
			map[string]any{"method": "POST", "url": listPosts, "body": newPost},
			map[string]any{"method": "POST", "url": "/api/collections/comments/records", "body": map[string]any{"text": "x"}})}, noScope},
		{"batch upsert beyond", []string{"records:write:comments"}, call{method: "POST", path: "/api/batch", body: batch(
			map[string]any{"method": "PUT", "url": listPosts, "body": newPost})}, noScope},
		{"batch expand", []string{"records:write:posts"}, call{method: "POST", path: "/api/batch", body: batch(
			map[string]any{"method": "PATCH", "url": one + "?expand=author", "body": newPost})}, noScope},
		{"batch superuser", []string{"*"}, call{method: "POST", path: "/api/batch", body: batch(
			map[string]any{"method": "POST", "url": "/api/collections/_superusers/records", "body": map[string]any{"email": "a@b.c"}})}, notAllowed},
		{"batch without records", []string{"logs"}, call{method: "POST", path: "/api/batch", body: batch(
			map[string]any{"method": "POST", "url": listPosts, "body": newPost})}, noScope},

		{"logs", []string{"logs"}, call{method: "GET", path: "/api/logs"}, ""},
		{"logs without", []string{"records:*"}, call{method: "GET", path: "/api/logs"}, noScope},
		{"backups", []string{"backups"}, call{method: "GET", path: "/api/backups"}, ""},
		{"settings", []string{"settings"}, call{method: "GET", path: "/api/settings"}, ""},
		{"keys", []string{"keys"}, call{method: "GET", path: "/api/v1/keys"}, ""},
		{"keys without", []string{"records:*"}, call{method: "GET", path: "/api/v1/keys"}, noScope},
		{"sign in", []string{"logs"}, call{method: "POST", path: "/api/collections/users/auth-with-password", body: map[string]any{"identity": "ann@example.com", "password": "correct horse"}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.call.key = f.secret(c.scopes...)
			got := f.do(c.call)
			if got.code != c.code || (c.code == "") != (got.status < 300) {
				t.Errorf("got %d %q, want %q: %s", got.status, got.code, c.code, got.raw)
			}
		})
	}
	if n, _ := f.app.CountRecords(core.CollectionNameSuperusers); n != 1 {
		t.Errorf("there are %d superusers now", n)
	}
	if _, err := os.Stat(stolen); err == nil {
		t.Error("a copy of the database was written")
	}
}

// A publishable key adds nothing to what its holder may do anyway.
func TestPublishableGrantsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, _ := f.key(createInput{Kind: Publishable})
	for _, c := range []call{
		{method: "GET", path: listPosts},
		{method: "POST", path: listPosts, body: map[string]any{"title": "x"}},
		{method: "GET", path: "/api/collections"},
		{method: "GET", path: "/api/settings"},
		{method: "GET", path: "/api/v1/keys"},
		{method: "POST", path: "/api/collections/users/impersonate/" + f.user.Id},
		{method: "POST", path: "/api/sql", body: map[string]any{"query": "SELECT 1"}},
	} {
		c.key = key
		if got := f.do(c); got.status != http.StatusForbidden && got.status != http.StatusUnauthorized {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.raw)
		}
	}
}

func TestProtectedFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	paper, err := filesystem.NewFileFromBytes([]byte("secret paper"), "paper.txt")
	if err != nil {
		t.Fatal(err)
	}
	f.post.Set("paper", paper)
	f.save(f.post)
	path := "/api/files/posts/" + f.post.Id + "/" + f.post.GetString("paper")
	for name, want := range map[string]int{scope.Files: 200, "*": 200, "records:*": 404} {
		got := f.do(call{method: "GET", path: path, key: f.secret(name)})
		if got.status != want {
			t.Errorf("with the scope %s: %d, want %d (%s)", name, got.status, want, got.raw)
		}
	}
	if got := f.do(call{method: "GET", path: path}); got.status != 404 {
		t.Errorf("without a key: %d", got.status)
	}
}

// A batch may be multipart; its inner requests are checked all the same.
func TestMultipartBatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("@jsonPayload", `{"requests":[{"method":"POST","url":"/api/collections/comments/records","body":{"text":"x"}}]}`)
	_ = form.Close()
	got := f.do(call{method: "POST", path: "/api/batch", body: body.String(), key: f.secret("records:write:posts"),
		header: map[string]string{"Content-Type": form.FormDataContentType()}})
	if got.code != "api_key_scope_required" {
		t.Errorf("got %d %s", got.status, got.raw)
	}
}
