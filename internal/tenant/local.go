package tenant

import (
	"io"
	"net/http"
	"sync"

	"github.com/picobase/picobase/internal/httpapi"
)

// Local answers HTTP requests inside this process, without a socket, on behalf
// of whoever runs the command line: one code path, with one set of checks,
// serves the network and `picobase keys list --dir pb_data`.
type Local struct {
	Handler http.Handler
	User    string // the operating system's name of the person
}

// RoundTrip implements [http.RoundTripper].
func (l Local) RoundTrip(r *http.Request) (*http.Response, error) {
	inner := r.Clone(httpapi.WithCommandLine(r.Context(), l.User))
	inner.RequestURI = r.URL.RequestURI()
	inner.RemoteAddr = "127.0.0.1:0"
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	reader, writer := io.Pipe()
	w := &localResponse{header: http.Header{}, body: writer, started: make(chan struct{})}
	go func() {
		l.Handler.ServeHTTP(w, inner)
		w.WriteHeader(http.StatusOK) // when the handler wrote nothing
		_ = writer.Close()
	}()
	select {
	case <-w.started:
	case <-r.Context().Done():
		_ = reader.Close()
		return nil, r.Context().Err()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: reader, ContentLength: -1, Request: r,
	}, nil
}

// localResponse is the http.ResponseWriter of a local request.
type localResponse struct {
	header  http.Header
	body    *io.PipeWriter
	once    sync.Once
	started chan struct{}
	status  int
	sent    http.Header
}

func (w *localResponse) Header() http.Header { return w.header }

func (w *localResponse) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.started)
	})
}

func (w *localResponse) Write(data []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(data)
}

// Flush implements [http.Flusher]: a pipe holds nothing back.
func (w *localResponse) Flush() { w.WriteHeader(http.StatusOK) }
