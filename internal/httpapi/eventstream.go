package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// streamWriteTimeout ends the stream of a client that does not read.
const streamWriteTimeout = 30 * time.Second

// EventStream writes server-sent events.
type EventStream struct {
	w          http.ResponseWriter
	controller *http.ResponseController
}

// NewEventStream begins a stream as the response.
func NewEventStream(w http.ResponseWriter) *EventStream {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	stream := &EventStream{w: w, controller: http.NewResponseController(w)}
	// The server's deadlines are for requests that end. Both errors mean that
	// there is no deadline to lift.
	_ = stream.controller.SetReadDeadline(time.Time{})
	_ = stream.controller.SetWriteDeadline(time.Time{})
	return stream
}

// Comment sends a line that clients ignore.
func (s *EventStream) Comment(text string) error {
	return s.send(": %s\n\n", text)
}

// Event sends data as the JSON of a named event.
func (s *EventStream) Event(name string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.send("event: %s\ndata: %s\n\n", name, encoded)
}

func (s *EventStream) send(format string, args ...any) error {
	_ = s.controller.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.controller.Flush()
}
