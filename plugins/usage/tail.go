package usage

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

const (
	// listenerBuffer is how many entries a slow listener may lag behind.
	listenerBuffer = 256

	// maxURLLength bounds the URL of an entry, as in PocketBase's own log.
	maxURLLength = 3000
)

// entry is one request as the live log shows it.
type entry struct {
	Time       time.Time `json:"time"` // of its end
	RequestID  string    `json:"requestId"`
	KeyID      string    `json:"keyId"`
	Method     string    `json:"method"`
	URL        string    `json:"url"`
	Route      string    `json:"route"`
	Status     int       `json:"status"`
	DurationMs float64   `json:"durationMs"`
	BytesIn    int64     `json:"bytesIn"`

	// BytesOut does not include the body of an error that a middleware
	// further out is about to write; the figures do.
	BytesOut int64  `json:"bytesOut"`
	Error    string `json:"error,omitempty"`
}

// newEntry describes a request. The tokens in its URL must be hidden by now.
func newEntry(e *core.RequestEvent, requestID, keyID string, status int, s sample, err error) entry {
	message := ""
	if err != nil {
		message = router.ToApiError(err).Message
	}
	return entry{
		Time:       s.at.UTC(),
		RequestID:  requestID,
		KeyID:      keyID,
		Method:     e.Request.Method,
		URL:        cut(e.Request.URL.RequestURI(), maxURLLength),
		Route:      e.Request.Pattern,
		Status:     status,
		DurationMs: milliseconds(s.latency),
		BytesIn:    s.bytesIn,
		BytesOut:   s.bytesOut,
		Error:      message,
	}
}

// tail hands the entries to whoever listens. With nobody there a request pays
// one atomic load for it.
type tail struct {
	mu        sync.Mutex                  // for changes
	listeners atomic.Pointer[[]*listener] // replaced, never changed; nil for none
}

// listener is one live stream.
type listener struct {
	filter  requestFilter
	entries chan entry
	dropped atomic.Int64  // since the listener was last told
	closed  chan struct{} // closed when the plugin stops
}

func (t *tail) hasListeners() bool { return t.listeners.Load() != nil }

// publish never waits: a listener whose buffer is full loses the entry.
func (t *tail) publish(published entry) {
	listeners := t.listeners.Load()
	if listeners == nil {
		return
	}
	for _, l := range *listeners {
		if !l.filter.matches(&published) {
			continue
		}
		select {
		case l.entries <- published:
		default:
			l.dropped.Add(1)
		}
	}
}

func (t *tail) listen(filter requestFilter) *listener {
	l := &listener{filter: filter, entries: make(chan entry, listenerBuffer), closed: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	var next []*listener
	if present := t.listeners.Load(); present != nil {
		next = slices.Clone(*present)
	}
	next = append(next, l)
	t.listeners.Store(&next)
	return l
}

func (t *tail) leave(l *listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	present := t.listeners.Load()
	if present == nil {
		return
	}
	next := slices.DeleteFunc(slices.Clone(*present), func(other *listener) bool { return other == l })
	if len(next) == 0 {
		t.listeners.Store(nil)
		return
	}
	t.listeners.Store(&next)
}

// close ends all streams.
func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	listeners := t.listeners.Swap(nil)
	if listeners == nil {
		return
	}
	for _, l := range *listeners {
		close(l.closed)
	}
}
