package health

import (
	"strings"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/routes"
	"github.com/pocketbase/pocketbase/core"
)

// count counts the request while it is in flight, or refuses it while the
// tenant drains.
func (p *Plugin) count(e *core.RequestEvent) error {
	counter := &p.inFlight
	switch pattern := e.Request.Pattern; {
	case pattern == patternLive, pattern == patternReady, pattern == patternHealth:
		return e.Next()
	case pattern == patternMetrics:
		// Only here, outside of everything that may drop a proxy's headers, is
		// it visible whether the request came through one.
		e.Set(localKey, isLocal(e))
		return e.Next()
	case pattern == patternDue: // the platform's own question, which must not answer itself
		return e.Next()
	case pattern == patternRealtime:
		counter = &p.realtime
	case isStream(pattern):
		counter = &p.streams
	}

	// Counting comes first: a request that Drain did not count sees that it drains.
	counter.Add(1)
	defer func() {
		p.lastUse.Store(time.Now().UnixNano())
		counter.Add(-1)
	}()
	if p.draining.Load() {
		e.Response.Header().Set("Connection", "close")
		e.Response.Header().Set(routes.HeaderForwarded, "false")
		return httpapi.Error(ErrDraining)
	}
	return e.Next()
}

const (
	patternDue      = "GET " + httpapi.PathPrefix + "/due"
	patternRealtime = "GET /api/realtime"
)

// isStream reports whether a route answers with an event stream that goes on
// until one side ends it: PocketBase's realtime, and by convention whatever of
// PicoBase's own API is named …/stream.
func isStream(pattern string) bool {
	return pattern == patternRealtime ||
		strings.HasPrefix(pattern, "GET "+httpapi.PathPrefix+"/") && strings.HasSuffix(pattern, "/stream")
}

// Busy returns how many requests, realtime streams and other streams are open,
// without probes and questions of the platform.
func (p *Plugin) Busy() (requests, realtime, streams int64) {
	return p.inFlight.Load(), p.realtime.Load(), p.streams.Load()
}

// IdleSince returns when the last request ended that was not a probe or the
// platform's own question, or when the tenant started. It says nothing of what is open.
func (p *Plugin) IdleSince() time.Time {
	var since time.Time
	if started := p.started.Load(); started != nil {
		since = *started
	}
	if last := time.Unix(0, p.lastUse.Load()); last.After(since) {
		since = last
	}
	return since
}
