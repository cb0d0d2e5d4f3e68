package tenant

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/routes"
	"github.com/picobase/picobase/plugins/backups"
)

// errRestoring answers requests while the project comes back from its replica.
var errRestoring = apierr.New(http.StatusServiceUnavailable, "restoring",
	"The project is being restored; try again in a moment.").WithRetryAfter(time.Second)

// Prepare makes the data folder ready to be served: it keeps other servers off
// it, finishes a restore that waits, and restores a folder that is empty from its
// replica. It comes before Bootstrap, for a server only. While it restores,
// probes are answered at the address to serve.
func (t *Tenant) Prepare(ctx context.Context, cfg ServeConfig) error {
	if err := os.MkdirAll(t.cfg.DataDir, 0o700); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(t.cfg.DataDir, "data.db"))
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, t.backups.Prepare(ctx, nil))
	}
	var progress restoreProgress
	stop, err := progress.serve(ctx, t, cfg.HTTP)
	if err != nil {
		return err
	}
	err = t.backups.Prepare(ctx, func(p backups.Progress) {
		progress.done.Store(p.Done)
		progress.total.Store(p.Total)
		if cfg.Restoring != nil {
			cfg.Restoring(p.Done, p.Total)
		}
	})
	return errors.Join(err, stop())
}

// probeGrace is how long the end of a restore waits for its probes.
const probeGrace = 100 * time.Millisecond

// restoreProgress is what probes are told during a restore, in bytes.
type restoreProgress struct{ done, total atomic.Int64 }

// serve answers at addr, if there is one, until stop is called.
func (p *restoreProgress) serve(ctx context.Context, t *Tenant, addr string) (stop func() error, err error) {
	if addr == "" {
		return func() error { return nil }, nil
	}
	listener, err := t.listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close, and only so
	return func() error {
		// Whoever has asked gets an answer, in the place of a broken connection.
		ctx, cancel := context.WithTimeout(context.Background(), probeGrace)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			return server.Close()
		}
		return nil
	}, nil
}

// ServeHTTP implements [http.Handler].
func (p *restoreProgress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Path == httpapi.PathPrefix+"/live" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}`)) // the client may be gone
		return
	}
	// No handler has seen it: whoever asked may do so again.
	w.Header().Set(routes.HeaderForwarded, "false")
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After, "+httpapi.HeaderRequestID+", "+routes.HeaderForwarded)
	progress := errRestoring.WithDetail("doneBytes", p.done.Load()).WithDetail("totalBytes", p.total.Load())
	_ = apierr.Write(w, r, progress) // as above
}
