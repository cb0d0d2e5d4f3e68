// Package due tells when this tenant must be awake next and whether it may sleep
// until then, so that whoever puts it to sleep can wake it in time.
//
// It schedules nothing itself: it asks those who do.
//
//	p, err := due.Register(app, due.Config{Sources: []due.Source{due.Crons(app), webhooks.NextDue}})
//	p.Routes(router) // GET /api/v1/due
package due

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/cron"
	"github.com/pocketbase/pocketbase/tools/router"
)

// Path is where the answer is served.
const Path = httpapi.PathPrefix + "/due"

// Source tells when it next has something to do and what, or the zero time. A
// time in the past stands for now.
type Source func() (at time.Time, reason string, err error)

// Config configures the plugin.
type Config struct {
	// Sources are asked for each answer (default none).
	Sources []Source

	// Busy tells what is open and under way (default nothing). What has a count
	// of 0 is left out of the answer.
	Busy func() []Busy

	// IdleSince is when the tenant was used last (default when it started).
	IdleSince func() time.Time

	// Synced brings what was written to its replica, and reports whether all is
	// there (default that it is).
	Synced func(ctx context.Context) bool
}

// Busy is one kind of thing that a stop would break off.
type Busy struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
}

// Plugin is the registered plugin.
type Plugin struct{ cfg Config }

// Register makes the plugin.
func Register(_ core.App, cfg Config) (*Plugin, error) {
	if cfg.Busy == nil {
		cfg.Busy = func() []Busy { return nil }
	}
	if cfg.IdleSince == nil {
		started := time.Now()
		cfg.IdleSince = func() time.Time { return started }
	}
	if cfg.Synced == nil {
		cfg.Synced = func(context.Context) bool { return true }
	}
	return &Plugin{cfg}, nil
}

// Routes binds the route. It tells figures, as /metrics does, and so asks for the
// same scope: what wakes tenants need not be able to change their settings. It is
// not logged, like probes: to be asked is no use.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.GET(Path, p.get).Bind(httpapi.Require(scope.Usage), apis.SkipSuccessActivityLog())
}

type answer struct {
	Due    *string `json:"due"`
	Reason string  `json:"reason"`

	IdleSince string `json:"idleSince"`
	Busy      []Busy `json:"busy"`
	Synced    bool   `json:"synced"`
}

func (p *Plugin) get(e *core.RequestEvent) error {
	var first time.Time
	var why string
	for _, source := range p.cfg.Sources {
		at, reason, err := source()
		if err != nil {
			return httpapi.Failure(err)
		}
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first, why = at, reason
		}
	}
	a := answer{Reason: why, IdleSince: format(p.cfg.IdleSince()), Busy: []Busy{}}
	if !first.IsZero() {
		text := format(first)
		a.Due = &text
	}
	for _, busy := range p.cfg.Busy() {
		if busy.Count > 0 {
			a.Busy = append(a.Busy, busy)
		}
	}
	// Last, so that it holds for what was open before.
	a.Synced = p.cfg.Synced(e.Request.Context())
	return e.JSON(http.StatusOK, a)
}

func format(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// Crons is the source of the jobs that a project has added to the app's cron.
// PocketBase's upkeep and PicoBase's is left out: it does not need to happen in a
// tenant that nobody uses.
func Crons(app core.App) Source {
	return func() (first time.Time, reason string, err error) {
		now := time.Now().UTC() // as PocketBase's cron
		for _, job := range app.Cron().Jobs() {
			if isUpkeep(job.Id()) {
				continue
			}
			at, err := next(job.Expression(), now)
			if err != nil {
				return first, "", err
			}
			if !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first, reason = at, "cron "+job.Id()
			}
		}
		return first, reason, nil
	}
}

// isUpkeep knows PocketBase's jobs (__pbLogsCleanup__) and ours (picoDBOptimize).
func isUpkeep(id string) bool {
	if strings.HasPrefix(id, "__pb") {
		return true
	}
	rest, ours := strings.CutPrefix(id, "pico")
	return ours && strings.ContainsFunc(rest[:min(1, len(rest))], unicode.IsUpper)
}

// longest is how far ahead a time is looked for: the next 29th of February is
// eight years away at most.
const longest = 9

// next returns the first minute after now that the expression names, or the zero
// time. It skips what is not worth a look, by month, day and hour.
func next(expression string, now time.Time) (time.Time, error) {
	schedule, err := cron.NewSchedule(expression)
	if err != nil {
		return time.Time{}, err
	}
	end := now.AddDate(longest, 0, 0)
	at := now.Truncate(time.Minute).Add(time.Minute)
	for at.Before(end) {
		year, month, day := at.Date()
		switch m := cron.NewMoment(at); {
		case !in(schedule.Months, m.Month):
			at = time.Date(year, month+1, 1, 0, 0, 0, 0, at.Location())
		case !in(schedule.Days, m.Day), !in(schedule.DaysOfWeek, m.DayOfWeek):
			at = time.Date(year, month, day+1, 0, 0, 0, 0, at.Location())
		case !in(schedule.Hours, m.Hour):
			at = at.Truncate(time.Hour).Add(time.Hour)
		case !in(schedule.Minutes, m.Minute):
			at = at.Add(time.Minute)
		default:
			return at, nil
		}
	}
	return time.Time{}, nil
}

func in(set map[int]struct{}, value int) bool {
	_, ok := set[value]
	return ok
}
