package usage

import (
	"maps"
	"strings"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

func (p *Plugin) middleware() *hook.Handler[*core.RequestEvent] {
	return &hook.Handler[*core.RequestEvent]{Id: "picoUsage", Priority: p.cfg.Priority, Func: p.count}
}

func (p *Plugin) count(e *core.RequestEvent) (err error) {
	// A command on the folder is no use of the project.
	if _, local := httpapi.CommandLineUser(e.Request.Context()); local {
		return e.Next()
	}
	x := &exchange{started: p.cfg.Now()}
	x.attach(p, e)
	// PocketBase recovers panics further in, but lets http.ErrAbortHandler pass.
	panicked := true
	defer func() { p.finish(e, x, err, panicked) }()
	err = e.Next()
	panicked = false
	return err
}

// finish counts a request that has been handled.
func (p *Plugin) finish(e *core.RequestEvent, x *exchange, err error, panicked bool) {
	now := p.cfg.Now()
	status := x.status(err, panicked)
	state := httpapi.StateOf(e)
	key := cellKey{hour: hourOf(now), group: groupOf(e.Request.Pattern), class: classOf(status)}
	if state.Key != nil {
		key.keyID = state.Key.ID
	}
	s := sample{
		at:       now,
		bytesIn:  x.request.bytes,
		bytesOut: x.response.bytes,
		latency:  now.Sub(x.started),
		stream:   isEventStream(x.tracker),
	}
	p.counters.record(key, s)
	p.metrics.record(key, s)
	x.response.key, x.response.counted = key, true

	hideTokens(e)
	setLogMeta(e, logMeta{RequestID: state.RequestID, KeyID: key.keyID, Route: e.Request.Pattern})
	if err == nil && !panicked {
		p.requests.add(e, status, s)
	}
	if p.tail.HasListeners() {
		p.tail.Publish(newEntry(e, state.RequestID, key.keyID, status, s, err))
	}
}

// classOf returns the first digit of a status; the few outside of 200 to 599
// count as their neighbours.
func classOf(status int) uint8 {
	return uint8(min(max(status/100, 2), 5))
}

// className returns the name of a status class, such as 2xx.
func className(class uint8) string {
	return string('0'+rune(class)) + "xx"
}

// isEventStream reports whether the response is a stream of server-sent events,
// whose duration says nothing about speed.
func isEventStream(w *router.ResponseWriter) bool {
	contentType := w.Header()["Content-Type"]
	return len(contentType) > 0 && strings.HasPrefix(contentType[0], "text/event-stream")
}

// logMeta is what PocketBase's request log stores of us, as data.meta.
type logMeta struct {
	RequestID string `json:"requestId"`
	KeyID     string `json:"keyId"`
	Route     string `json:"route"`
}

// setLogMeta adds meta to what a hook may have left for the request log.
func setLogMeta(e *core.RequestEvent, meta logMeta) {
	others, ok := e.Get(apis.RequestEventKeyLogMeta).(map[string]any)
	if !ok {
		e.Set(apis.RequestEventKeyLogMeta, meta)
		return
	}
	merged := maps.Clone(others)
	merged["requestId"] = meta.RequestID
	merged["keyId"] = meta.KeyID
	merged["route"] = meta.Route
	e.Set(apis.RequestEventKeyLogMeta, merged)
}

// hideTokens keeps file tokens out of the request log, which is about to store
// the URL: whoever may read the log must not be able to use them.
func hideTokens(e *core.RequestEvent) {
	redacted := redactQuery(e.Request.URL.RawQuery)
	if redacted == e.Request.URL.RawQuery {
		return
	}
	u := *e.Request.URL
	u.RawQuery = redacted
	e.Request = e.Request.WithContext(e.Request.Context()) // a copy
	e.Request.URL = &u
}
