package usage

import (
	"time"

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

	stream := httpapi.NewEventStream(e.Response)
	listener := p.tail.listen(filter)
	defer p.tail.leave(listener)
	if stream.Comment("listening") != nil {
		return nil // the client is gone: nothing to answer and nobody to tell
	}
	heartbeat := time.NewTicker(p.heartbeat)
	defer heartbeat.Stop()
	for err == nil {
		select {
		case <-e.Request.Context().Done():
			return nil
		case <-listener.closed:
			return nil
		case <-heartbeat.C:
			if !p.cfg.StillAllowed(e) {
				return nil
			}
			err = stream.Comment("heartbeat")
		case next := <-listener.entries:
			if !p.cfg.StillAllowed(e) {
				return nil
			}
			if lost := listener.dropped.Swap(0); lost > 0 {
				err = stream.Event("dropped", map[string]int64{"count": lost})
			}
			if err == nil {
				err = stream.Event("log", next)
			}
		}
	}
	return nil
}
