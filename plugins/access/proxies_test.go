package access

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/config"
	"github.com/pocketbase/pocketbase/core"
)

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	const (
		proxy    = "10.1.2.3:1000"
		stranger = "203.0.113.9:1000"
	)
	forwarded := func(values ...string) http.Header { return http.Header{"X-Forwarded-For": values} }
	both := []string{"X-Forwarded-For", "X-Real-IP"}
	cases := []struct {
		name                string
		proxies             []string
		headers             []string
		peer                string
		sent                http.Header
		rightmost, leftmost string // the RealIP in PocketBase's two modes
	}{
		{"no header trusted", nil, nil, stranger, forwarded("6.6.6.6"), "203.0.113.9", "203.0.113.9"},
		{"no proxies listed", nil, both, stranger, forwarded("6.6.6.6"), "6.6.6.6", "6.6.6.6"},
		{"from a stranger", []string{"10.0.0.0/8"}, both, stranger, forwarded("6.6.6.6"), "203.0.113.9", "203.0.113.9"},
		{"from a proxy", []string{"10.0.0.0/8"}, both, proxy, forwarded("6.6.6.6, 7.7.7.7"), "7.7.7.7", "6.6.6.6"},
		{"from a proxy, other case", []string{"10.0.0.0/8"}, []string{"x-forwarded-for"}, proxy, forwarded("6.6.6.6"), "6.6.6.6", "6.6.6.6"},
		{"other case", []string{"10.0.0.0/8"}, []string{"x-forwarded-FOR"}, stranger, forwarded("6.6.6.6"), "203.0.113.9", "203.0.113.9"},
		{"several values", []string{"10.0.0.0/8"}, both, stranger, forwarded("6.6.6.6", "7.7.7.7, 8.8.8.8"), "203.0.113.9", "203.0.113.9"},
		{"several headers", []string{"10.0.0.0/8"}, both, stranger,
			http.Header{"X-Forwarded-For": {"x"}, "X-Real-Ip": {"6.6.6.6"}}, "203.0.113.9", "203.0.113.9"},
		{"header that is not trusted", []string{"10.0.0.0/8"}, []string{"X-Real-IP"}, proxy, forwarded("6.6.6.6"), "10.1.2.3", "10.1.2.3"},
		{"Forwarded", []string{"10.0.0.0/8"}, []string{"Forwarded"}, stranger,
			http.Header{"Forwarded": {"for=6.6.6.6", "6.6.6.6"}}, "203.0.113.9", "203.0.113.9"},
		{"malformed", []string{"10.0.0.0/8"}, both, stranger, forwarded(`", 6.6.6.6;\x00,[::1]:80`), "203.0.113.9", "203.0.113.9"},
		{"malformed from a proxy", []string{"10.0.0.0/8"}, both, proxy, forwarded("6.6.6.6:80, unknown"), "10.1.2.3", "10.1.2.3"},
		{"mapped peer is the proxy", []string{"10.0.0.0/8"}, both, "[::ffff:10.1.2.3]:1000", forwarded("6.6.6.6"), "6.6.6.6", "6.6.6.6"},
		{"mapped network", []string{"::ffff:10.0.0.0/104"}, both, proxy, forwarded("6.6.6.6"), "6.6.6.6", "6.6.6.6"},
		{"zone of the proxy", []string{"fe80::/10"}, both, "[fe80::1%eth0]:1000", forwarded("6.6.6.6"), "6.6.6.6", "6.6.6.6"},
		{"zone of a stranger", []string{"fd00::/8"}, both, "[fe80::1%eth0]:1000", forwarded("6.6.6.6"),
			"fe80:0000:0000:0000:0000:0000:0000:0001%eth0", "fe80:0000:0000:0000:0000:0000:0000:0001%eth0"},
		{"broken list trusts nobody", []string{"nonsense"}, both, proxy, forwarded("6.6.6.6"), "10.1.2.3", "10.1.2.3"},
		{"peer without an address", []string{"0.0.0.0/0", "::/0"}, both, "@", forwarded("6.6.6.6"), "invalid IP", "invalid IP"},
	}
	tn := newTenant(t, nil)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tn.configure(func(s *config.Settings) { s.IPAllowlist.TrustedProxies = c.proxies })
			for leftmost, want := range map[bool]string{false: c.rightmost, true: c.leftmost} {
				tn.trustHeaders(leftmost, c.headers...)
				got := tn.do(testRequest{peer: c.peer, header: c.sent.Clone()}).Body.String()
				if got != want {
					t.Errorf("leftmost %v: RealIP %q, want %q", leftmost, got, want)
				}
			}
		})
	}
}

// Over a real connection the peer is 127.0.0.1, by the server's own word.
func TestTrustedProxiesOverHTTP(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, nil)
	tn.trustHeaders(false, "X-Forwarded-For")
	url := tn.serve(t).URL + "/ip"
	for proxies, want := range map[string]string{"127.0.0.0/8": "6.6.6.6", "10.0.0.0/8": "127.0.0.1"} {
		tn.configure(func(s *config.Settings) { s.IPAllowlist.TrustedProxies = []string{proxies} })
		if _, got := fetch(t, "GET", url, http.Header{"X-Forwarded-For": {"6.6.6.6"}}); got != want {
			t.Errorf("with proxies %s: RealIP %q, want %q", proxies, got, want)
		}
	}
}

func TestBatchCannotNameAddress(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, nil)
	tn.trustHeaders(false, "X-Forwarded-For")
	tn.app.Settings().Batch.Enabled = true
	tn.app.Settings().Batch.MaxRequests = 5
	var seen []string
	tn.app.OnRecordCreateRequest("demo2").BindFunc(func(e *core.RecordRequestEvent) error {
		seen = append(seen, e.RealIP())
		return e.Next()
	})

	request := httptest.NewRequest("POST", "/api/batch", strings.NewReader(`{"requests":[
		{"method":"POST","url":"/api/collections/demo2/records","headers":{"x-forwarded-FOR":"6.6.6.6"},"body":{"title":"a batched record"}}]}`))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", "198.51.100.1")
	recorder := httptest.NewRecorder()
	tn.handler.ServeHTTP(recorder, request)
	if recorder.Code != 200 || len(seen) != 1 || seen[0] != "198.51.100.1" {
		t.Errorf("status %d, RealIP of the inner requests %q, want 198.51.100.1\n%s", recorder.Code, seen, recorder.Body)
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("203.0.113.9:1", "X-Forwarded-For: 6.6.6.6", false)
	f.Add("[::ffff:203.0.113.9]:1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7, ::1", true)
	f.Add("[fe80::1%eth0]:1", "x-real-ip: 10.0.0.1\r\nForwarded: for=10.0.0.1", true)
	f.Add("@", "X-Real-IP:\t10.0.0.1 \r\n folded", false)
	f.Add("203.0.113.9", "X-Forwarded-For : 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6", false)

	settings := config.Default()
	settings.IPAllowlist.TrustedProxies = []string{"10.0.0.0/8", "fd00::/8"}
	trusted := compilePrefixes(settings.IPAllowlist.TrustedProxies)
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: f.TempDir()})
	app.Settings().TrustedProxy.Headers = []string{"X-Forwarded-For", "x-real-ip", "Forwarded"}
	p, err := Register(app, Config{Settings: func() *config.Settings { return settings }, Priorities: testOrder})
	if err != nil {
		f.Fatal(err)
	}

	f.Fuzz(func(t *testing.T, peer, headers string, leftmost bool) {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n\r\n")))
		if err != nil {
			return // net/http refuses it before it reaches us
		}
		request.RemoteAddr = peer
		e := &core.RequestEvent{App: app}
		e.Request = request
		e.Response = httptest.NewRecorder()
		app.Settings().TrustedProxy.UseLeftmostIP = leftmost
		// Read the peer's address apart from the code under test.
		if addr, err := netip.ParseAddrPort(peer); err == nil && contains(trusted, addr.Addr().Unmap().WithZone("")) {
			return
		}
		if err := p.trustedProxies(e); err != nil {
			t.Fatal(err)
		}
		if e.RealIP() != e.RemoteIP() {
			t.Fatalf("peer %q became %q by %q", peer, e.RealIP(), headers)
		}
		if addr := clientAddr(e); addr.Zone() != "" || addr.Is4In6() {
			t.Fatalf("address %s of peer %q is not normal", addr, peer)
		}
	})
}
