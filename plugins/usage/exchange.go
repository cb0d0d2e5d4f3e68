package usage

import (
	"io"
	"net/http"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// exchange measures one request and its response.
type exchange struct {
	started  time.Time
	request  requestBody
	response responseBody
	tracker  *router.ResponseWriter
}

// attach puts the counting reader and writer under PocketBase's own wrappers,
// right above net/http. There they see what really crosses the network: no
// second reading of a buffered body, bytes after compression, and also the
// error that a middleware further out will write. All that PocketBase looks
// for on its wrappers stays in place.
func (x *exchange) attach(p *Plugin, e *core.RequestEvent) {
	if body, ok := e.Request.Body.(*router.RereadableReadCloser); ok {
		x.request.ReadCloser = body.ReadCloser
		body.ReadCloser = &x.request
	}
	x.tracker = trackerOf(e)
	x.response = responseBody{
		ResponseWriter: x.tracker.ResponseWriter,
		plugin:         p,
		discarded:      e.Request.Method == http.MethodHead,
	}
	x.tracker.ResponseWriter = &x.response
}

// trackerOf finds PocketBase's response writer, which its router puts around
// every request.
func trackerOf(e *core.RequestEvent) *router.ResponseWriter {
	for w := e.Response; ; {
		switch known := w.(type) {
		case *router.ResponseWriter:
			return known
		case router.RWUnwrapper:
			w = known.Unwrap()
		default:
			tracker := &router.ResponseWriter{ResponseWriter: e.Response}
			e.Response = tracker
			return tracker
		}
	}
}

// status returns the status that the client gets to see. An error that nobody
// answered yet is answered further out.
func (x *exchange) status(err error, panicked bool) int {
	switch {
	case x.tracker.Status() != 0:
		return x.tracker.Status()
	case x.tracker.Written():
		return http.StatusOK // flushed without an explicit status
	case panicked:
		return http.StatusInternalServerError
	case err != nil:
		return router.ToApiError(err).Status
	default:
		return http.StatusOK
	}
}

// maxRead bounds one read of a request's body.
const maxRead = 64 << 10

// requestBody counts the bytes read from a request.
type requestBody struct {
	io.ReadCloser
	bytes int64
}

func (b *requestBody) Read(p []byte) (int, error) {
	// PocketBase's body limit hands on what one read brought beyond it, and a
	// JSON decoder that finds the end of its value there never looks at the
	// error. In pieces, one huge chunk cannot pass the limit.
	n, err := b.ReadCloser.Read(p[:min(len(p), maxRead)])
	b.bytes += int64(n)
	return n, err
}

// responseBody counts the bytes written to a response. Everything else that a
// response writer can do is found by unwrapping it.
type responseBody struct {
	http.ResponseWriter
	plugin    *Plugin
	bytes     int64
	discarded bool // the answer to HEAD has no body, whatever is written

	// counted is set once the request was counted under key: what is written
	// from then on, the error's body, goes to the counters at once.
	counted bool
	key     cellKey
}

func (b *responseBody) Write(p []byte) (int, error) {
	n, err := b.ResponseWriter.Write(p)
	b.add(int64(n))
	return n, err
}

// ReadFrom lets net/http send files without copying them through the process.
func (b *responseBody) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(b.ResponseWriter, r)
	b.add(n)
	return n, err
}

func (b *responseBody) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b *responseBody) add(n int64) {
	switch {
	case b.discarded || n <= 0:
	case b.counted:
		b.plugin.counters.addBytesOut(b.key, n)
		b.plugin.metrics.addBytesOut(b.key.group, n)
	default:
		b.bytes += n
	}
}
