package usage

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// maxItems bounds the answer to one question.
const maxItems = 10_000

var errTooManyItems = apierr.New(http.StatusBadRequest, "usage_too_large",
	"The answer has more than 10000 items. Ask for a shorter time, a longer interval or fewer groups.")

// report is the answer of GET /api/v1/usage.
type report struct {
	From     time.Time `json:"from"` // included
	To       time.Time `json:"to"`   // excluded
	Interval string    `json:"interval"`
	Items    []item    `json:"items"`
	Total    figures   `json:"total"`
}

// item holds the figures of one interval and group. Items without a request
// are left out.
type item struct {
	Time   time.Time `json:"time"` // the start of the interval
	Key    string    `json:"key,omitempty"`
	Route  string    `json:"route,omitempty"`
	Status string    `json:"status,omitempty"`
	figures
}

type figures struct {
	Requests int64   `json:"requests"`
	Errors   int64   `json:"errors"` // answered with 4xx or 5xx
	BytesIn  int64   `json:"bytesIn"`
	BytesOut int64   `json:"bytesOut"`
	Latency  latency `json:"latency"`
}

// latency holds quantiles in milliseconds.
type latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

func (p *Plugin) getUsage(e *core.RequestEvent) error {
	question, err := parseQuestion(e.Request.URL.RawQuery, p.cfg.Now())
	if err != nil {
		return httpapi.Failure(err)
	}
	// So that the answer includes the last seconds.
	if err := p.flush(); err != nil {
		return e.InternalServerError("The usage figures cannot be written at present.", err)
	}
	answer, err := question.answer(p.app)
	if errors.Is(err, errTooManyItems) {
		return httpapi.Error(errTooManyItems)
	}
	if err != nil {
		return e.InternalServerError("The usage figures cannot be read at present.", err)
	}
	return e.JSON(http.StatusOK, answer)
}

// question is what GET /api/v1/usage is asked.
type question struct {
	from, to time.Time // whole hours
	interval string
	key      string // an id, noKey, or empty for all
	route    string // a group, or empty for all
	groupBy  []string
}

func parseQuestion(raw string, now time.Time) (question, error) {
	q, err := httpapi.ParseQuery(raw, "from", "to", "interval", "key", "route", "groupBy")
	if err != nil {
		return question{}, err
	}
	asked := question{interval: q.Get("interval"), key: q.Get("key"), route: q.Get("route")}
	if asked.interval == "" {
		asked.interval = "hour"
	}
	if !slices.Contains([]string{"hour", "day", "total"}, asked.interval) {
		return question{}, apierr.Invalid("interval", "must be hour, day or total.")
	}
	if _, known := groupNamed(asked.route); asked.route != "" && !known {
		return question{}, apierr.Invalid("route", "must be one of "+strings.Join(groupNames[:], ", ")+".")
	}
	if asked.groupBy, err = q.List("groupBy", "key", "route", "status"); err != nil {
		return question{}, err
	}
	if asked.from, asked.to, err = parsePeriod(q, now); err != nil {
		return question{}, err
	}
	return asked, nil
}

// parsePeriod widens the period to whole hours, the grain of the figures. It
// ends now by default, and begins 24 hours before its end.
func parsePeriod(q httpapi.Query, now time.Time) (from, to time.Time, err error) {
	if from, err = q.Time("from"); err != nil {
		return from, to, err
	}
	if to, err = q.Time("to"); err != nil {
		return from, to, err
	}
	if to.IsZero() {
		to = now.UTC()
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	if !from.Before(to) {
		return from, to, apierr.Invalid("from", "must be before to.")
	}
	from = from.Truncate(time.Hour)
	if whole := to.Truncate(time.Hour); whole.Before(to) {
		to = whole.Add(time.Hour)
	}
	return from, to, nil
}
