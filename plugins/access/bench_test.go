package access

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// newBench returns the plugin with limits that the benchmark does not reach,
// and a maker of requests that have nothing left to do after a middleware.
func newBench(b *testing.B, change func(*config.Settings)) (*Plugin, func(headers ...string) *core.RequestEvent) {
	b.Helper()
	settings := config.Default()
	large := config.RateLimit{Rate: 1e6, Burst: 1e6}
	settings.RateLimits.PerKey, settings.RateLimits.PerIP = large, large
	if change != nil {
		change(settings)
	}
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: b.TempDir()})
	p, err := Register(app, Config{Settings: func() *config.Settings { return settings }, Priorities: testOrder, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	return p, func(headers ...string) *core.RequestEvent {
		e := &core.RequestEvent{App: app}
		e.Request = httptest.NewRequest("GET", "/api/collections/posts/records", nil)
		e.Response = httptest.NewRecorder()
		for i := 0; i < len(headers); i += 2 {
			e.Request.Header.Set(headers[i], headers[i+1])
		}
		return e
	}
}

func measure(b *testing.B, e *core.RequestEvent, middleware func(*core.RequestEvent) error) {
	b.Helper()
	header := e.Response.Header()
	b.ReportAllocs()
	for b.Loop() {
		clear(header)
		_ = middleware(e) // refusals under sustained load are part of the figure
	}
}

func BenchmarkRateLimit(b *testing.B) {
	for name, key := range map[string]*httpapi.Key{
		"address":         nil,
		"key_and_address": {ID: "k1"},
		"own_limit":       {ID: "k2", RateLimit: &config.RateLimit{Rate: 1e6, Burst: 1e6}},
	} {
		b.Run(name, func(b *testing.B) {
			p, request := newBench(b, nil)
			e := request()
			httpapi.StateOf(e).Key = key
			measure(b, e, p.rateLimit)
		})
	}
}

// Every processor with a key and an address of its own.
func BenchmarkRateLimitParallel(b *testing.B) {
	p, request := newBench(b, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		e := request()
		e.Request.RemoteAddr = "203.0.113.9:1"
		httpapi.StateOf(e).Key = &httpapi.Key{ID: e.Request.RemoteAddr}
		header := e.Response.Header()
		for pb.Next() {
			clear(header)
			_ = p.rateLimit(e)
		}
	})
}

// The bare decision, without the headers.
func BenchmarkCharge(b *testing.B) {
	limit := newLimit("ip", config.RateLimit{Rate: 1e6, Burst: 1e6})
	l := newLimiter(defaultMaxBuckets, time.Now)
	addr := nthAddr(1)
	b.ReportAllocs()
	for b.Loop() {
		l.charge(&limit, "k1", &limit, addr)
	}
}

func BenchmarkCORS(b *testing.B) {
	listed := func(origins ...string) func(*config.Settings) {
		return func(s *config.Settings) { s.CORS.Origins = origins }
	}
	for name, c := range map[string]struct {
		settings func(*config.Settings)
		origin   string
	}{
		"no_origin": {nil, ""},
		"any":       {nil, "https://app.example.com"},
		"exact":     {listed("https://app.example.com"), "https://app.example.com"},
		"wildcard":  {listed("https://*.example.com"), "https://app.example.com"},
	} {
		b.Run(name, func(b *testing.B) {
			p, request := newBench(b, c.settings)
			e := request()
			if c.origin != "" {
				e.Request.Header.Set("Origin", c.origin)
			}
			measure(b, e, p.cors)
		})
	}
}

func BenchmarkIPAllowlist(b *testing.B) {
	p, request := newBench(b, allowing("10.0.0.0/8", "172.16.0.0/12", "192.0.2.0/24", "2001:db8::/32"))
	measure(b, request(), p.ipAllowlist)
}

func BenchmarkTrustedProxies(b *testing.B) {
	p, request := newBench(b, func(s *config.Settings) { s.IPAllowlist.TrustedProxies = []string{"192.0.2.0/24"} })
	e := request("X-Forwarded-For", "198.51.100.7")
	e.App.Settings().TrustedProxy.Headers = []string{"X-Forwarded-For"}
	measure(b, e, p.trustedProxies)
}
