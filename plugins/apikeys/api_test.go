package apikeys

import (
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/config"
)

func TestKeyLifecycle(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := newFixture(t, func(c *Config) { c.Now = func() time.Time { return now } })
	created := f.do(call{method: "POST", path: "/api/v1/keys", token: f.superuser, body: map[string]any{
		"kind": "secret", "label": " worker ", "scopes": []string{"records:read:posts", "records:read:posts"}, "expires": now.Add(time.Hour),
		"allowedIPs": []string{"127.0.0.1", "10.1.2.3/8"}, "rateLimit": map[string]any{"rate": 5, "burst": 10},
	}})
	if created.status != 201 {
		t.Fatalf("create: %d %s", created.status, created.raw)
	}
	raw, id := created.body["key"].(string), created.body["id"].(string)
	if got := created.body["label"]; got != "worker" {
		t.Errorf("label = %q", got)
	}
	if got := created.body["createdBy"]; got != "superuser:root@example.com" {
		t.Errorf("createdBy = %q", got)
	}
	if got := len(created.body["scopes"].([]any)); got != 1 {
		t.Errorf("%d scopes", got)
	}
	for _, path := range []string{"/api/v1/keys", "/api/v1/keys/" + id, "/api/collections/_pico_keys/records"} {
		if got := f.do(call{method: "GET", path: path, token: f.superuser}); got.status != 200 || strings.Contains(got.raw, raw) {
			t.Errorf("GET %s shows the key again: %s", path, got.raw)
		}
	}
	if got := f.do(call{method: "GET", path: listPosts, key: raw}); got.status != 200 {
		t.Fatalf("use: %d %s", got.status, got.raw)
	}

	updated := f.do(call{method: "PATCH", path: "/api/v1/keys/" + id, token: f.superuser, body: map[string]any{
		"scopes": []string{"logs"}, "expires": nil, "rateLimit": nil,
	}})
	if updated.status != 200 || updated.body["expires"] != nil || updated.body["rateLimit"] != nil || updated.body["label"] != "worker" {
		t.Errorf("update: %d %s", updated.status, updated.raw)
	}
	if got := f.do(call{method: "GET", path: listPosts, key: raw}); got.code != "api_key_scope_required" {
		t.Errorf("after the scopes changed: %d %s", got.status, got.raw)
	}

	rotated := f.do(call{method: "POST", path: "/api/v1/keys/" + id + "/rotate", token: f.superuser, body: map[string]any{"grace": "10m"}})
	if rotated.status != 201 {
		t.Fatalf("rotate: %d %s", rotated.status, rotated.raw)
	}
	next := rotated.body["key"].(string)
	for _, key := range []string{raw, next} {
		if got := f.do(call{method: "GET", path: "/api/logs", key: key}); got.status != 200 {
			t.Errorf("in the grace time: %d %s", got.status, got.raw)
		}
	}
	now = now.Add(11 * time.Minute)
	if got := f.do(call{method: "GET", path: "/api/logs", key: raw}); got.code != "api_key_expired" {
		t.Errorf("after the grace time: %d %s", got.status, got.raw)
	}
	if got := f.do(call{method: "POST", path: "/api/v1/keys/" + id + "/rotate", token: f.superuser}); got.code != "api_key_inactive" {
		t.Errorf("rotate again: %d %s", got.status, got.raw)
	}

	nextID := rotated.body["id"].(string)
	for range 2 { // revoking twice is harmless
		if got := f.do(call{method: "DELETE", path: "/api/v1/keys/" + nextID, token: f.superuser}); got.status != 200 || got.body["status"] != "revoked" {
			t.Errorf("revoke: %d %s", got.status, got.raw)
		}
	}
	if got := f.do(call{method: "GET", path: "/api/logs", key: next}); got.code != "api_key_revoked" {
		t.Errorf("after revocation: %d %s", got.status, got.raw)
	}
	if got := f.do(call{method: "GET", path: "/api/v1/keys/nothere", token: f.superuser}); got.code != "api_key_not_found" {
		t.Errorf("unknown id: %d %s", got.status, got.raw)
	}
}

func TestBadInputNamesTheField(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, c := range map[string]struct{ body, field string }{
		"no kind":               {`{}`, "kind"},
		"unknown kind":          {`{"kind":"admin"}`, "kind"},
		"unknown field":         {`{"kind":"secret","role":"admin"}`, "role"},
		"wrong type":            {`{"kind":"secret","label":7}`, "label"},
		"unknown scope":         {`{"kind":"secret","scopes":["everything"]}`, "scopes"},
		"scope of no one":       {`{"kind":"secret","scopes":[]}`, "scopes"},
		"scope on collection":   {`{"kind":"secret","scopes":["logs:posts"]}`, "scopes"},
		"publishable scope":     {`{"kind":"publishable","scopes":["logs"]}`, "scopes"},
		"past":                  {`{"kind":"secret","expires":"2020-01-01T00:00:00Z"}`, "expires"},
		"address":               {`{"kind":"secret","allowedIPs":["localhost"]}`, "allowedIPs"},
		"rate":                  {`{"kind":"secret","rateLimit":{"rate":0,"burst":1}}`, "rateLimit.rate"},
		"burst":                 {`{"kind":"secret","rateLimit":{"rate":1,"burst":0}}`, "rateLimit.burst"},
		"label with a new line": {`{"kind":"secret","label":"a\nb"}`, "label"},
		"label too long":        {`{"kind":"secret","label":"` + strings.Repeat("x", 101) + `"}`, "label"},
	} {
		got := f.do(call{method: "POST", path: "/api/v1/keys", token: f.superuser, body: c.body})
		message, _ := got.body["message"].(string)
		if got.status != 400 || !strings.HasPrefix(message, c.field+": ") {
			t.Errorf("%s: %d %q, want a message that begins with %q", name, got.status, message, c.field)
		}
	}
	for _, broken := range []string{"", "[]", "{", `{"kind":"secret"}{}`, "null x"} {
		if got := f.do(call{method: "POST", path: "/api/v1/keys", token: f.superuser, body: broken}); got.status != 400 {
			t.Errorf("body %q: %d %s", broken, got.status, got.raw)
		}
	}
	if total, _ := f.app.CountRecords("_pico_keys"); total != 0 {
		t.Errorf("%d keys were made", total)
	}
}

// A key with the scope keys must not be a ladder.
func TestKeysMakeOnlyWeakerKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	soon := time.Now().Add(time.Hour)
	maker, makerID := f.key(createInput{Kind: Secret, Scopes: []string{"keys", "records:read"}, Expires: &soon, AllowedIPs: []string{"127.0.0.0/8"}, RateLimit: &config.RateLimit{Rate: 5, Burst: 20}})
	_, strongID := f.key(createInput{Kind: Secret, Scopes: []string{"*"}})
	within := map[string]any{"kind": "secret", "scopes": []string{"records:read:posts"}, "expires": soon, "allowedIPs": []string{"127.0.0.1"}, "rateLimit": config.RateLimit{Rate: 5, Burst: 10}}
	with := func(name string, value any) map[string]any {
		changed := map[string]any{}
		for k, v := range within {
			changed[k] = v
		}
		changed[name] = value
		return changed
	}
	for name, c := range map[string]struct {
		call call
		want int
	}{
		"weaker":          {call{method: "POST", path: "/api/v1/keys", body: within}, 201},
		"more scopes":     {call{method: "POST", path: "/api/v1/keys", body: with("scopes", []string{"*"})}, 403},
		"write":           {call{method: "POST", path: "/api/v1/keys", body: with("scopes", []string{"records:*"})}, 403},
		"longer":          {call{method: "POST", path: "/api/v1/keys", body: with("expires", soon.Add(time.Hour))}, 403},
		"for ever":        {call{method: "POST", path: "/api/v1/keys", body: with("expires", nil)}, 403},
		"from everywhere": {call{method: "POST", path: "/api/v1/keys", body: with("allowedIPs", []string{})}, 403},
		"from elsewhere":  {call{method: "POST", path: "/api/v1/keys", body: with("allowedIPs", []string{"10.0.0.0/8"})}, 403},
		"faster":          {call{method: "POST", path: "/api/v1/keys", body: with("rateLimit", config.RateLimit{Rate: 6, Burst: 1})}, 403},
		"more at once":    {call{method: "POST", path: "/api/v1/keys", body: with("rateLimit", config.RateLimit{Rate: 1, Burst: 21})}, 403},
		"without a rate":  {call{method: "POST", path: "/api/v1/keys", body: with("rateLimit", nil)}, 403},
		"speed itself up": {call{method: "PATCH", path: "/api/v1/keys/" + makerID, body: map[string]any{"rateLimit": nil}}, 403},
		"raise itself":    {call{method: "PATCH", path: "/api/v1/keys/" + makerID, body: map[string]any{"scopes": []string{"*"}}}, 403},
		"rotate a strong": {call{method: "POST", path: "/api/v1/keys/" + strongID + "/rotate"}, 403},
		"weaken a strong": {call{method: "PATCH", path: "/api/v1/keys/" + strongID, body: map[string]any{"scopes": []string{"keys"}}}, 403},
		"revoke a strong": {call{method: "DELETE", path: "/api/v1/keys/" + strongID}, 403},
		"rotate itself":   {call{method: "POST", path: "/api/v1/keys/" + makerID + "/rotate"}, 201},
	} {
		c.call.key = maker
		if got := f.do(c.call); got.status != c.want {
			t.Errorf("%s: %d, want %d: %s", name, got.status, c.want, got.raw)
		}
	}
}

func TestCreateFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, err := f.plugin.CreateFirst(nil)
	if err != nil || len(first) != 2 {
		t.Fatalf("first start: %v, %v", first, err)
	}
	for _, key := range first {
		if got := f.do(call{method: "GET", path: "/api/health", key: key.Key}); got.status != 200 {
			t.Errorf("%s key: %d %s", key.Kind, got.status, got.raw)
		}
	}
	if again, err := f.plugin.CreateFirst(nil); err != nil || len(again) != 0 {
		t.Errorf("second start made %v, %v", again, err)
	}
}

func TestCreateFirstOfGivenKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	publishable, one, err := apikey.New(Publishable, "from the platform", nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, two, err := apikey.New(Secret, "", []string{"usage", "keys"})
	if err != nil {
		t.Fatal(err)
	}
	if shown, err := f.plugin.CreateFirst([]apikey.Stored{one, two}); err != nil || len(shown) != 0 {
		t.Fatalf("shown %v, %v", shown, err)
	}
	if got := f.do(call{method: "GET", path: "/api/health", key: publishable}); got.status != 200 {
		t.Errorf("the publishable key: %d %s", got.status, got.raw)
	}
	got := f.do(call{method: "GET", path: "/api/v1/keys", key: secret})
	if got.status != 200 || !strings.Contains(got.raw, "from the platform") || strings.Count(got.raw, `"id"`) != 2 {
		t.Errorf("the secret key: %d %s", got.status, got.raw)
	}
	// A project that has keys keeps them.
	if shown, err := f.plugin.CreateFirst([]apikey.Stored{one}); err != nil || len(shown) != 0 {
		t.Errorf("again: %v, %v", shown, err)
	}
}

func TestTouch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, id := f.key(createInput{Kind: Publishable})
	lastUsed := func() any {
		return f.do(call{method: "GET", path: "/api/v1/keys/" + id, token: f.superuser}).body["lastUsed"]
	}
	if got := lastUsed(); got != nil {
		t.Errorf("unused key was used at %v", got)
	}
	first := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{first, "2026-05-01T12:00:00.000Z"},
		{first.Add(30 * time.Second), "2026-05-01T12:00:00.000Z"}, // within the precision: no write
		{first.Add(2 * time.Minute), "2026-05-01T12:02:00.000Z"},
		{first, "2026-05-01T12:02:00.000Z"}, // never back
	} {
		if err := f.plugin.Touch(map[string]time.Time{id: c.at}); err != nil {
			t.Fatal(err)
		}
		if got := lastUsed(); got != c.want {
			t.Errorf("after use at %s: %v, want %s", c.at, got, c.want)
		}
	}
}

// A database that fails is no mistake of the client, and shows nothing of itself.
func TestStorageFailureIsInternal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.app.DB().NewQuery("CREATE TRIGGER full BEFORE INSERT ON _pico_keys BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END").Execute(); err != nil {
		t.Fatal(err)
	}
	got := f.do(call{method: "POST", path: "/api/v1/keys", token: f.superuser, body: map[string]any{"kind": "publishable"}})
	if got.status != 500 || got.code != "internal_error" || strings.Contains(got.raw, "disk") {
		t.Errorf("%d %s", got.status, got.raw)
	}
}
