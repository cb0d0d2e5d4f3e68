package apikeys

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/token"
	"github.com/pocketbase/pocketbase/core"
)

const listPosts = "/api/collections/posts/records"

func TestGateReasons(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := newFixture(t, func(c *Config) { c.Now = func() time.Time { return now } })
	f.openRules()

	publishable, _ := f.key(createInput{Kind: Publishable})
	full := f.secret("*")
	revoked, revokedID := f.key(createInput{Kind: Secret, Scopes: []string{"*"}})
	f.do(call{method: "DELETE", path: "/api/v1/keys/" + revokedID, token: f.superuser})
	soon := now.Add(time.Minute)
	expired, _ := f.key(createInput{Kind: Publishable, Expires: &soon})
	elsewhere, _ := f.key(createInput{Kind: Secret, Scopes: []string{"*"}, AllowedIPs: []string{"203.0.113.0/24", "2001:db8::/32"}})
	here, _ := f.key(createInput{Kind: Secret, Scopes: []string{"*"}, AllowedIPs: []string{"127.0.0.0/8", "::1"}})
	stranger, _ := apikey.Generate(Secret)
	now = now.Add(time.Hour)

	cases := []struct {
		name string
		call call
		want int
		code string
	}{
		{"no key", call{}, 401, "api_key_required"},
		{"empty key", call{header: map[string]string{"X-API-Key": ""}}, 401, "api_key_malformed"},
		{"cut key", call{key: full[:40]}, 401, "api_key_malformed"},
		{"mistyped key", call{key: full[:20] + "!" + full[21:]}, 401, "api_key_malformed"},
		{"other product", call{key: "sk_live_123"}, 401, "api_key_malformed"},
		{"unknown key", call{key: stranger}, 401, "api_key_unknown"},
		{"revoked key", call{key: revoked}, 401, "api_key_revoked"},
		{"expired key", call{key: expired}, 401, "api_key_expired"},
		{"wrong address", call{key: elsewhere}, 403, "api_key_ip_not_allowed"},
		{"wrong address, claimed", call{key: elsewhere, header: map[string]string{"X-Forwarded-For": "203.0.113.5", "X-Real-IP": "203.0.113.5", "Forwarded": "for=203.0.113.5"}}, 403, "api_key_ip_not_allowed"},
		{"right address", call{key: here}, 200, ""},
		{"publishable", call{key: publishable}, 200, ""},
		{"publishable as bearer", call{token: "Bearer " + publishable}, 200, ""},
		{"publishable as bare token", call{token: publishable}, 200, ""},
		{"publishable beside a user", call{key: publishable, token: f.userToken}, 200, ""},
		{"secret", call{key: full}, 200, ""},
		{"secret as bearer", call{token: "bearer " + full}, 200, ""},
		{"secret with an origin", call{key: full, header: map[string]string{"Origin": "https://app.example.com"}}, 401, "secret_key_in_browser"},
		{"secret from a page", call{key: full, header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, 401, "secret_key_in_browser"},
		{"secret from an img", call{key: full, header: map[string]string{"Sec-Fetch-Dest": "image"}}, 401, "secret_key_in_browser"},
		{"secret from Node's fetch", call{key: full, header: map[string]string{"Sec-Fetch-Mode": "cors"}}, 200, ""},
		{"publishable with an origin", call{key: publishable, header: map[string]string{"Origin": "https://app.example.com"}}, 200, ""},
		{"superuser without key", call{token: f.superuser}, 200, ""},
		{"superuser with bearer", call{token: "Bearer " + f.superuser}, 200, ""},
		{"user without key", call{token: f.userToken}, 401, "api_key_required"},
		{"key in the query", call{path: "?apikey=" + publishable}, 401, "api_key_in_url"},
		{"key in an encoded query", call{key: publishable, path: "?x=%70bk_sec_" + full[8:]}, 401, "api_key_in_url"},
		{"superuser's token, forged", call{token: f.superuser[:len(f.superuser)-2] + "xx"}, 401, "api_key_required"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.call.method, c.call.path = "GET", listPosts+c.call.path
			got := f.do(c.call)
			if got.status != c.want || got.code != c.code {
				t.Errorf("got %d %q, want %d %q: %s", got.status, got.code, c.want, c.code, got.raw)
			}
		})
	}
}

// The encoded spelling above must be caught as well: the server decodes it.
func TestRedactURL(t *testing.T) {
	t.Parallel()
	raw, _ := apikey.Generate(Secret)
	for _, url := range []string{
		"/?a=" + raw, "/?x=1&token=" + raw, "/?x=" + strings.Replace(raw, "p", "%70", 1), "/?" + raw,
		"/?x=Bearer%20" + raw, "/?a;b=" + raw, "/?x=%zz" + raw, "/?x=" + raw[:len(raw)-3], "/x/" + raw, "/x/%70" + raw[1:] + "?y",
	} {
		request := httptest.NewRequest(http.MethodGet, "http://x"+url, nil)
		if !redactURL(request) || strings.Contains(request.URL.String(), raw[10:30]) {
			t.Errorf("%s became %s", url, request.URL)
		}
	}
	for _, url := range []string{"/?filter=a~'pbk'", "/?filter=prefix='pbk_sec_'", "/pbk_/%2f?%2f"} {
		request := httptest.NewRequest(http.MethodGet, "http://x"+url, nil)
		if redactURL(request) || request.URL.String() != "http://x"+url {
			t.Errorf("the harmless %s became %s", url, request.URL)
		}
	}
}

// The rate limits lie inside of the gate. What it turns away pays all the same,
// once, and is told when it has nothing left.
func TestRefusalsAreCharged(t *testing.T) {
	t.Parallel()
	charged, left := 0, true
	f := newFixture(t, func(c *Config) {
		c.Charge = func(e *core.RequestEvent) error {
			charged++
			if !left {
				return e.TooManyRequestsError("", errors.New("nothing left"))
			}
			return nil
		}
	})
	f.openRules()
	publishable, _ := f.key(createInput{Kind: Publishable})
	refused := []call{
		{}, {key: "pbk_sec_x"}, {path: "?a=" + publishable}, {token: f.userToken},
		{key: f.secret("logs")}, {key: f.secret("records:read:posts"), path: "?expand=author"},
	}
	for _, allowed := range []bool{true, false} {
		left, charged = allowed, 0
		for i, c := range refused {
			c.method, c.path = "GET", listPosts+c.path
			got := f.do(c)
			if charged != i+1 || (got.status == http.StatusTooManyRequests) == allowed || got.status < 400 {
				t.Errorf("%+v: %d, charged %d times", c, got.status, charged)
			}
		}
	}
	charged = 0
	if got := f.do(call{method: "GET", path: listPosts, key: publishable}); got.status != 200 || charged != 0 {
		t.Errorf("the gate charged a request that it let pass: %d", got.status)
	}
}

func TestOpenRoutes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for path, want := range map[string]bool{
		"GET /api/oauth2-redirect":                             true,
		"GET /api/files/posts/x/y.png":                         true,
		"GET /api/backups/x.zip":                               true,
		"POST /api/collections/users/confirm-verification":     true,
		"POST /api/collections/users/confirm-password-reset":   true,
		"POST /api/collections/users/confirm-email-change":     true,
		"POST /api/collections/_superusers/auth-with-password": true,
		"GET /api/collections/_superusers/auth-methods":        true,
		"POST /api/collections/users/auth-with-password":       false,
		"POST /api/collections/users/request-password-reset":   false,
		"GET /api/health":                                      false,
		"GET /api/collections/_superusers/records":             false,
		"POST /api/realtime":                                   false,
		"POST /api/files/token":                                false,
		"GET /api/backups":                                     false,
		"DELETE /api/backups/x.zip":                            false,
		"GET /nothing/here":                                    false,
		"GET /":                                                false,
		"POST /api/batch":                                      false,
		"GET /api/v1/keys":                                     false,
		"GET /_/../api/health":                                 false,
		"GET /_/..%2fapi/health":                               false,
	} {
		method, path, _ := strings.Cut(path, " ")
		got := f.do(call{method: method, path: path})
		redirected := strings.Contains(got.raw, "Temporary Redirect") // to the cleaned path, as a new request
		if open := got.code != "api_key_required" && !redirected; open != want {
			t.Errorf("%s %s: open = %t, want %t (%d %s)", method, path, open, want, got.status, got.raw)
		}
	}
}

func TestGateOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Off = true })
	f.openRules()
	if got := f.do(call{method: "GET", path: listPosts}); got.status != 200 {
		t.Errorf("without a key: %d %s", got.status, got.raw)
	}
	if got := f.do(call{method: "GET", path: listPosts, key: "pbk_sec_wrong"}); got.code != "api_key_malformed" {
		t.Errorf("a wrong key must be refused all the same: %d %s", got.status, got.raw)
	}
}

// Rules and hooks must not see the key.
func TestHeaderIsRemoved(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.secret("records:*")
	for _, c := range []call{{key: key}, {token: "Bearer " + key}, {key: key, token: key}} {
		c.method, c.path = "GET", "/_test/headers"
		if got := f.do(c); got.status != 200 || strings.Contains(got.raw, key[8:]) {
			t.Errorf("headers further in: %s", got.raw)
		}
	}
	rule := "@request.headers.x_api_key != ''"
	posts := f.must(f.app.FindCollectionByNameOrId("posts"))
	posts.ListRule = &rule
	f.save(posts)
	publishable, _ := f.key(createInput{Kind: Publishable})
	got := f.do(call{method: "GET", path: listPosts, key: publishable})
	if got.status != 200 || got.body["totalItems"] != 0.0 {
		t.Errorf("a rule saw the key header: %s", got.raw)
	}
}

func TestPersonDecidesBesideSecretKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.secret("*")
	got := f.do(call{method: "GET", path: "/_test/caller", key: key, token: f.userToken})
	if got.body["kind"] != "user" || got.body["elevated"] != false {
		t.Errorf("caller = %s", got.raw)
	}
	if got := f.do(call{method: "GET", path: listPosts, key: key, token: f.userToken}); got.status != 403 {
		t.Errorf("a user read a locked collection with the server's key: %d", got.status)
	}
}

func TestPlatformTokens(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, strangersKey, _ := ed25519.GenerateKey(rand.Reader)
	verifier, err := token.NewVerifier(base64.StdEncoding.EncodeToString(public), "project1")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, func(c *Config) { c.Platform = verifier })
	now := time.Now()
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{"aud": "project1", "sub": "person1", "iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix()}
		change(c)
		return c
	}
	sign := func(method jwt.SigningMethod, key any, c jwt.MapClaims) string {
		signed, err := jwt.NewWithClaims(method, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	same := func(jwt.MapClaims) {}
	good := sign(jwt.SigningMethodEdDSA, private, claims(same))
	cases := []struct {
		name  string
		token string
		code  string
	}{
		{"valid", good, ""},
		{"another's signature", sign(jwt.SigningMethodEdDSA, strangersKey, claims(same)), "platform_token_invalid"},
		{"another project", sign(jwt.SigningMethodEdDSA, private, claims(func(c jwt.MapClaims) { c["aud"] = "project2" })), "platform_token_invalid"},
		{"expired", sign(jwt.SigningMethodEdDSA, private, claims(func(c jwt.MapClaims) { c["exp"] = now.Add(-time.Minute).Unix() })), "platform_token_invalid"},
		{"no expiry", sign(jwt.SigningMethodEdDSA, private, claims(func(c jwt.MapClaims) { delete(c, "exp") })), "platform_token_invalid"},
		{"too long", sign(jwt.SigningMethodEdDSA, private, claims(func(c jwt.MapClaims) { c["exp"] = now.Add(time.Hour).Unix() })), "platform_token_invalid"},
		{"no subject", sign(jwt.SigningMethodEdDSA, private, claims(func(c jwt.MapClaims) { delete(c, "sub") })), "platform_token_invalid"},
		{"from the future", sign(jwt.SigningMethodEdDSA, private, claims(func(c jwt.MapClaims) { c["iat"] = now.Add(time.Hour).Unix() })), "platform_token_invalid"},
		{"public key as HMAC secret", sign(jwt.SigningMethodHS256, []byte(public), claims(same)), "api_key_required"},
		{"unsigned", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(same)), "api_key_required"},
		{"body changed", good[:len(good)-90] + "A" + good[len(good)-89:], "platform_token_invalid"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := f.do(call{method: "GET", path: "/api/v1/keys", token: "Bearer " + c.token})
			if got.code != c.code {
				t.Errorf("got %d %s, want code %q", got.status, got.raw, c.code)
			}
		})
	}
	// The stand-in has no account, so it must get no token of one either.
	for _, path := range []string{"/api/collections/_superusers/auth-refresh", "/api/collections/_superusers/impersonate/" + f.user.Id, "/api/files/token"} {
		if got := f.do(call{method: "POST", path: path, token: good}); got.status < 400 {
			t.Errorf("POST %s with a platform token: %d %s", path, got.status, got.raw)
		}
	}
}
