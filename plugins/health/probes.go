package health

import (
	"errors"
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// Errors of the probes and of every request while the tenant drains.
var (
	ErrDraining = apierr.New(http.StatusServiceUnavailable, "draining",
		"The server is shutting down; try again in a moment.").WithRetryAfter(time.Second)
	ErrNotReady = apierr.New(http.StatusServiceUnavailable, "not_ready",
		"The server is not ready yet; try again in a moment.").WithRetryAfter(time.Second)
)

type probeStatus struct {
	Status string `json:"status"`
}

// live says that the process answers. It does no I/O, so that a slow disk never
// makes a supervisor kill a process that would recover.
func (p *Plugin) live(e *core.RequestEvent) error {
	return answer(e, http.StatusOK, probeStatus{"ok"})
}

// ready says whether requests should be sent here.
func (p *Plugin) ready(e *core.RequestEvent) error {
	if p.draining.Load() {
		return httpapi.Error(ErrDraining)
	}
	if p.started.Load() == nil {
		return httpapi.Error(ErrNotReady)
	}
	for _, condition := range p.cfg.Ready {
		if err := condition(); err != nil {
			return httpapi.Error(notReady(err))
		}
	}
	return answer(e, http.StatusOK, probeStatus{"ready"})
}

// notReady hides err, unless it was written for clients.
func notReady(err error) *apierr.Error {
	var public *apierr.Error
	if errors.As(err, &public) {
		return ErrNotReady.WithMessage(public.Message).WithCause(err)
	}
	return ErrNotReady.WithCause(err)
}

// report is the answer of the health route.
type report struct {
	Status     Status            `json:"status"`
	Version    string            `json:"version"`
	PocketBase string            `json:"pocketbase"`
	Uptime     int64             `json:"uptime"` // seconds
	Checks     map[string]Result `json:"checks"`
}

// health answers 503 when something fails; a degraded tenant still serves.
func (p *Plugin) health(e *core.RequestEvent) error {
	results := p.checks.results()
	r := report{
		Status:     worst(results),
		Version:    p.cfg.Version,
		PocketBase: pocketbaseVersion(),
		Uptime:     int64(p.uptime().Seconds()),
		Checks:     results,
	}
	status := http.StatusOK
	if r.Status == Failing {
		status = http.StatusServiceUnavailable
		e.Response.Header().Set("Retry-After", apierr.RetryAfterSeconds(checkInterval))
	}
	return answer(e, status, r)
}

func answer(e *core.RequestEvent, status int, body any) error {
	e.Response.Header().Set("Cache-Control", "no-store")
	return e.JSON(status, body)
}
