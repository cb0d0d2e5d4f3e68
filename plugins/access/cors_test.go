package access

import (
	"net/http"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/config"
)

func TestAllowOrigin(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, rule, origin string
		want               string
	}{
		{"no origin", "*", "", ""},
		{"any", "*", "https://a.example.com", "*"},
		{"any, null", "*", "null", "*"},
		{"exact", "https://app.example.com", "https://app.example.com", "https://app.example.com"},
		{"exact, case of the origin", "https://app.example.com", "HTTPS://App.Example.com", "HTTPS://App.Example.com"},
		{"exact, case of the rule", "HTTPS://App.Example.com", "https://app.example.com", "https://app.example.com"},
		{"exact, default port in the rule", "https://app.example.com:443", "https://app.example.com", "https://app.example.com"},
		{"exact, other scheme's default port", "http://app.example.com:443", "http://app.example.com", ""},
		{"exact, http default port", "http://app.example.com:80", "http://app.example.com", "http://app.example.com"},
		{"exact, other scheme", "https://app.example.com", "http://app.example.com", ""},
		{"exact, other port", "https://app.example.com", "https://app.example.com:8443", ""},
		{"exact, longer host", "https://app.example.com", "https://app.example.com.evil.net", ""},
		{"exact, subdomain", "https://example.com", "https://app.example.com", ""},
		{"exact, null", "https://app.example.com", "null", ""},
		{"wildcard", "https://*.example.com", "https://app.example.com", "https://app.example.com"},
		{"wildcard, two deep", "https://*.example.com", "https://a.b.example.com", "https://a.b.example.com"},
		{"wildcard, case", "https://*.Example.com", "https://A.example.COM", "https://A.example.COM"},
		{"wildcard, apex", "https://*.example.com", "https://example.com", ""},
		{"wildcard, empty label", "https://*.example.com", "https://.example.com", ""},
		{"wildcard, empty inner label", "https://*.example.com", "https://a..example.com", ""},
		{"wildcard, lookalike", "https://*.example.com", "https://evilexample.com", ""},
		{"wildcard, longer host", "https://*.example.com", "https://a.example.com.evil.net", ""},
		{"wildcard, other scheme", "https://*.example.com", "http://a.example.com", ""},
		{"wildcard, port not in the rule", "https://*.example.com", "https://a.example.com:8443", ""},
		{"wildcard with port", "https://*.example.com:8443", "https://a.example.com:8443", "https://a.example.com:8443"},
		{"wildcard with port, other port", "https://*.example.com:8443", "https://a.example.com:9443", ""},
		{"wildcard with port, no port", "https://*.example.com:8443", "https://a.example.com", ""},
		{"wildcard with default port", "https://*.example.com:443", "https://a.example.com", "https://a.example.com"},
		{"wildcard, path before the suffix", "https://*.example.com", "https://evil.net/.example.com", ""},
		{"wildcard, user before the suffix", "https://*.example.com", "https://evil.net@a.example.com", ""},
		{"wildcard, port before the suffix", "https://*.example.com", "https://evil.net:1.example.com", ""},
		{"wildcard, backtick", "https://*.example.com", "https://evil.net`.example.com", ""},
		{"wildcard, null", "https://*.example.com", "null", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			policy := compileCORS(config.CORS{Origins: []string{c.rule}})
			if got := policy.allowOrigin(c.origin); got != c.want {
				t.Errorf("rule %q answers origin %q with %q, want %q", c.rule, c.origin, got, c.want)
			}
		})
	}
}

func TestCORSResponses(t *testing.T) {
	t.Parallel()
	listed := func(s *config.Settings) {
		s.CORS = config.CORS{Origins: []string{"https://app.example.com"}, MaxAge: 60}
	}
	withCredentials := func(s *config.Settings) { listed(s); s.CORS.Credentials = true }
	const (
		allowOrigin = "Access-Control-Allow-Origin"
		credentials = "Access-Control-Allow-Credentials"
		methods     = "Access-Control-Allow-Methods"
		headers     = "Access-Control-Allow-Headers"
		maxAge      = "Access-Control-Max-Age"
		exposed     = "Access-Control-Expose-Headers"
		preflightOf = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
	)
	cases := []struct {
		name         string
		settings     func(*config.Settings)
		origins      []string // of the flag
		method, path string
		origin       string
		status       int
		want         map[string]string // every CORS header of the response, and Vary
	}{
		{"any origin", nil, nil, "GET", "/ip", "https://x.test", 200,
			map[string]string{allowOrigin: "*", exposed: corsExposed, "Vary": "Origin"}},
		{"no origin", nil, nil, "GET", "/ip", "", 200, map[string]string{"Vary": "Origin"}},
		{"listed", listed, nil, "GET", "/ip", "https://app.example.com", 200,
			map[string]string{allowOrigin: "https://app.example.com", exposed: corsExposed, "Vary": "Origin"}},
		{"not listed", listed, nil, "GET", "/ip", "https://x.test", 200, map[string]string{"Vary": "Origin"}},
		{"null", listed, nil, "GET", "/ip", "null", 200, map[string]string{"Vary": "Origin"}},
		{"credentials", withCredentials, nil, "GET", "/ip", "https://app.example.com", 200,
			map[string]string{allowOrigin: "https://app.example.com", credentials: "true", exposed: corsExposed, "Vary": "Origin"}},
		{"credentials, not listed", withCredentials, nil, "GET", "/ip", "https://x.test", 200, map[string]string{"Vary": "Origin"}},
		{"preflight", listed, nil, "OPTIONS", "/ip", "https://app.example.com", 204, map[string]string{
			allowOrigin: "https://app.example.com", methods: corsMethods, headers: "X-API-Key", maxAge: "60", "Vary": preflightOf}},
		{"preflight, credentials", withCredentials, nil, "OPTIONS", "/ip", "https://app.example.com", 204, map[string]string{
			allowOrigin: "https://app.example.com", credentials: "true", methods: corsMethods, headers: "X-API-Key", maxAge: "60", "Vary": preflightOf}},
		{"preflight, not listed", listed, nil, "OPTIONS", "/ip", "https://x.test", 204, map[string]string{"Vary": "Origin"}},
		{"preflight, no origin", listed, nil, "OPTIONS", "/ip", "", 204, map[string]string{"Vary": "Origin"}},
		{"preflight, unknown route", listed, nil, "OPTIONS", "/nowhere", "https://app.example.com", 204, map[string]string{
			allowOrigin: "https://app.example.com", methods: corsMethods, headers: "X-API-Key", maxAge: "60", "Vary": preflightOf}},
		{"401", listed, nil, "GET", "/denied", "https://app.example.com", 401,
			map[string]string{allowOrigin: "https://app.example.com", exposed: corsExposed, "Vary": "Origin"}},
		{"404", listed, nil, "GET", "/nowhere", "https://app.example.com", 404,
			map[string]string{allowOrigin: "https://app.example.com", exposed: corsExposed, "Vary": "Origin"}},
		{"flag", listed, []string{"https://*.flag.test"}, "GET", "/ip", "https://a.flag.test", 200,
			map[string]string{allowOrigin: "https://a.flag.test", exposed: corsExposed, "Vary": "Origin"}},
		{"flag replaces", listed, []string{"https://*.flag.test"}, "GET", "/ip", "https://app.example.com", 200, map[string]string{"Vary": "Origin"}},
		{"flag of all never with credentials", withCredentials, []string{"*"}, "GET", "/ip", "https://x.test", 200,
			map[string]string{allowOrigin: "*", exposed: corsExposed, "Vary": "Origin"}},
	}
	shared := newTenant(t, nil)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tn := shared
			if len(c.origins) > 0 {
				tn = newTenant(t, nil, func(cfg *Config) { cfg.Origins = c.origins })
			}
			tn.configure(c.settings)
			header := http.Header{}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			if c.method == http.MethodOptions {
				header.Set("Access-Control-Request-Method", "PATCH")
				header.Set("Access-Control-Request-Headers", "X-API-Key")
			}
			response, _ := fetch(t, c.method, tn.serve(t).URL+c.path, header)
			if response.StatusCode != c.status {
				t.Errorf("status %d, want %d", response.StatusCode, c.status)
			}
			for _, name := range []string{allowOrigin, credentials, methods, headers, maxAge, exposed, "Vary"} {
				if got := strings.Join(response.Header.Values(name), ", "); got != c.want[name] {
					t.Errorf("%s: %q, want %q", name, got, c.want[name])
				}
			}
		})
	}
}

func TestRefusalsCarryCORS(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, func(s *config.Settings) { s.RateLimits.PerIP = config.RateLimit{Rate: 1, Burst: 1} })
	url := tn.serve(t).URL + "/ip"
	header := http.Header{"Origin": {"https://x.test"}}
	fetch(t, "GET", url, header)
	response, _ := fetch(t, "GET", url, header)
	if response.StatusCode != 429 || response.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("rate limited: %d with %v", response.StatusCode, response.Header)
	}
	tn.configure(func(s *config.Settings) {
		s.IPAllowlist.Enabled, s.IPAllowlist.CIDRs = true, []string{"203.0.113.0/24"}
	})
	response, _ = fetch(t, "GET", url, header)
	if response.StatusCode != 403 || response.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("not in the allowlist: %d with %v", response.StatusCode, response.Header)
	}
}

func TestCORSChangesAtOnce(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, nil)
	request := testRequest{header: http.Header{"Origin": {"https://x.test"}}}
	if got := tn.do(request).Header().Get("Access-Control-Allow-Origin"); got != "*" {
		t.Fatalf("before: %q", got)
	}
	tn.configure(func(s *config.Settings) { s.CORS.Origins = []string{"https://y.test"} })
	if got := tn.do(request).Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("after: %q, want none", got)
	}
}
