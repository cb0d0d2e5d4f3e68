package usage

import (
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// streamLogs sends requests as server-sent events while they end: "log" with an
// entry, and "dropped" with the number of entries lost when the client is too
// slow.
func (p *Plugin) streamLogs(e *core.RequestEvent) error {
	q, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "key", "route", "status")
	if err != nil {
		return httpapi.Failure(err)
	}
	filter, err := parseRequestFilter(q)
	if err != nil {
		return httpapi.Failure(err)
	}
	return p.tail.Serve(e, filter.matches)
}
