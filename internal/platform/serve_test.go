package platform

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestBelieveRouters(t *testing.T) {
	t.Parallel()
	elsewhere := ServeConfig{Routers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for _, c := range []struct {
		cfg                   ServeConfig
		peer, forwarded, want string
	}{
		{ServeConfig{}, "10.0.0.7:41", "198.51.100.1", "10.0.0.7:41"},
		{ServeConfig{BehindRouter: true}, "@", "198.51.100.1", "198.51.100.1:0"},
		{elsewhere, "10.0.0.7:41", "198.51.100.1", "198.51.100.1:0"},
		{elsewhere, "[::ffff:10.0.0.7]:41", "2001:db8::1", "[2001:db8::1]:0"},
		{elsewhere, "[fd00::7]:41", "forged, 198.51.100.1", "198.51.100.1:0"},
		{elsewhere, "10.0.0.7:41", "", "10.0.0.7:41"},
		{elsewhere, "198.51.100.9:41", "198.51.100.1", "198.51.100.9:41"},
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.RemoteAddr = c.peer
		if c.forwarded != "" {
			req.Header.Set("X-Forwarded-For", c.forwarded)
		}
		var got string
		c.cfg.believeRouters(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).
			ServeHTTP(httptest.NewRecorder(), req)
		if got != c.want {
			t.Errorf("%s for %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}
