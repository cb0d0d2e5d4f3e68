package httpapi

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/pocketbase/pocketbase/core"
)

const (
	// tailBuffer is how many entries a slow listener may lag behind.
	tailBuffer = 256

	defaultHeartbeat = 25 * time.Second

	// maxListeners is how many streams a tail has at once: every entry is offered to
	// each, on the way of the request that it is about.
	maxListeners = 100
)

var errTooManyStreams = apierr.New(http.StatusTooManyRequests, "too_many_streams",
	"There are 100 live streams of this log already; end one of them.").WithRetryAfter(defaultHeartbeat)

// Tail hands entries to whoever listens live, as server-sent events. With nobody
// there an entry costs one atomic load. The zero Tail is ready to use.
type Tail[T any] struct {
	// Heartbeat is how often a quiet stream says that it is alive (default 25 s).
	Heartbeat time.Duration

	// StillAllowed reports whether the caller of a stream may go on listening; it
	// is asked before everything that is sent. Nil for always.
	StillAllowed func(e *core.RequestEvent) bool

	mu        sync.Mutex                     // for changes
	listeners atomic.Pointer[[]*listener[T]] // replaced, never changed; nil for none
}

// listener is one live stream.
type listener[T any] struct {
	matches func(*T) bool
	entries chan T
	dropped atomic.Int64  // since the listener was last told
	closed  chan struct{} // closed when the tail is
}

// HasListeners reports whether anybody listens.
func (t *Tail[T]) HasListeners() bool { return t.listeners.Load() != nil }

// Publish never waits: a listener whose buffer is full loses the entry.
func (t *Tail[T]) Publish(entry T) {
	listeners := t.listeners.Load()
	if listeners == nil {
		return
	}
	for _, l := range *listeners {
		if !l.matches(&entry) {
			continue
		}
		select {
		case l.entries <- entry:
		default:
			l.dropped.Add(1)
		}
	}
}

// Serve answers a request with the entries that match, from now on: "log" with an
// entry, and "dropped" with the number of entries lost when the client is too
// slow. More than 100 at once are refused. It returns when the client is gone, may listen no longer, or Close is called.
func (t *Tail[T]) Serve(e *core.RequestEvent, matches func(*T) bool) error {
	l := t.listen(matches)
	if l == nil {
		return Error(errTooManyStreams)
	}
	defer t.leave(l)
	stream := NewEventStream(e.Response)
	if stream.Comment("listening") != nil {
		return nil // the client is gone: nothing to answer and nobody to tell
	}
	interval := t.Heartbeat
	if interval == 0 {
		interval = defaultHeartbeat
	}
	heartbeat := time.NewTicker(interval)
	defer heartbeat.Stop()
	var err error
	for err == nil {
		select {
		case <-e.Request.Context().Done():
			return nil
		case <-l.closed:
			return nil
		case <-heartbeat.C:
			if !t.allowed(e) {
				return nil
			}
			err = stream.Comment("heartbeat")
		case next := <-l.entries:
			if !t.allowed(e) {
				return nil
			}
			if lost := l.dropped.Swap(0); lost > 0 {
				err = stream.Event("dropped", map[string]int64{"count": lost})
			}
			if err == nil {
				err = stream.Event("log", next)
			}
		}
	}
	return nil
}

func (t *Tail[T]) allowed(e *core.RequestEvent) bool {
	return t.StillAllowed == nil || t.StillAllowed(e)
}

// Close ends all streams. Later ones are served again.
func (t *Tail[T]) Close() {
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

// listen returns nil when there are too many listeners already.
func (t *Tail[T]) listen(matches func(*T) bool) *listener[T] {
	l := &listener[T]{matches: matches, entries: make(chan T, tailBuffer), closed: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	var next []*listener[T]
	if present := t.listeners.Load(); present != nil {
		next = slices.Clone(*present)
	}
	if len(next) >= maxListeners {
		return nil
	}
	next = append(next, l)
	t.listeners.Store(&next)
	return l
}

func (t *Tail[T]) leave(l *listener[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	present := t.listeners.Load()
	if present == nil {
		return
	}
	next := slices.DeleteFunc(slices.Clone(*present), func(other *listener[T]) bool { return other == l })
	if len(next) == 0 {
		t.listeners.Store(nil)
		return
	}
	t.listeners.Store(&next)
}
