package webhooks

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/pocketbase/dbx"
)

// schedule is how long after one attempt the next one comes, as in the Standard
// Webhooks specification. The first comes at once.
var schedule = []time.Duration{
	0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// jitterShare is by how much of itself a wait is lengthened at most, so that what
// failed together does not come back together.
const jitterShare = 0.1

// maxRetryAfter bounds what a receiver can ask for.
const maxRetryAfter = 24 * time.Hour

// outcome is what follows from an attempt, beside the changed row.
type outcome struct {
	name    string    // delivered, retried or failed
	disable string    // the reason to disable the endpoint, if it is to be
	hold    time.Time // no attempt at the endpoint before, if set
}

// settle changes the row by how its attempt ended.
func (p *Plugin) settle(ep *endpoint, row *delivery, r result) outcome {
	now := p.cfg.Now()
	row.addTry(try{At: r.at.UTC(), URL: ep.url, Status: r.status, MS: r.took.Milliseconds(), Error: r.problem()})
	row.Response = r.body
	row.Attempts++
	if r.ok() {
		row.Status, row.Finished = statusDelivered, now.UnixMilli()
		return outcome{name: "delivered"}
	}
	if r.status == http.StatusGone {
		row.Status, row.Finished = statusFailed, now.UnixMilli()
		return outcome{name: "failed", disable: reasonGone}
	}
	if row.Attempts >= len(schedule) {
		row.Status, row.Finished = statusFailed, now.UnixMilli()
		o := outcome{name: "failed"}
		if !p.hasArrived(row.Endpoint, row.Created) {
			o.disable = reasonFailing
		}
		p.app.Logger().Error("webhook given up", "webhook", ep.id, "delivery", row.ID, "type", row.Type, "attempts", row.Attempts, "cause", r.problem())
		return o
	}
	wait := schedule[row.Attempts]
	wait += time.Duration(float64(wait) * jitterShare * p.cfg.Jitter())
	o := outcome{name: "retried"}
	if r.retryAfter > 0 {
		wait = max(wait, r.retryAfter)
		o.hold = now.Add(r.retryAfter) // it is the endpoint that is busy, whatever the event
	}
	row.Due = now.Add(wait).UnixMilli()
	return o
}

// hasArrived reports whether anything arrived at the endpoint since: then it is
// one event that it cannot take, and no reason to withhold the others.
func (p *Plugin) hasArrived(endpointID string, since int64) bool {
	var found bool
	err := p.app.ConcurrentDB().NewQuery("SELECT EXISTS (SELECT 1 FROM " + table +
		" WHERE endpoint = {:endpoint} AND status = 'delivered' AND finished >= {:since} AND subject <> {:test})").
		Bind(dbx.Params{"endpoint": endpointID, "since": since, "test": testSubject}).Row(&found)
	return err == nil && found
}

// parseRetryAfter reads the header Retry-After: seconds or a date.
func parseRetryAfter(text string, now time.Time) time.Duration {
	var wait time.Duration
	// Of a number too large for it, ParseInt returns the largest one there is.
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(min(seconds, int64(maxRetryAfter/time.Second))) * time.Second
	} else if date, err := http.ParseTime(text); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
