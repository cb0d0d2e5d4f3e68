package health

import (
	"net/http"
	"net/netip"
	"net/url"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// localKey is where the middleware leaves in the request whether it is local.
const localKey = "picoHealthLocal"

// metrics answers in Prometheus' text format. Processes on this machine need no
// credentials.
func (p *Plugin) metrics(e *core.RequestEvent) error {
	if local, _ := e.Get(localKey).(bool); !local && !p.cfg.AuthorizeMetrics(e) {
		err := httpapi.Check(httpapi.CallerOf(e), scope.Usage)
		if err == nil { // AuthorizeMetrics is stricter than the scope
			err = httpapi.MissingScope(scope.Usage)
		}
		return httpapi.Error(err)
	}
	return p.scrape(e)
}

func (p *Plugin) newScrape() func(*core.RequestEvent) error {
	return apis.WrapStdHandler(promhttp.HandlerFor(p.cfg.Metrics, promhttp.HandlerOpts{
		// One collector in trouble must not hide the others.
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      scrapeLog{p.app},
	}))
}

// scrapeLog writes what goes wrong during a scrape to the app's log.
type scrapeLog struct{ app core.App }

func (l scrapeLog) Println(v ...any) { l.app.Logger().Error("metrics are incomplete", "error", v) }

// forwardingHeaders are set by proxies. Behind a proxy on the same machine every
// peer is loopback, so a request with one of them is not from here; nor is one
// with an Origin, which a web page sends through the browser of this machine.
var forwardingHeaders = []string{
	"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
	"Cf-Connecting-Ip", "Fly-Client-Ip", "True-Client-Ip", "Origin",
}

// isLocal reports whether a process on this machine made the request itself.
func isLocal(e *core.RequestEvent) bool {
	ip, err := netip.ParseAddr(e.RemoteIP())
	if err != nil || !ip.Unmap().IsLoopback() {
		return false
	}
	return isLocalHost(e.Request.Host) && !hasAny(e.Request.Header, forwardingHeaders) &&
		!hasAny(e.Request.Header, e.App.Settings().TrustedProxy.Headers)
}

// isLocalHost reports whether the Host header names this machine as itself. A web
// page whose own name was made to lead here sends no Origin, but that name.
func isLocalHost(host string) bool {
	u := url.URL{Host: host}
	name := u.Hostname()
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func hasAny(header http.Header, names []string) bool {
	for _, name := range names {
		// Presence counts, also with an empty value.
		if len(header.Values(name)) > 0 {
			return true
		}
	}
	return false
}
