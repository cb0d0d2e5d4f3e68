package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

func allowing(cidrs ...string) func(*config.Settings) {
	return func(s *config.Settings) { s.IPAllowlist.Enabled, s.IPAllowlist.CIDRs = true, cidrs }
}

func TestIPAllowlist(t *testing.T) {
	t.Parallel()
	many := make([]string, 0, 300)
	for i := range 300 {
		many = append(many, fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))
	}
	cases := []struct {
		name    string
		cidrs   []string
		request testRequest
		status  int
	}{
		{"in a network", []string{"203.0.113.0/24"}, testRequest{peer: "203.0.113.9:1"}, 200},
		{"the address itself", []string{"203.0.113.9"}, testRequest{peer: "203.0.113.9:1"}, 200},
		{"outside", []string{"203.0.113.0/24"}, testRequest{peer: "203.0.114.9:1"}, 403},
		{"IPv6", []string{"2001:db8::/32"}, testRequest{peer: "[2001:db8::1]:1"}, 200},
		{"IPv6 outside", []string{"2001:db8::/32"}, testRequest{peer: "[2001:db9::1]:1"}, 403},
		{"mapped", []string{"203.0.113.0/24"}, testRequest{peer: "[::ffff:203.0.113.9]:1"}, 200},
		{"mapped in the list", []string{"::ffff:203.0.113.9"}, testRequest{peer: "203.0.113.9:1"}, 200},
		{"mapped network in the list", []string{"::ffff:203.0.113.0/120"}, testRequest{peer: "203.0.113.9:1"}, 200},
		{"every IPv6 is no IPv4", []string{"::/0"}, testRequest{peer: "203.0.113.9:1"}, 403},
		{"zone", []string{"fe80::/10"}, testRequest{peer: "[fe80::1%eth0]:1"}, 200},
		{"no address", []string{"0.0.0.0/0", "::/0"}, testRequest{peer: "@"}, 403},
		{"the 300th network", many, testRequest{peer: "10.1.43.7:1"}, 200},
		{"none of 300", many, testRequest{peer: "10.1.44.7:1"}, 403},
		{"unknown route", []string{"203.0.113.0/24"}, testRequest{peer: "6.6.6.6:1", path: "/nowhere"}, 403},
		{"health", []string{"203.0.113.0/24"}, testRequest{peer: "6.6.6.6:1", path: "/api/v1/health"}, 200},
		{"live", []string{"203.0.113.0/24"}, testRequest{peer: "6.6.6.6:1", path: "/api/v1/live"}, 200},
		{"ready, HEAD", []string{"203.0.113.0/24"}, testRequest{peer: "6.6.6.6:1", path: "/api/v1/ready", method: "HEAD"}, 200},
		{"health, POST", []string{"203.0.113.0/24"}, testRequest{peer: "6.6.6.6:1", path: "/api/v1/health", method: "POST"}, 403},
		{"looks like health", []string{"203.0.113.0/24"}, testRequest{peer: "6.6.6.6:1", path: "/api%2Fv1/health"}, 403},
		{"PocketBase's health", []string{"203.0.113.0/24"}, testRequest{peer: "6.6.6.6:1", path: "/api/health"}, 403},
		{"command line", []string{"203.0.113.0/24"}, testRequest{peer: "@", commandLine: true}, 200},
	}
	tn := newTenant(t, nil)
	refused := 0.0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tn.configure(allowing(c.cidrs...))
			got := tn.do(c.request)
			if got.Code != c.status {
				t.Errorf("status %d, want %d: %s", got.Code, c.status, got.Body)
			}
			if c.status == 403 {
				refused++
			}
			if count := tn.counter(t, "picobase_ip_refused_total", ""); count != refused {
				t.Errorf("picobase_ip_refused_total is %v, want %v", count, refused)
			}
		})
	}
}

func TestIPAllowlistRefusal(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, nil)
	tn.trustHeaders(false, "X-Forwarded-For")
	url := tn.serve(t).URL + "/ip"
	header := http.Header{"X-Forwarded-For": {"::ffff:198.51.100.7"}}
	if response, _ := fetch(t, "GET", url, header); response.StatusCode != 200 {
		t.Fatalf("without a list: %d", response.StatusCode)
	}
	tn.configure(allowing("203.0.113.0/24")) // in force with the next request
	response, body := fetch(t, "GET", url, header)
	if response.StatusCode != 403 {
		t.Errorf("status %d, want 403", response.StatusCode)
	}
	for _, want := range []string{`"code":"ip_not_allowed"`, "Requests from 198.51.100.7 are not allowed", "ipAllowlist.cidrs", `"details":{"ip":"198.51.100.7"}`} {
		if !strings.Contains(body, want) {
			t.Errorf("the body lacks %s: %s", want, body)
		}
	}
	tn.configure(allowing("203.0.113.0/24", "198.51.100.7"))
	if response, _ := fetch(t, "GET", url, header); response.StatusCode != 200 {
		t.Errorf("after adding the address: %d", response.StatusCode)
	}
}

func TestCheckLockout(t *testing.T) {
	t.Parallel()
	proxies := func(change func(*config.Settings), list ...string) func(*config.Settings) {
		return func(s *config.Settings) {
			if change != nil {
				change(s)
			}
			s.IPAllowlist.TrustedProxies = list
		}
	}
	const peer, behind = "10.1.2.3:1", "198.51.100.7" // behind is what the proxy says
	cases := []struct {
		name        string
		now, next   func(*config.Settings)
		commandLine bool
		locksOut    string // the address that would be
	}{
		{"list off", nil, func(s *config.Settings) { s.IPAllowlist.CIDRs = []string{"203.0.113.0/24"} }, false, ""},
		{"address in the list", nil, allowing("198.51.100.0/24"), false, ""},
		{"address not in the list", nil, allowing("203.0.113.0/24"), false, behind},
		{"command line", nil, allowing("203.0.113.0/24"), true, ""},
		{"proxy no longer trusted", nil, proxies(allowing("198.51.100.0/24"), "172.16.0.0/12"), false, "10.1.2.3"},
		{"proxy no longer trusted, but in the list", nil, proxies(allowing("10.0.0.0/8"), "172.16.0.0/12"), false, ""},
		{"proxy trusted from now on", proxies(nil, "172.16.0.0/12"), proxies(allowing("198.51.100.0/24"), "10.0.0.0/8"), false, ""},
		{"proxy trusted from now on, in the list itself", proxies(nil, "172.16.0.0/12"), proxies(allowing("10.0.0.0/8"), "10.0.0.0/8"), false, behind},
	}
	tn := newTenant(t, nil)
	tn.trustHeaders(false, "X-Forwarded-For")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tn.configure(c.now)
			request, err := http.NewRequest("PATCH", "/api/v1/settings", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.RemoteAddr = peer
			request.Header.Set("X-Forwarded-For", behind)
			if c.commandLine {
				request = request.WithContext(httpapi.WithCommandLine(request.Context(), "root"))
			}
			e := &core.RequestEvent{App: tn.app}
			e.Request = request
			if err := tn.plugin.trustedProxies(e); err != nil {
				t.Fatal(err)
			}

			next := config.Default()
			c.next(next)
			err = tn.plugin.CheckLockout(e, next)
			if c.locksOut == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			var invalid *apierr.Error
			if !errors.As(err, &invalid) || invalid.Code != apierr.CodeInvalid || invalid.Details["ipAllowlist.cidrs"] == nil ||
				!strings.Contains(invalid.Message, c.locksOut+",") {
				t.Errorf("got %v, want a validation error that names %s", err, c.locksOut)
			}
		})
	}
}
