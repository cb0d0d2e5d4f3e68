package audit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

func TestChangesByRequest(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	settings := tt.Settings()
	settings.Batch.Enabled = true
	settings.SMTP.Password = "smtp-old-secret"
	if err := tt.Save(settings); err != nil {
		t.Fatal(err)
	}
	key := `{"id":"keykeykeykey001","kind":"secret","hash":"` + strings.Repeat("ab", 32) + `","prefix":"pbk_sec_x","lastFour":"abcd","label":"ci"}`

	steps := []struct {
		name, method, path, body string
		actions                  string
		before, after            []string // parts of the last entry's
	}{
		{
			name: "collection create", method: "POST", path: "/api/collections",
			body:    `{"name":"articles","type":"base","fields":[{"name":"title","type":"text","id":"text0000001"}]}`,
			actions: "collection.created",
			after:   []string{`"name":"articles"`, `"title"`, `"listRule":null`},
		},
		{
			name: "rule and field update", method: "PATCH", path: "/api/collections/articles",
			body:    `{"listRule":"","fields":[{"name":"title","type":"text","id":"text0000001","max":77},{"name":"extra","type":"bool","id":"bool0000001"}]}`,
			actions: "collection.updated",
			before:  []string{`{"fields":{"text0000001":{"max":0,"name":"title"}},"listRule":null}`},
			after:   []string{`"listRule":""`, `"text0000001":{"max":77,"name":"title"}`, `"bool0000001":{`, `"extra"`},
		},
		{
			name: "no-op update", method: "PATCH", path: "/api/collections/articles", body: `{"listRule":""}`,
		},
		{
			name: "import", method: "PUT", path: "/api/collections/import",
			body: `{"collections":[{"name":"articles","id":"ARTICLES","viewRule":"id != ''","fields":[{"name":"title","type":"text","id":"text0000001"}]},
				{"name":"imported","type":"base","fields":[{"name":"x","type":"text"}]}]}`,
			actions: "collection.created collection.updated",
			after:   []string{`"viewRule":"id != ''"}`},
		},
		{
			name: "collection delete", method: "DELETE", path: "/api/collections/imported",
			actions: "collection.deleted",
			before:  []string{`"name":"imported"`},
		},
		{
			name: "token secret of an auth collection", method: "PATCH", path: "/api/collections/users",
			body:    `{"authToken":{"duration":99999,"secret":"` + strings.Repeat("s", 40) + `"}}`,
			actions: "collection.updated",
			before:  []string{`{"authToken":{"duration":`, `"secret":"******"`},
			after:   []string{`{"authToken":{"duration":99999,"secret":"****** (changed)"}}`},
		},
		{
			name: "settings", method: "PATCH", path: "/api/settings",
			body:    `{"meta":{"appName":"Renamed"},"smtp":{"password":"smtp-new-secret"}}`,
			actions: "settings.updated",
			before:  []string{`"smtp":{"password":"******"}`},
			after:   []string{`{"meta":{"appName":"Renamed"},"smtp":{"password":"****** (changed)"}}`},
		},
		{
			name: "superuser create", method: "POST", path: "/api/collections/_superusers/records",
			body:    `{"id":"superuser000001","email":"new@example.com","password":"1234567890","passwordConfirm":"1234567890"}`,
			actions: "superuser.created",
			after:   []string{`"email":"new@example.com"`, `"password":"******"`, `"tokenKey":"******"`},
		},
		{
			name: "superuser update", method: "PATCH", path: "/api/collections/_superusers/records/superuser000001",
			body:    `{"password":"0987654321","passwordConfirm":"0987654321"}`,
			actions: "superuser.updated",
			before:  []string{`"password":"******"`},
			after:   []string{`"password":"****** (changed)"`, `"tokenKey":"****** (changed)"`},
		},
		{
			name: "superuser delete", method: "DELETE", path: "/api/collections/_superusers/records/superuser000001",
			actions: "superuser.deleted",
			before:  []string{`"email":"new@example.com"`},
		},
		{
			name: "key create", method: "POST", path: "/api/collections/_pico_keys/records", body: key,
			actions: "key.created",
			after:   []string{`"hash":"******"`, `"label":"ci"`, `"lastFour":"abcd"`},
		},
		{
			name: "batch", method: "POST", path: "/api/batch",
			body: `{"requests":[
				{"method":"PATCH","url":"/api/collections/_pico_keys/records/keykeykeykey001","body":{"label":"ci 2"},"headers":{"User-Agent":"forged"}},
				{"method":"DELETE","url":"/api/collections/_pico_keys/records/keykeykeykey001"}]}`,
			actions: "key.updated key.deleted",
			before:  []string{`"label":"ci 2"`},
		},
		{
			name: "another key", method: "POST", path: "/api/collections/_pico_keys/records", body: key,
			actions: "key.created",
		},
		{
			name: "truncate", method: "DELETE", path: "/api/collections/_pico_keys/truncate",
			actions: "key.deleted collection.truncated",
		},
		{
			name: "a user's record is none of it", method: "POST", path: "/api/collections/articles/records", body: `{"title":"x"}`,
		},
	}
	superuser, err := tt.FindAuthRecordByEmail(core.CollectionNameSuperusers, superuserEmail)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range steps {
		body := step.body
		if c, err := tt.FindCollectionByNameOrId("articles"); err == nil {
			body = strings.ReplaceAll(body, "ARTICLES", c.Id)
		}
		had := len(tt.trail(t))
		requestID := fmt.Sprint("req-", i)
		status, answer := tt.call(t, step.method, step.path, body, httpapi.HeaderRequestID, requestID)
		mustSucceed(t, status, answer)
		added := tt.since(t, had)
		if got := actions(added); got != step.actions {
			t.Fatalf("%s: recorded %q, want %q", step.name, got, step.actions)
		}
		for _, it := range added {
			if it.Actor != (Actor{"superuser", superuser.Id, superuserEmail}) {
				t.Errorf("%s: by %+v", step.name, it.Actor)
			}
			if it.IP != "127.0.0.1" || it.UserAgent != "audit-test" || it.RequestID != requestID {
				t.Errorf("%s: from %q %q %q", step.name, it.IP, it.UserAgent, it.RequestID)
			}
			if it.Target.ID == "" || it.Target.Type == "" {
				t.Errorf("%s: on %+v", step.name, it.Target)
			}
		}
		if len(added) > 0 {
			last := added[len(added)-1]
			mustContain(t, step.name+" before", string(last.Before), step.before...)
			mustContain(t, step.name+" after", string(last.After), step.after...)
		}
	}
	for _, it := range tt.trail(t) {
		for _, secret := range []string{"smtp-old", "smtp-new", "ssssss", "abababab", "$2a$", "1234567890", "0987654321"} {
			if strings.Contains(string(it.Before)+string(it.After), secret) {
				t.Errorf("%s shows %q: %s %s", it.Action, secret, it.Before, it.After)
			}
		}
	}
	if tt.Settings().Meta.AppName != "Renamed" {
		t.Error("the settings are stored but not in force")
	}
}

func TestActors(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	change := func(e *core.RequestEvent) error {
		return tt.plugin.Transact(e, func(tx core.App) error {
			return tx.Save(core.NewBaseCollection("by_" + e.Request.Header.Get("Name")))
		})
	}
	do := func(ctx context.Context, name string, prepare func(*core.RequestEvent)) Actor {
		t.Helper()
		request := httptest.NewRequest(http.MethodPost, "/", nil).WithContext(ctx)
		request.Header.Set("Name", name)
		e := &core.RequestEvent{App: tt.TestApp}
		e.Request, e.Response = request, httptest.NewRecorder()
		prepare(e)
		had := len(tt.trail(t))
		if err := change(e); err != nil {
			t.Fatal(err)
		}
		added := tt.since(t, had)
		if len(added) != 1 {
			t.Fatalf("%s: recorded %q", name, actions(added))
		}
		return added[0].Actor
	}
	ctx := context.Background()
	if got := do(ctx, "key", func(e *core.RequestEvent) {
		state := httpapi.StateOf(e)
		state.Key, state.KeyActs = &httpapi.Key{ID: "k1", Label: "ci", Secret: true}, true
		e.Auth = core.NewRecord(must(tt.FindCollectionByNameOrId(core.CollectionNameSuperusers)))
	}); got != (Actor{"secret_key", "k1", "ci"}) {
		t.Errorf("key: %+v", got)
	}
	if got := do(httpapi.WithCommandLine(ctx, "ann"), "cli", func(*core.RequestEvent) {}); got != (Actor{"cli", "ann", "ann"}) {
		t.Errorf("command line: %+v", got)
	}
	if it := tt.trail(t); it[len(it)-1].IP != "" {
		t.Errorf("the command line has the address %q", it[len(it)-1].IP)
	}
	tt.plugin.requests.Range(func(any, any) bool { t.Error("a finished request is still known"); return false })
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestNobodysRequest(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	had := len(tt.trail(t))
	if err := tt.Save(core.NewBaseCollection("by_system")); err != nil {
		t.Fatal(err)
	}
	tt.plugin.cfg.DefaultActor = func() Actor { return Actor{Kind: "cli", ID: "ann", Name: "ann"} }
	if err := tt.Save(core.NewBaseCollection("by_command")); err != nil {
		t.Fatal(err)
	}
	added := tt.since(t, had)
	if len(added) != 2 || added[0].Actor.Kind != KindSystem || added[1].Actor.Name != "ann" {
		t.Fatalf("%+v", added)
	}
}

func TestPicoBaseSettings(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	had := len(tt.trail(t))
	next := must(config.Default().Patch([]byte(`{"usage":{"retentionDays":7}}`)))
	if err := tt.Save(&settingsRow{value: encode(t, next), isNew: true}); err != nil {
		t.Fatal(err)
	}
	added := tt.since(t, had)
	if len(added) != 1 || added[0].Action != "settings.updated" || added[0].Target.ID != "picobase" ||
		string(added[0].Before) != `{"usage":{"retentionDays":90}}` || string(added[0].After) != `{"usage":{"retentionDays":7}}` {
		t.Fatalf("%+v", added)
	}
}

// settingsRow is like the model of plugins/settings.
type settingsRow struct {
	value string
	isNew bool
}

func (*settingsRow) TableName() string { return paramsTable }
func (*settingsRow) PK() any           { return picobaseSettings }
func (*settingsRow) LastSavedPK() any  { return picobaseSettings }
func (r *settingsRow) IsNew() bool     { return r.isNew }
func (r *settingsRow) MarkAsNew()      { r.isNew = true }
func (r *settingsRow) MarkAsNotNew()   { r.isNew = false }
func (r *settingsRow) DBExport(core.App) (map[string]any, error) {
	return map[string]any{"id": picobaseSettings, "value": r.value}, nil
}

func TestEncryptedSettings(t *testing.T) {
	tt := newTenant(t)
	t.Setenv("pb_test_env", strings.Repeat("k", 32))
	for _, name := range []string{"One", "Two"} {
		status, answer := tt.call(t, "PATCH", "/api/settings", `{"meta":{"appName":"`+name+`"}}`)
		mustSucceed(t, status, answer)
	}
	items := tt.trail(t)
	last := items[len(items)-1]
	if string(last.Before) != `{"meta":{"appName":"One"}}` || string(last.After) != `{"meta":{"appName":"Two"}}` {
		t.Fatalf("%s → %s", last.Before, last.After)
	}
}

func TestChangeAndEntryAreOne(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	had := len(tt.trail(t))

	// The change fails: no entry.
	undo := errors.New("undo")
	err := tt.RunInTransaction(func(tx core.App) error {
		if err := tx.Save(core.NewBaseCollection("undone")); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	status, body := tt.call(t, "POST", "/api/collections",
		`{"name":"broken","type":"base","fields":[{"name":"t","type":"text"}],"indexes":["CREATE INDEX i ON broken (missing)"]}`)
	if status != http.StatusBadRequest {
		t.Fatal(status, body)
	}
	if added := tt.since(t, had); len(added) != 0 {
		t.Fatalf("recorded %q", actions(added))
	}
	if _, err := tt.FindCachedCollectionByNameOrId("broken"); err == nil {
		t.Error("a collection that was not created is in the cache")
	}

	// The entry fails: no change. (Only someone with the file can do this.)
	if _, err := tt.NonconcurrentDB().NewQuery(`CREATE TRIGGER fail BEFORE INSERT ON _pico_audit BEGIN SELECT RAISE(ABORT, 'disk'); END`).Execute(); err != nil {
		t.Fatal(err)
	}
	if err := tt.Save(core.NewBaseCollection("unrecorded")); err == nil {
		t.Fatal("saved without an entry")
	}
	collection := must(tt.FindCollectionByNameOrId(core.CollectionNameSuperusers))
	record := core.NewRecord(collection)
	record.SetEmail("ghost@example.com")
	record.SetPassword("1234567890")
	if err := tt.Save(record); err == nil {
		t.Fatal("saved without an entry")
	}
	if _, err := tt.FindAuthRecordByEmail(collection, "ghost@example.com"); err == nil {
		t.Fatal("there is a superuser that the trail does not know")
	}
	if _, err := tt.FindCollectionByNameOrId("unrecorded"); err == nil {
		t.Fatal("there is a collection that the trail does not know")
	}
}

func TestConcurrentChangesKeepTheirActors(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	const n = 50
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			body := fmt.Sprintf(`{"kind":"secret","hash":"%064d","prefix":"p","lastFour":"%04d","label":"by-%d"}`, i, i, i)
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, tt.url+"/api/collections/_pico_keys/records", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", tt.token)
			request.Header.Set(httpapi.HeaderRequestID, fmt.Sprintf("by-%d", i))
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Error(response.Status)
			}
		})
	}
	group.Wait()
	created := 0
	for _, it := range tt.trail(t) {
		if it.Action == "key.created" {
			created++
			if it.RequestID != it.Target.Name {
				t.Errorf("the change of %s is recorded as that of %s", it.Target.Name, it.RequestID)
			}
		}
	}
	if created != n {
		t.Errorf("%d entries of %d", created, n)
	}
	tt.plugin.requests.Range(func(any, any) bool { t.Error("a finished request is still known"); return false })
}

// A rule of somebody else's that writes around the event's own transaction
// works in PocketBase; recording must not turn it into a deadlock.
func TestForeignHookMayUseTheOuterApp(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	note := func() error {
		_, err := tt.NonconcurrentDB().Insert("_params", dbx.Params{"id": "note" + fmt.Sprint(time.Now().UnixNano())}).Execute()
		return err
	}
	tt.OnRecordCreate(core.CollectionNameSuperusers).Bind(&hook.Handler[*core.RecordEvent]{Func: func(e *core.RecordEvent) error {
		if err := note(); err != nil {
			return err
		}
		return e.Next()
	}})
	tt.OnCollectionUpdateRequest().Bind(&hook.Handler[*core.CollectionRequestEvent]{Func: func(e *core.CollectionRequestEvent) error {
		if err := note(); err != nil {
			return err
		}
		return e.Next()
	}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		tt.call(t, "POST", "/api/collections/_superusers/records", `{"email":"x@example.com","password":"1234567890","passwordConfirm":"1234567890"}`)
		tt.call(t, "PATCH", "/api/collections/users", `{"listRule":"id = 'x'"}`)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("deadlock")
	}
	mustContain(t, "trail", actions(tt.trail(t)), "superuser.created", "collection.updated")
}
