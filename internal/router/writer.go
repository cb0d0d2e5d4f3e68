package router

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A client must take what it asked for, and send what it announced, at some speed.
const (
	// patience is how long nothing at all may move.
	patience = 30 * time.Second

	// A body may make us wait for bodyGrace, and a second more for every minRate bytes.
	bodyGrace = 20 * time.Second
	minRate   = 1 << 10

	// freeBytes of an answer fit into the buffers of any socket, so that writing them
	// does not wait for the client.
	freeBytes = 32 << 10
)

// writer is the client's side of an exchange: it remembers what was written, and
// ends the connection of a client that does not read.
type writer struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	status   int
	written  int64
}

func (w *writer) begin(inner http.ResponseWriter, patience time.Duration) {
	*w = writer{ResponseWriter: inner, control: http.NewResponseController(inner), patience: patience}
}

// Unwrap lets http.ResponseController find what the connection can do.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (w *writer) WriteHeader(status int) {
	if w.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *writer) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	guarded := w.written >= freeBytes && w.control.SetWriteDeadline(time.Now().Add(w.patience)) == nil
	n, err := w.ResponseWriter.Write(data)
	w.written += int64(n)
	if guarded && err == nil {
		// A stream may well pause for hours between two writes.
		_ = w.control.SetWriteDeadline(time.Time{})
	}
	return n, err
}

// slowReader reads a request's body and gives up on a client that sends too
// slowly. Only the time spent waiting for the client counts.
type slowReader struct {
	body    io.ReadCloser
	control *http.ResponseController
	grace   time.Duration
	patient time.Duration
	waited  time.Duration
	read    int64
	started atomic.Bool
	err     atomic.Pointer[error] // what ended it, but for io.EOF

	mu     sync.Mutex
	closed bool
}

func (r *Router) newSlowReader(req *http.Request, w *writer) *slowReader {
	return &slowReader{body: req.Body, control: w.control, grace: r.bodyGrace, patient: r.patience}
}

// failure returns what went wrong with the client, if anything did.
func (s *slowReader) failure() error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return nil
}

// close ends reading. The transport may still want to when the answer is there
// already; the connection's deadline is then the next request's.
func (s *slowReader) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
}

func (s *slowReader) deadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return http.ErrBodyReadAfterClose
	}
	_ = s.control.SetReadDeadline(at) // who cannot keep time waits
	return nil
}

// Read implements [io.Reader].
func (s *slowReader) Read(data []byte) (int, error) {
	s.started.Store(true)
	began := time.Now()
	left := s.grace + time.Duration(s.read/minRate)*time.Second - s.waited
	if err := s.deadline(began.Add(min(left, s.patient))); err != nil {
		return 0, err
	}
	n, err := s.body.Read(data)
	s.read += int64(n)
	s.waited += time.Since(began)
	if err != nil {
		// From here on net/http reads, to see the client go.
		if errors.Is(err, io.EOF) {
			_ = s.deadline(time.Time{})
		} else {
			s.err.Store(&err)
		}
	}
	return n, err
}

// isTimeout is for errors of reading a body.
func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}
