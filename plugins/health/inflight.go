package health

import (
	"strings"

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
	case isStream(pattern):
		counter = &p.streams
	}

	// Counting comes first: a request that Drain did not count sees that it drains.
	counter.Add(1)
	defer counter.Add(-1)
	if p.draining.Load() {
		e.Response.Header().Set("Connection", "close")
		e.Response.Header().Set(routes.HeaderForwarded, "false")
		return httpapi.Error(ErrDraining)
	}
	return e.Next()
}

// isStream reports whether a route answers with an event stream that goes on
// until one side ends it: PocketBase's realtime, and by convention whatever of
// PicoBase's own API is named …/stream.
func isStream(pattern string) bool {
	return pattern == "GET /api/realtime" ||
		strings.HasPrefix(pattern, "GET "+httpapi.PathPrefix+"/") && strings.HasSuffix(pattern, "/stream")
}
