package access

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/routes"
	"github.com/pocketbase/pocketbase/core"
)

const (
	corsMethods = "GET, HEAD, PUT, PATCH, POST, DELETE"
	corsExposed = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, " + routes.HeaderForwarded
)

// corsPolicy is a config.CORS in the form that requests need.
type corsPolicy struct {
	any         bool
	exact       map[string]bool
	wildcards   []wildcard
	credentials bool
	maxAge      string
}

// wildcard stands for the origins between its two ends, such as "https://" and
// ".example.com:8443".
type wildcard struct{ prefix, suffix string }

func compileCORS(settings config.CORS) corsPolicy {
	policy := corsPolicy{
		exact:       map[string]bool{},
		credentials: settings.Credentials,
		maxAge:      strconv.Itoa(settings.MaxAge),
	}
	for _, rule := range settings.Origins {
		rule = withoutDefaultPort(strings.ToLower(rule))
		scheme, domain, isWildcard := strings.Cut(rule, "://*.")
		switch {
		case rule == "*":
			policy.any = true
		case isWildcard:
			policy.wildcards = append(policy.wildcards, wildcard{scheme + "://", "." + domain})
		default:
			policy.exact[rule] = true
		}
	}
	// The settings refuse this pair, but origins may also come from a flag.
	policy.credentials = policy.credentials && !policy.any
	return policy
}

// withoutDefaultPort writes an origin as browsers do.
func withoutDefaultPort(origin string) string {
	switch {
	case strings.HasPrefix(origin, "https://"):
		return strings.TrimSuffix(origin, ":443")
	case strings.HasPrefix(origin, "http://"):
		return strings.TrimSuffix(origin, ":80")
	}
	return origin
}

// allowOrigin returns what to answer an origin with, or nothing.
func (c *corsPolicy) allowOrigin(origin string) string {
	switch {
	case origin == "":
		return ""
	case c.any:
		return "*"
	}
	lower := strings.ToLower(origin)
	if c.exact[lower] {
		return origin
	}
	for _, w := range c.wildcards {
		if rest, ok := strings.CutPrefix(lower, w.prefix); ok {
			if labels, ok := strings.CutSuffix(rest, w.suffix); ok && isLabels(labels) {
				return origin
			}
		}
	}
	return ""
}

// isLabels reports whether text is one or more labels of a host name, so that a
// wildcard stands for nothing else: no port, no user, no path.
func isLabels(text string) bool {
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// cors answers preflights and lets the pages of allowed origins read responses,
// errors included: the headers are set before anything further in can fail.
// As in PocketBase, every OPTIONS request counts as a preflight, and a page that
// is not allowed gets its answer without the headers, which the browser refuses.
func (p *Plugin) cors(e *core.RequestEvent) error {
	preflight := e.Request.Method == http.MethodOptions
	policy := &p.policy().cors
	header := e.Response.Header()
	header.Add("Vary", "Origin")
	if allow := policy.allowOrigin(e.Request.Header.Get("Origin")); allow != "" {
		header.Set("Access-Control-Allow-Origin", allow)
		if policy.credentials {
			header.Set("Access-Control-Allow-Credentials", "true")
		}
		if preflight {
			policy.answerPreflight(header, e.Request.Header.Get("Access-Control-Request-Headers"))
		} else {
			header.Set("Access-Control-Expose-Headers", corsExposed)
		}
	}
	if preflight {
		return e.NoContent(http.StatusNoContent)
	}
	return e.Next()
}

func (c *corsPolicy) answerPreflight(header http.Header, requested string) {
	header.Add("Vary", "Access-Control-Request-Method")
	header.Add("Vary", "Access-Control-Request-Headers")
	header.Set("Access-Control-Allow-Methods", corsMethods)
	if requested != "" {
		header.Set("Access-Control-Allow-Headers", requested)
	}
	header.Set("Access-Control-Max-Age", c.maxAge)
}
