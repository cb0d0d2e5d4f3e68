package railway

import (
	"net/http"
	"strconv"
	"time"
)

// Bounds of what a rate limit may ask for. Railway's longest window is an hour.
const (
	defaultWait  = time.Minute
	shortestWait = time.Second
	longestWait  = time.Hour
)

// retryAfter reads how long to wait from the headers of a 429: Retry-After, which
// Railway always sends, or else X-RateLimit-Reset. It does not document their
// format, so seconds, a time of day and a Unix time are all understood.
func retryAfter(header http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset"} {
		if wait, ok := parseWait(header.Get(name), now); ok {
			return min(max(wait, shortestWait), longestWait)
		}
	}
	return defaultWait
}

func parseWait(text string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 {
		switch {
		case n > 1e11: // milliseconds since 1970
			return time.UnixMilli(int64(n)).Sub(now), true
		case n > 1e8: // seconds since 1970
			return time.Unix(int64(n), 0).Sub(now), true
		}
		return time.Duration(n * float64(time.Second)), true
	}
	for _, layout := range []string{http.TimeFormat, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Sub(now), true
		}
	}
	return 0, false
}
