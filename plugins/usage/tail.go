package usage

import (
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// maxURLLength bounds the URL of an entry, as in PocketBase's own log.
const maxURLLength = 3000

// entry is one request as the live log shows it.
type entry struct {
	Time       time.Time `json:"time"` // of its end
	RequestID  string    `json:"requestId"`
	KeyID      string    `json:"keyId"`
	Method     string    `json:"method"`
	URL        string    `json:"url"`
	Route      string    `json:"route"`
	Status     int       `json:"status"`
	DurationMs float64   `json:"durationMs"`
	BytesIn    int64     `json:"bytesIn"`

	// BytesOut does not include the body of an error that a middleware
	// further out is about to write; the figures do.
	BytesOut int64  `json:"bytesOut"`
	Error    string `json:"error,omitempty"`
}

// newEntry describes a request. The tokens in its URL must be hidden by now.
func newEntry(e *core.RequestEvent, requestID, keyID string, status int, s sample, err error) entry {
	message := ""
	if err != nil {
		message = router.ToApiError(err).Message
	}
	return entry{
		Time:       s.at.UTC(),
		RequestID:  requestID,
		KeyID:      keyID,
		Method:     e.Request.Method,
		URL:        cut(e.Request.URL.RequestURI(), maxURLLength),
		Route:      e.Request.Pattern,
		Status:     status,
		DurationMs: milliseconds(s.latency),
		BytesIn:    s.bytesIn,
		BytesOut:   s.bytesOut,
		Error:      message,
	}
}
