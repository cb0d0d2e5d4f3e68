package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/event"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Every broken rule names its field.
func TestValidation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, _ := s.endpoint("https://example.com/hooks", "user.created", "record.*:posts")
	const url = "https://example.com/"
	for name, c := range map[string]struct {
		method, path string
		body         any
		field        string
	}{
		"no URL":             {"POST", "", map[string]any{"events": []string{"user.*"}}, "url"},
		"no web address":     {"POST", "", map[string]any{"url": "example.com", "events": []string{"user.*"}}, "url"},
		"another scheme":     {"POST", "", map[string]any{"url": "file:///etc/passwd", "events": []string{"user.*"}}, "url"},
		"a password":         {"POST", "", map[string]any{"url": "https://a:b@example.com/", "events": []string{"user.*"}}, "url"},
		"a fragment":         {"POST", "", map[string]any{"url": url + "#a", "events": []string{"user.*"}}, "url"},
		"a control":          {"POST", "", map[string]any{"url": "https://example.com/\r\nX: y", "events": []string{"user.*"}}, "url"},
		"a long one":         {"POST", "", map[string]any{"url": url + strings.Repeat("x", 2000), "events": []string{"user.*"}}, "url"},
		"no events":          {"POST", "", map[string]any{"url": url}, "events"},
		"an unknown event":   {"POST", "", map[string]any{"url": url, "events": []string{"user.vanished"}}, "events"},
		"everything":         {"POST", "", map[string]any{"url": url, "events": []string{"*"}}, "events"},
		"a bad collection":   {"POST", "", map[string]any{"url": url, "events": []string{"record.created:"}}, "events"},
		"a question":         {"POST", "", map[string]any{"url": url, "events": []string{"before user.created"}}, "events"},
		"no question":        {"POST", "", map[string]any{"url": url, "blocking": true, "events": []string{"user.created"}}, "events"},
		"an open end":        {"POST", "", map[string]any{"url": url, "failOpen": true, "events": []string{"user.created"}}, "failOpen"},
		"a long description": {"POST", "", map[string]any{"url": url, "description": strings.Repeat("x", 201), "events": []string{"user.*"}}, "description"},
		"an unknown field":   {"POST", "", map[string]any{"url": url, "events": []string{"user.*"}, "secret": "whsec_x"}, "secret"},
		"a wrong type":       {"POST", "", map[string]any{"url": 1}, "url"},
		"a bad change":       {"PATCH", "/" + id, map[string]any{"events": []string{}}, "events"},
		"a bad grace":        {"POST", "/" + id + "/rotate-secret", map[string]any{"grace": "1 day"}, "grace"},
		"a bad test":         {"POST", "/" + id + "/test", map[string]any{"event": "before user.created"}, "event"},
		"retry of nothing":   {"POST", "/deliveries/retry", map[string]any{}, "webhook"},
		"a bad status":       {"GET", "/deliveries?status=lost", nil, "status"},
		"a bad type":         {"GET", "/deliveries?type=lost", nil, "type"},
		"a bad page":         {"GET", "/deliveries?page=0", nil, "page"},
		"an unknown filter":  {"GET", "/deliveries?endpoint=x", nil, "endpoint"},
	} {
		status, answer := s.call(c.method, c.path, c.body)
		if data, _ := answer["data"].(map[string]any); status != 400 || data[c.field] == nil {
			// Without plugins/apierrors PocketBase shows the message alone.
			if message, _ := answer["message"].(string); status != 400 || !strings.HasPrefix(message, c.field+": ") {
				t.Errorf("%s: %d %v", name, status, answer)
			}
		}
	}
	for _, path := range []string{"/nothere", "/nothere/test", "/nothere/rotate-secret", "/deliveries/nothere", "/deliveries/nothere/retry"} {
		method := http.MethodPost
		if !strings.Contains(path[1:], "/") || path == "/deliveries/nothere" {
			method = http.MethodGet
		}
		if status, answer := s.call(method, path, nil); status != 404 {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
}

func TestEndpointLifecycle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, secret := s.endpoint("https://example.com/hooks", "user.created:users", "record.updated:posts")
	if !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("secret %q", secret)
	}
	for eventType, wants := range map[string]bool{
		"user.created users": true, "user.created clients": false, "record.updated posts": true,
		"record.created posts": false, "user.updated users": false,
	} {
		name, collection, _ := strings.Cut(eventType, " ")
		if s.plugin.Wants(name, collection) != wants {
			t.Errorf("%s: %v", eventType, !wants)
		}
	}
	if status, answer := s.call(http.MethodPatch, "/"+id, map[string]any{"enabled": false, "description": " Mine "}); status != 200 || answer["disabledReason"] != reasonManual || answer["description"] != "Mine" {
		t.Errorf("%d %v", status, answer)
	}
	if s.plugin.Wants(event.UserCreated, "users") {
		t.Error("a disabled endpoint wants events")
	}
	if f := s.plugin.Check(context.Background()); f.Degraded {
		t.Errorf("one that a person disabled is no trouble: %+v", f)
	}
	s.call(http.MethodPatch, "/"+id, map[string]any{"enabled": true})
	_, list := s.call(http.MethodGet, "", nil)
	encoded, _ := json.Marshal(list)
	if list["totalItems"] != 1.0 || strings.Contains(string(encoded), "secret\"") || strings.Contains(string(encoded), secret) {
		t.Errorf("%s", encoded)
	}
	s.publish("u1")
	if status, _ := s.call(http.MethodDelete, "/"+id, nil); status != http.StatusNoContent {
		t.Errorf("delete: %d", status)
	}
	if s.plugin.Wants(event.UserCreated, "users") {
		t.Error("a deleted endpoint wants events")
	}
	if n, err := s.plugin.prune(); n != 1 || err != nil {
		t.Errorf("upkeep deleted %d, %v", n, err)
	}
	for range maxEndpoints {
		s.endpoint("https://example.com/")
	}
	if status, _ := s.call(http.MethodPost, "", map[string]any{"url": "https://example.com/", "events": []string{"user.*"}}); status != http.StatusConflict {
		t.Errorf("one too many: %d", status)
	}
}

// While the grace lasts, both secrets verify; after it only the new one.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, nil)
	id, old := s.endpoint(r.URL)
	s.start()
	verifies := func(secret string) bool {
		t.Helper()
		before := r.count()
		s.publish("u1")
		eventually(t, "the delivery", func() bool { return r.count() > before })
		got := r.all()[before]
		webhook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		return webhook.VerifyIgnoringTimestamp([]byte(got.body), got.header) == nil
	}
	status, answer := s.call(http.MethodPost, "/"+id+"/rotate-secret", map[string]any{"grace": "1h"})
	next, _ := answer["secret"].(string)
	if status != 200 || next == "" || next == old || answer["previousSecretUntil"] == nil {
		t.Fatalf("%d %v", status, answer)
	}
	if !verifies(old) || !verifies(next) {
		t.Error("within the grace both must verify")
	}
	s.clock.add(time.Hour)
	if verifies(old) || !verifies(next) {
		t.Error("after the grace only the new one must verify")
	}
	if _, answer = s.call(http.MethodGet, "/"+id, nil); answer["previousSecretUntil"] != nil {
		t.Errorf("%v", answer)
	}
	_, answer = s.call(http.MethodPost, "/"+id+"/rotate-secret", map[string]any{"grace": "0s"})
	if verifies(next) || !verifies(answer["secret"].(string)) {
		t.Error("without grace only the newest must verify")
	}
	// Without a body the setting decides.
	_, answer = s.call(http.MethodPost, "/"+id+"/rotate-secret", nil)
	until, err := time.Parse(time.RFC3339, fmt.Sprint(answer["previousSecretUntil"]))
	if err != nil || until.Sub(s.clock.Now()) < 23*time.Hour || until.Sub(s.clock.Now()) > 24*time.Hour {
		t.Errorf("%v, %v", answer, err)
	}
}

// A test is made at once, to disabled endpoints too, and is not retried.
func TestTest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, with(http.StatusTeapot))
	id, _ := s.endpoint(r.URL, "record.*:posts")
	s.call(http.MethodPatch, "/"+id, map[string]any{"enabled": false})
	status, answer := s.call(http.MethodPost, "/"+id+"/test", nil)
	if status != 200 || answer["status"] != statusFailed || answer["test"] != true || answer["type"] != event.RecordCreated {
		t.Errorf("%d %v", status, answer)
	}
	r.then(nil)
	status, answer = s.call(http.MethodPost, "/"+id+"/test", map[string]any{"event": "user.verified"})
	if status != 200 || answer["status"] != statusDelivered || answer["type"] != event.UserVerified || !strings.Contains(r.all()[1].body, `"test":true`) {
		t.Errorf("%d %v", status, answer)
	}
	if status, _ = s.call(http.MethodPost, "/deliveries/"+answer["id"].(string)+"/retry", nil); status != 400 {
		t.Errorf("retry of a test: %d", status)
	}
	if _, answer = s.call(http.MethodPost, "/deliveries/retry", map[string]any{"webhook": id}); answer["retried"] != 0.0 {
		t.Errorf("%v", answer)
	}
}

func TestDeliveryLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, nil)
	id, _ := s.endpoint(r.URL)
	other, _ := s.endpoint("http://127.0.0.1:1/")
	s.start()
	var last string
	for i := range 5 {
		last = s.publish(fmt.Sprint("u", i))
	}
	eventually(t, "the deliveries", func() bool { return s.counted(statusDelivered) == 5 && s.counted(statusPending) == 5 })
	for query, want := range map[string]float64{
		"": 10, "?webhook=" + id: 5, "?status=pending": 5, "?status=failed": 0, "?type=user.created": 10,
		"?type=user.updated": 0, "?webhook=" + other + "&status=delivered": 0, "?perPage=3&page=4": 10,
	} {
		status, answer := s.call(http.MethodGet, "/deliveries"+query, nil)
		if status != 200 || answer["totalItems"] != want {
			t.Errorf("%s: %d %v", query, status, answer["totalItems"])
		}
		if items := answer["items"].([]any); query == "?perPage=3&page=4" && len(items) != 1 {
			t.Errorf("the last page has %d", len(items))
		}
	}
	// One that arrived can be sent again.
	_, list := s.call(http.MethodGet, "/deliveries?webhook="+id+"&perPage=1", nil)
	item := list["items"].([]any)[0].(map[string]any)
	if item["event"] != last {
		t.Errorf("the newest is not the first: %v", item)
	}
	before := r.count()
	if status, answer := s.call(http.MethodPost, "/deliveries/"+item["id"].(string)+"/retry", nil); status != 200 {
		t.Errorf("%d %v", status, answer)
	}
	eventually(t, "the replay", func() bool { return r.count() == before+1 })
	if r.all()[before].id() != last {
		t.Error("the replay is another event")
	}
	// Retention.
	eventually(t, "the log", func() bool { return s.counted(statusDelivered) == 5 })
	s.clock.add(6*24*time.Hour + 23*time.Hour)
	if n, err := s.plugin.prune(); n != 0 || err != nil {
		t.Errorf("deleted %d too soon, %v", n, err)
	}
	s.clock.add(2 * time.Hour)
	s.stop()
	delivered := s.counted(statusDelivered)
	if n, err := s.plugin.prune(); n != int64(delivered) || err != nil || s.counted(statusPending)+s.counted(statusFailed) != 5 {
		t.Errorf("deleted %d, %v", n, err)
	}
}

// The secrets are in no answer, not even of PocketBase's own API to superusers.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, secret := s.endpoint("https://example.com/")
	superusers, err := s.app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		t.Fatal(err)
	}
	root := core.NewRecord(superusers)
	root.SetEmail("root@example.com")
	root.SetPassword("correct horse battery")
	if err := s.app.Save(root); err != nil {
		t.Fatal(err)
	}
	token, err := root.NewAuthToken()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/" + id, "?fields=*,secret"} {
		request := httptest.NewRequest(http.MethodGet, "/api/collections/"+migrations.WebhooksCollection+"/records"+path, nil)
		request.Header.Set("Authorization", token)
		recorder := httptest.NewRecorder()
		s.handler.ServeHTTP(recorder, request)
		if body := recorder.Body.String(); recorder.Code != 200 || !strings.Contains(body, id) || strings.Contains(body, secret) || strings.Contains(body, `"secret"`) {
			t.Errorf("%s: %d %s", path, recorder.Code, body)
		}
	}
}

// Only owners and keys with the scope come in.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"", "/deliveries"} {
		recorder := httptest.NewRecorder()
		s.handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/api/v1/webhooks"+path, nil))
		if recorder.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, recorder.Code)
		}
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }
	for name, c := range map[string]struct {
		answer   func(http.ResponseWriter, *http.Request, int)
		failOpen bool
		want     *apierr.Error // nil for allowed
		message  string
	}{
		"200":                {answer(200, ""), false, nil, ""},
		"204":                {answer(204, ""), false, nil, ""},
		"400 and a message":  {answer(400, `{"message":"Only staff."}`), true, ErrDenied, "Only staff."},
		"403 and our shape":  {answer(403, `{"error":{"message":"Only staff."}}`), true, ErrDenied, "Only staff."},
		"403 and nothing":    {answer(403, ""), true, ErrDenied, ErrDenied.Message},
		"403 and much":       {answer(403, `{"message":"`+strings.Repeat("é", 1000)+`"}`), true, ErrDenied, strings.Repeat("é", 150)},
		"404 page, open":     {answer(404, "<html>"), true, nil, ""},
		"404 page, closed":   {answer(404, "<html>"), false, ErrUnavailable, ""},
		"500, open":          {answer(500, `{"message":"No."}`), true, nil, ""},
		"500, closed":        {answer(500, `{"message":"No."}`), false, ErrUnavailable, ""},
		"a redirect, closed": {answer(302, ""), false, ErrUnavailable, ""},
		"hangs, open":        {hang, true, nil, ""},
		"hangs, closed":      {hang, false, ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(cfg *Config) { cfg.AskTimeout = 300 * time.Millisecond })
			r := newReceiver(t, c.answer)
			status, made := s.call(http.MethodPost, "", map[string]any{
				"url": r.URL, "events": []string{"before user.created:users"}, "blocking": true, "failOpen": c.failOpen,
			})
			if status != http.StatusCreated {
				t.Fatalf("%d %v", status, made)
			}
			e := event.New(event.BeforeUserCreated, "users", "", map[string]any{"record": map[string]any{"email": "a@example.com"}}, s.clock.Now())
			started := time.Now()
			err := s.plugin.Ask(context.Background(), e)
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			var own *apierr.Error
			switch {
			case c.want == nil && err != nil, c.want != nil && !errors.Is(err, c.want):
				t.Errorf("%v, want %v", err, c.want)
			case c.message != "" && (!errors.As(err, &own) || own.Message != c.message):
				t.Errorf("%v, want %q", err, c.message)
			}
			webhook, _ := standardwebhooks.NewWebhook(made["secret"].(string))
			if got := r.all()[0]; webhook.Verify([]byte(got.body), got.header) != nil {
				t.Error("the question is not signed")
			}
			if s.counted(statusPending) != 0 {
				t.Error("a question is in the outbox")
			}
		})
	}
}

// Many questions at once neither fail nor pile up beyond their time.
func TestAskMany(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *Config) { cfg.AskTimeout = 300 * time.Millisecond })
	r := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	s.call(http.MethodPost, "", map[string]any{"url": r.URL, "events": []string{"before user.signed_in"}, "blocking": true})
	e := event.New(event.BeforeUserSignedIn, "users", "u1", nil, s.clock.Now())
	ended := make(chan error, 200)
	started := time.Now()
	for range cap(ended) {
		go func() { ended <- s.plugin.Ask(context.Background(), e) }()
	}
	for range cap(ended) {
		if err := <-ended; !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
	}
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, ep := range s.plugin.endpoints.Load().byID {
		if n := len(ep.asking); n != 0 {
			t.Errorf("%d places are taken for ever", n)
		}
	}
}

// Questions to one endpoint that does not answer take no place from another's.
func TestAskOneHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *Config) { cfg.AskTimeout = patience })
	hang := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	good := newReceiver(t, nil)
	s.call(http.MethodPost, "", map[string]any{"url": hang.URL, "events": []string{"before user.created"}, "blocking": true})
	s.call(http.MethodPost, "", map[string]any{"url": good.URL, "events": []string{"before user.signed_in"}, "blocking": true})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2*maxAsking)
	for range cap(ended) {
		go func() {
			ended <- s.plugin.Ask(ctx, event.New(event.BeforeUserCreated, "users", "", nil, s.clock.Now()))
		}()
	}
	eventually(t, "all places taken", func() bool { return hang.count() == maxAsking })
	ctx2, cancel2 := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel2()
	if err := s.plugin.Ask(ctx2, event.New(event.BeforeUserSignedIn, "users", "u1", nil, s.clock.Now())); err != nil {
		t.Error(err)
	}
	cancel()
	for range cap(ended) {
		<-ended
	}
}

// With PocketBase's key for settings, secrets are encrypted in the database.
func TestSecretsAtRest(t *testing.T) {
	t.Setenv("pb_test_env", "") // the variable that the test app names
	s := newSite(t)
	r := newReceiver(t, nil)
	stored := func(id string) string {
		t.Helper()
		record, err := s.app.FindRecordById(migrations.WebhooksCollection, id)
		if err != nil {
			t.Fatal(err)
		}
		return record.GetString("secret") + " " + record.GetString("previousSecret")
	}
	status := func(id string) any {
		t.Helper()
		_, tried := s.call(http.MethodPost, "/"+id+"/test", nil)
		return tried["status"]
	}
	verifies := func(secret string) bool {
		got := r.all()[r.count()-1]
		webhook, err := standardwebhooks.NewWebhook(secret)
		return err == nil && webhook.Verify([]byte(got.body), got.header) == nil
	}
	id, clear := s.endpoint(r.URL)
	if stored(id) != clear+" " {
		t.Error("without a key a secret is not what it was")
	}
	t.Setenv("pb_test_env", strings.Repeat("k", 32))
	_, rotated := s.call(http.MethodPost, "/"+id+"/rotate-secret", nil)
	secret := rotated["secret"].(string)
	if got := stored(id); strings.Contains(got, secret) || !strings.HasPrefix(got, sealed) {
		t.Errorf("stored as %s", got)
	}
	if status(id) != statusDelivered || !verifies(secret) || !verifies(clear) {
		t.Error("not signed by both secrets")
	}
	other, second := s.endpoint(r.URL)
	if strings.Contains(stored(other), second) {
		t.Errorf("stored as %s", stored(other))
	}
	t.Setenv("pb_test_env", strings.Repeat("x", 32))
	if status(other) != statusFailed {
		t.Error("sent without its secret")
	}
	if _, log := s.call(http.MethodGet, "/deliveries?webhook="+other, nil); !strings.Contains(fmt.Sprint(log), "--encryptionEnv") {
		t.Errorf("%v", log)
	}
	_, rotated = s.call(http.MethodPost, "/"+other+"/rotate-secret", nil)
	if status(other) != statusDelivered || !verifies(rotated["secret"].(string)) {
		t.Error("a rotation does not mend it")
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	if _, err := Register(app, Config{}); err == nil {
		t.Error("registered without settings")
	}
	p, err := Register(app, Config{Settings: config.Default})
	if err != nil || p.cfg.Timeout != 15*time.Second || p.cfg.AskTimeout != 5*time.Second {
		t.Errorf("%+v, %v", p, err)
	}
}
