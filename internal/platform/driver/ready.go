package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ReadyPath answers 200 once the tenant serves.
const ReadyPath = "/api/v1/ready"

// ErrCrashed answers while waiting for a tenant that has ended instead.
var ErrCrashed = errors.New("the tenant crashed")

// CrashError is ErrCrashed with what is known of the crash.
type CrashError struct{ Status Status }

func (e *CrashError) Error() string {
	if e.Status.Message == "" {
		return fmt.Sprintf("%v (exit code %d)", ErrCrashed, e.Status.ExitCode)
	}
	return fmt.Sprintf("%v: %s", ErrCrashed, e.Status.Message)
}

// Unwrap makes errors.Is(err, ErrCrashed) hold.
func (e *CrashError) Unwrap() error { return ErrCrashed }

// Waiting times between two looks: a local process is ready within milliseconds,
// an engine far away wants to be left alone.
const (
	firstPause = 3 * time.Millisecond
	longPause  = 250 * time.Millisecond

	// readyTimeout bounds one request: a tenant that does not answer at all must not
	// hide from us that it has crashed.
	readyTimeout = 2 * time.Second
)

// WaitReady waits until the started tenant answers requests, and returns its
// status. It gives up at once with a *CrashError if the tenant has crashed, and
// with ErrNotFound; other failures of the engine and a tenant that is stopped in
// between are waited out until ctx ends.
func WaitReady(ctx context.Context, d Driver, id string) (Status, error) {
	var probe probe
	defer probe.close()
	for pause := firstPause; ; pause = min(pause*3/2, longPause) {
		status, err := d.Status(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			return status, err
		case err == nil && status.State == Crashed:
			return status, &CrashError{Status: status}
		case err == nil && status.URL == "":
			err = fmt.Errorf("it is %s", status.State)
		case err == nil:
			if err = probe.ready(ctx, status.URL); err == nil {
				return status, nil
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return status, fmt.Errorf("tenant %s is not ready: %w (%w)", id, ctx.Err(), err)
		case <-timer.C:
		}
	}
}

// probe asks one tenant, with a client as long as its address stays.
type probe struct {
	client  *http.Client
	address string
	base    string
}

func (p *probe) ready(ctx context.Context, address string) error {
	if p.client == nil || p.address != address {
		p.close()
		client, base, err := Client(address)
		if err != nil {
			return err
		}
		p.client, p.address, p.base = client, address, base
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+ReadyPath, nil)
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection can be used again
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", ReadyPath, response.Status)
	}
	return nil
}

func (p *probe) close() {
	if p.client != nil {
		p.client.CloseIdleConnections()
	}
}
