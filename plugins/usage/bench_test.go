package usage

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

// discard is a response writer that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkMiddleware measures what the middleware adds to a request: compare
// with and without it.
func BenchmarkMiddleware(b *testing.B) {
	key := &httpapi.Key{ID: "abcdefghijklmno"}
	request := httptest.NewRequest(http.MethodGet, "/api/collections/posts/records?page=2", nil)
	request.Pattern = "GET /api/collections/{collection}/records"
	for _, c := range []struct {
		name          string
		with, metrics bool
	}{{"without", false, false}, {"with", true, false}, {"with metrics", true, true}} {
		cfg := Config{Settings: config.Default}
		if c.metrics {
			cfg.Metrics = prometheus.NewRegistry()
		}
		p, err := Register(nil, cfg)
		if err != nil {
			b.Fatal(err)
		}
		var chain hook.Hook[*core.RequestEvent]
		if c.with {
			chain.Bind(p.middleware())
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := &discard{header: http.Header{}}
				request := request.Clone(b.Context())
				for pb.Next() {
					e := &core.RequestEvent{}
					e.Request = request
					e.Request.Body = &router.RereadableReadCloser{ReadCloser: http.NoBody}
					e.Response = &router.ResponseWriter{ResponseWriter: w}
					httpapi.StateOf(e).Key = key
					if err := chain.Trigger(e, func(e *core.RequestEvent) error { return e.NoContent(http.StatusNoContent) }); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
