package router

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

const (
	dialTimeout = 5 * time.Second

	// idleConns is how many connections to one project are kept, idleTimeout how
	// long. Probes of TCP begin after that: an idle router sends nothing, which would
	// keep a project awake on engines that put idle services to sleep.
	idleConns   = 256
	idleTimeout = 45 * time.Second
	probeAfter  = time.Minute

	maxAnswerHeader = 1 << 20

	firstPause = 25 * time.Millisecond
	maxPause   = time.Second
)

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: 15 * time.Second, Count: 4}}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, _ := strings.Cut(address, ":")
			if encoded, ok := strings.CutSuffix(host, unixSuffix); ok {
				path, err := hex.DecodeString(encoded)
				if err != nil {
					return nil, err
				}
				return dialer.DialContext(ctx, "unix", string(path))
			}
			return dialer.DialContext(ctx, network, address)
		},
		DisableCompression:     true, // bodies pass as they are
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleTimeout,
		TLSHandshakeTimeout:    dialTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
		ExpectContinueTimeout:  time.Second,
		ReadBufferSize:         16 << 10, // a page of records in one read
		WriteBufferSize:        4 << 10,
	}
}

// to addresses the request to the place.
func to(out *http.Request, at *place) *http.Request {
	out.URL.Scheme, out.URL.Host = at.scheme, at.target
	return out
}

// roundTrip sends the request to where its project is. While that cannot be
// reached it waits, and has it woken; it sends again only what no handler has seen.
func (x *exchange) roundTrip(out *http.Request) (*http.Response, error) {
	ctx := out.Context()
	deadline := x.began.Add(x.router.cfg.WakeTimeout)
	pause := firstPause
	for {
		at := x.project.place.Load()
		switch at.state {
		case routes.Running:
		case routes.Asleep:
			x.held = true
			if err := x.awaken(ctx, deadline, at); err != nil {
				return nil, err
			}
			// A call that says that it runs may be a moment ahead of the place.
			if x.project.place.Load() == at && !x.pause(ctx, &pause, deadline) {
				return nil, errWaking
			}
			continue
		default:
			return nil, at.refusal()
		}
		if err := x.takeSlot(ctx, deadline); err != nil {
			return nil, err
		}
		res, err := x.attempt(ctx, out, at)
		if err == nil || !x.mayRepeat(err) {
			return res, err
		}
		x.giveSlot()
		x.held = true
		if err := x.again(ctx, at, deadline, &pause, err); err != nil {
			return nil, err
		}
		x.body.attach(out)
	}
}

func (x *exchange) takeSlot(ctx context.Context, deadline time.Time) error {
	if x.slot {
		return nil
	}
	wait := busyWait
	if x.held {
		wait = max(time.Until(deadline), busyWait)
	}
	if err := x.router.take(ctx, x.traffic, wait); err != nil {
		return err
	}
	x.slot = true
	return nil
}

// attempt sends the request once. A refusal of a project that drains is
// errDraining if the request can be sent again.
func (x *exchange) attempt(ctx context.Context, out *http.Request, at *place) (*http.Response, error) {
	if x.mustAsk(at) {
		if err := x.ask(ctx, out, at); err != nil {
			return nil, err
		}
	}
	res, err := x.router.transport.RoundTrip(to(out, at))
	if err != nil {
		return nil, err
	}
	if notForwarded(res) && x.body.replayable() && x.router.cfg.Waker != nil {
		_ = res.Body.Close()
		return nil, errDraining
	}
	return res, nil
}

func notForwarded(res *http.Response) bool {
	return res.StatusCode == http.StatusServiceUnavailable && res.Header.Get(routes.HeaderForwarded) == "false"
}

// mayRepeat reports whether no handler has seen the request.
func (x *exchange) mayRepeat(err error) bool {
	if errors.Is(err, errDraining) {
		return true
	}
	return isDialError(err) && x.body.replayable()
}

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func isUnknownName(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// again returns when the request may be sent once more, or the error to give up with.
func (x *exchange) again(ctx context.Context, stale *place, deadline time.Time, pause *time.Duration, cause error) error {
	r := x.router
	if x.project.place.Load() != stale {
		return nil
	}
	if r.cfg.Waker == nil {
		if isUnknownName(cause) {
			return errNotFound.WithCause(cause)
		}
		if err := r.hold(x.traffic); err != nil {
			return err
		}
		defer r.unhold(x.traffic)
	} else if err := x.awaken(ctx, deadline, stale); err != nil {
		return err
	}
	if x.project.place.Load() != stale {
		return nil
	}
	if !x.pause(ctx, pause, deadline) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.logger.Warn("a project cannot be reached", "project", x.project.id, "requestId", x.id, "error", cause)
		return errUnreachable
	}
	return nil
}

// pause waits a little longer each time. It returns false if there is no time left.
func (x *exchange) pause(ctx context.Context, pause *time.Duration, deadline time.Time) bool {
	if time.Now().Add(*pause).After(deadline) {
		return false
	}
	timer := time.NewTimer(*pause)
	defer timer.Stop()
	*pause = min(*pause*2, maxPause)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
