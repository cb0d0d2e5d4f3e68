package access

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// The headers of draft-ietf-httpapi-ratelimit-headers, in Go's canonical case.
const (
	headerRateLimit       = "Ratelimit"
	headerRateLimitPolicy = "Ratelimit-Policy"
)

// ErrRateLimited answers a request beyond a limit.
var ErrRateLimited = apierr.New(http.StatusTooManyRequests, "rate_limited", "Too many requests.")

func (p *Plugin) rateLimit(e *core.RequestEvent) error {
	if err := p.charge(e, p.limiter, httpapi.StateOf(e).Key); err != nil {
		return err
	}
	return e.Next()
}

// ChargeRefusal charges a request that is turned away further out than the
// middleware, and returns ErrRateLimited when its address was turned away too
// often. These attempts have buckets of their own: a thousand wrong keys from
// one address take nothing from the right keys there.
func (p *Plugin) ChargeRefusal(e *core.RequestEvent) error {
	return p.charge(e, p.refusals, nil)
}

// charge charges a request to its API key and to its address. A key with a limit
// of its own is a server's, and a server sends everything from one address: it is
// charged to the key alone. Settings that turn the limits off turn off keys' own
// limits too.
func (p *Plugin) charge(e *core.RequestEvent, limiter *limiter, key *httpapi.Key) error {
	limits := &p.policy().limits
	if !limits.enabled || isProbe(e) || isCommandLine(e) {
		return nil
	}

	var result verdict
	var policy string
	switch {
	case key == nil:
		result = limiter.charge(nil, "", &limits.perIP, clientAddr(e))
		policy = limits.perIP.policy
	case key.RateLimit != nil:
		own := newLimit("key", *key.RateLimit)
		result = limiter.charge(&own, key.ID, nil, netip.Addr{})
		policy = own.policy
	default:
		result = limiter.charge(&limits.perKey, key.ID, &limits.perIP, clientAddr(e))
		policy = limits.both
	}
	header, values := e.Response.Header(), []string{policy, result.header()} // one allocation for both
	header[headerRateLimitPolicy], header[headerRateLimit] = values[:1:1], values[1:]

	if result.wait > 0 {
		p.rateLimited.WithLabelValues(result.limit.name).Inc()
		return httpapi.Error(refusal(result))
	}
	return nil
}

func refusal(v verdict) *apierr.Error {
	client := "this API key"
	if v.limit.name == "ip" {
		client = "your address"
	}
	return ErrRateLimited.
		WithMessage(fmt.Sprintf("Too many requests: %s may make %g per second, and %d at once. Try again in %s s.",
			client, v.limit.Rate, v.limit.Burst, apierr.RetryAfterSeconds(v.wait))).
		WithDetail("limit", v.limit.name).
		WithDetail("rate", v.limit.Rate).
		WithDetail("burst", v.limit.Burst).
		WithRetryAfter(v.wait)
}
