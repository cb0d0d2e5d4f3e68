package railway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/time/rate"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

const (
	// attempts of a request that can be repeated.
	attempts = 4

	firstBackoff = 250 * time.Millisecond

	// later is when a caller may try again after Railway was not there.
	later = 10 * time.Second

	// longestQueue bounds the wait for the driver's own rate limit.
	longestQueue = 30 * time.Second
)

// once are the mutations that do more when they are sent again. When their answer
// is lost, the verb ends with ErrBusy and looks at its next call what has happened.
var once = map[string]bool{"createService": true, "createVolume": true, "deploy": true}

// client is a graphql.Client that keeps to Railway's rate limits and sends again
// what failed on the way.
type client struct {
	config  Config
	inner   graphql.Client
	limiter *rate.Limiter

	mu     sync.Mutex
	closed time.Time // until then Railway takes no requests
}

func newClient(config Config) *client {
	c := &client{
		config:  config,
		limiter: rate.NewLimiter(rate.Limit(config.RequestsPerSecond), max(1, int(config.RequestsPerSecond))),
	}
	c.inner = graphql.NewClient(config.Endpoint, &doer{c: c, token: config.Token})
	return c
}

// MakeRequest implements graphql.Client.
func (c *client) MakeRequest(ctx context.Context, request *graphql.Request, response *graphql.Response) error {
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		if err := c.admit(ctx); err != nil {
			return fmt.Errorf("railway: %s: %w", request.OpName, err)
		}
		response.Errors, response.Extensions = nil, nil
		err := c.try(ctx, request, response)
		switch temporary := (*temporaryError)(nil); {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("railway: %s: %w", request.OpName, ctx.Err())
		case !errors.As(err, &temporary):
			return fmt.Errorf("railway: %s: %w", request.OpName, err)
		case attempt == attempts || once[request.OpName]:
			return &driver.RetryError{After: later, Err: fmt.Errorf("railway: %s: %w", request.OpName, err)}
		}
		if err := sleep(ctx, backoff/2+rand.N(backoff)); err != nil {
			return fmt.Errorf("railway: %s: %w", request.OpName, err)
		}
		backoff *= 2
	}
}

func (c *client) try(ctx context.Context, request *graphql.Request, response *graphql.Response) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	return translate(c.inner.MakeRequest(ctx, request, response))
}

// admit waits for the driver's own rate limit, and refuses at once while Railway's
// is used up: asking then would only make it longer.
func (c *client) admit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	wait := time.Until(c.closed)
	c.mu.Unlock()
	if wait > 0 {
		return &driver.RetryError{After: wait, Err: errRateLimit}
	}
	reservation := c.limiter.Reserve()
	if delay := reservation.Delay(); delay > longestQueue {
		reservation.Cancel()
		return &driver.RetryError{After: delay, Err: errRateLimit}
	} else if err := sleep(ctx, delay); err != nil {
		reservation.Cancel()
		return err
	}
	return nil
}

// close refuses requests for a while.
func (c *client) close(wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := time.Now().Add(wait); until.After(c.closed) {
		c.closed = until
	}
}

// doer adds the token, and makes errors of the statuses that say nothing of the
// query itself.
type doer struct {
	c     *client
	token secret.String
}

func (d *doer) Do(request *http.Request) (*http.Response, error) {
	request.Header.Set("Authorization", "Bearer "+d.token.Reveal())
	request.Header.Set("User-Agent", "picobase")
	response, err := d.c.config.HTTP.Do(request)
	if err != nil {
		return nil, &temporaryError{err}
	}
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests:
		discard(response)
		wait := retryAfter(response.Header, time.Now())
		d.c.close(wait)
		return nil, &driver.RetryError{After: wait, Err: errRateLimit}
	case status >= http.StatusInternalServerError:
		discard(response)
		return nil, &temporaryError{fmt.Errorf("railway answers %s", response.Status)}
	}
	return response, nil
}

func discard(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection can be used again
	_ = response.Body.Close()
}

// Conditions that the driver itself branches on.
var (
	errRateLimit    = errors.New("its rate limit is used up")
	errUnauthorized = errors.New("not authorized: PICOBASE_RAILWAY_TOKEN must be an account or workspace token that may change " +
		"the project in PICOBASE_RAILWAY_PROJECT_ID; make one at https://railway.com/account/tokens")

	// errMissing is Railway's "not found", of whatever was asked for.
	errMissing = errors.New("not found")
)

// temporaryError is a failure on the way: nobody knows whether Railway has acted.
type temporaryError struct{ err error }

func (e *temporaryError) Error() string { return e.err.Error() }
func (e *temporaryError) Unwrap() error { return e.err }

// translate makes of an error of genqlient one that the driver understands.
func translate(err error) error {
	var (
		list   gqlerror.List
		status *graphql.HTTPError
		busy   *driver.RetryError
	)
	switch {
	case err == nil, errors.As(err, &busy):
		return err
	case errors.As(err, &status):
		if status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden {
			return errUnauthorized
		}
		if list = status.Response.Errors; len(list) == 0 {
			return fmt.Errorf("railway answers %d", status.StatusCode)
		}
	case !errors.As(err, &list):
		return &temporaryError{err} // not from Railway's API: the network, a page of HTML
	}
	// Railway has no codes worth the name: its messages are all there is.
	text := messages(list)
	switch lower := strings.ToLower(text); {
	case contains(lower, "ratelimit", "rate limit", "too many requests"):
		return &driver.RetryError{After: time.Minute, Err: errRateLimit}
	case contains(lower, "not authorized", "unauthorized", "invalid token"):
		return errUnauthorized
	case contains(lower, "not found", "does not exist"):
		return fmt.Errorf("%w (%s)", errMissing, text)
	}
	return errors.New(text)
}

func contains(text string, any ...string) bool {
	for _, part := range any {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

func messages(list gqlerror.List) string {
	texts := make([]string, 0, len(list))
	for _, e := range list {
		texts = append(texts, e.Message)
	}
	return strings.Join(texts, "; ")
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
