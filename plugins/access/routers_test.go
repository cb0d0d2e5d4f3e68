package access

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/config"
)

func parsed(t *testing.T, text string) Routers {
	t.Helper()
	routers, err := ParseRouters(text)
	if err != nil {
		t.Fatal(err)
	}
	return routers
}

func TestParseRouters(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "unix", "10.0.0.0/8, unix", "192.0.2.7", "fd00::/8,::1"} {
		if _, err := ParseRouters(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"router", "10.0.0.0/40", "10.0.0.0/8;unix", "unix:/a", "*"} {
		if _, err := ParseRouters(text); err == nil || !strings.Contains(err.Error(), "neither a network") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFromRouters(t *testing.T) {
	t.Parallel()
	const router, stranger = "10.1.2.3:1000", "203.0.113.9:1000"
	for _, c := range []struct {
		name, routers, peer string
		unix                bool
		forwarded           []string
		want                string
	}{
		{"a router", "10.0.0.0/8", router, false, []string{"198.51.100.7"}, "198.51.100.7"},
		{"the last of what it sends", "10.0.0.0/8", router, false, []string{"6.6.6.6", "7.7.7.7, 198.51.100.7"}, "198.51.100.7"},
		{"IPv6", "10.0.0.0/8", router, false, []string{"2001:db8::7"}, "2001:0db8:0000:0000:0000:0000:0000:0007"},
		{"mapped router", "10.0.0.0/8", "[::ffff:10.1.2.3]:1000", false, []string{"198.51.100.7"}, "198.51.100.7"},
		{"a router that says nothing", "10.0.0.0/8", router, false, nil, "10.1.2.3"},
		{"a router that says nonsense", "10.0.0.0/8", router, false, []string{"unknown"}, "10.1.2.3"},
		{"a stranger", "10.0.0.0/8,unix", stranger, false, []string{"6.6.6.6"}, "203.0.113.9"},
		{"no routers", "", router, false, []string{"6.6.6.6"}, "10.1.2.3"},
		{"a socket", "unix", "@", true, []string{"198.51.100.7"}, "198.51.100.7"},
		{"a socket, without a client", "unix", "@", true, nil, "127.0.0.1"},
		{"a socket that is no router's", "10.0.0.0/8", "@", true, []string{"6.6.6.6"}, "127.0.0.1"},
		{"a socket beside a loopback network", "127.0.0.0/8", "@", true, []string{"6.6.6.6"}, "127.0.0.1"},
		{"who claims to be a socket", "unix", "@", false, []string{"6.6.6.6"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t, nil, func(cfg *Config) { cfg.Routers = parsed(t, c.routers) })
			request := httptest.NewRequest(http.MethodGet, "/ip", nil)
			request.RemoteAddr = c.peer
			request.Header["X-Forwarded-For"] = c.forwarded
			if c.unix {
				request = request.WithContext(context.WithValue(request.Context(), http.LocalAddrContextKey, net.Addr(&net.UnixAddr{Net: "unix"})))
			}
			recorder := httptest.NewRecorder()
			tn.handler.ServeHTTP(recorder, request)
			if got := recorder.Body.String(); got != c.want {
				t.Errorf("the client is at %q, want %q", got, c.want)
			}
		})
	}
}

// Limits and lists are about the client, also where PocketBase is told to
// believe the header of anybody.
func TestLimitsBehindRouter(t *testing.T) {
	t.Parallel()
	const router = "10.1.2.3:1000"
	tn := newTenant(t, func(s *config.Settings) {
		s.IPAllowlist.Enabled, s.IPAllowlist.CIDRs = true, []string{"198.51.100.0/24"}
		s.IPAllowlist.TrustedProxies = []string{"10.0.0.0/8"}
	}, func(cfg *Config) { cfg.Routers = parsed(t, "10.0.0.0/8") })
	tn.trustHeaders(true, "X-Forwarded-For")
	for forwarded, want := range map[string]int{"198.51.100.7": 200, "203.0.113.9": 403, "198.51.100.7, 203.0.113.9": 403} {
		if got := tn.do(testRequest{peer: router, header: http.Header{"X-Forwarded-For": {forwarded}}}).Code; got != want {
			t.Errorf("from %s: %d, want %d", forwarded, got, want)
		}
	}
	if got := tn.do(testRequest{peer: "203.0.113.9:1", header: http.Header{"X-Forwarded-For": {"198.51.100.7"}}}).Code; got != 403 {
		t.Errorf("a stranger with the address of another: %d", got)
	}
}
