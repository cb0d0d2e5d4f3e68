package usage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// streamWriteTimeout ends the stream of a client that does not read.
const streamWriteTimeout = 30 * time.Second

// streamLogs sends requests as server-sent events while they end: "log" with an
// entry, and "dropped" with the number of entries lost when the client is too
// slow.
func (p *Plugin) streamLogs(e *core.RequestEvent) error {
	q, err := parseQuery(e.Request.URL.RawQuery, "key", "route", "status")
	if err != nil {
		return httpapi.Failure(err)
	}
	filter, err := parseRequestFilter(q)
	if err != nil {
		return httpapi.Failure(err)
	}

	stream := newEventStream(e.Response)
	listener := p.tail.listen(filter)
	defer p.tail.leave(listener)
	if stream.comment("listening") != nil {
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
			err = stream.comment("heartbeat")
		case next := <-listener.entries:
			if !p.cfg.StillAllowed(e) {
				return nil
			}
			if lost := listener.dropped.Swap(0); lost > 0 {
				err = stream.event("dropped", map[string]int64{"count": lost})
			}
			if err == nil {
				err = stream.event("log", next)
			}
		}
	}
	return nil
}

// eventStream writes server-sent events.
type eventStream struct {
	w          http.ResponseWriter
	controller *http.ResponseController
}

func newEventStream(w http.ResponseWriter) *eventStream {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	stream := &eventStream{w: w, controller: http.NewResponseController(w)}
	// The server's deadlines are for requests that end. Both errors mean that
	// there is no deadline to lift.
	_ = stream.controller.SetReadDeadline(time.Time{})
	_ = stream.controller.SetWriteDeadline(time.Time{})
	return stream
}

// comment sends a line that clients ignore.
func (s *eventStream) comment(text string) error {
	return s.send(": %s\n\n", text)
}

func (s *eventStream) event(name string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.send("event: %s\ndata: %s\n\n", name, encoded)
}

func (s *eventStream) send(format string, args ...any) error {
	_ = s.controller.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.controller.Flush()
}
