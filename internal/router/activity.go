package router

import (
	"context"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/routes"
	"github.com/picobase/picobase/internal/worker"
)

// activity is which projects were used since the last report.
type activity struct {
	mu   sync.Mutex
	used []*traffic
}

func (a *activity) note(t *traffic) {
	// Mostly it is noted already, and then nothing is shared.
	if t.noted.Load() || !t.noted.CompareAndSwap(false, true) {
		return
	}
	a.mu.Lock()
	a.used = append(a.used, t)
	a.mu.Unlock()
}

// begin counts a request or stream of the project.
func (r *Router) begin(t *traffic, now time.Time) {
	t.open.Add(1)
	t.last.Store(now.UnixNano())
	r.activity.note(t)
}

func (r *Router) finish(t *traffic, now time.Time) {
	t.open.Add(-1)
	t.last.Store(now.UnixNano())
	r.activity.note(t)
}

// report tells who was used, if anybody was.
func (r *Router) report(ctx context.Context) error {
	r.activity.mu.Lock()
	used := r.activity.used
	r.activity.used = nil
	r.activity.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	now := time.Now()
	message := routes.Activity{Projects: make(map[string]routes.Use, len(used))}
	for _, t := range used {
		t.noted.Store(false)
		use := routes.Use{Last: time.Unix(0, t.last.Load()).UTC(), Open: int(t.open.Load())}
		if use.Open > 0 {
			use.Last = now.UTC()
			r.activity.note(t)
		}
		message.Projects[t.project] = use
	}
	err := r.cfg.Reporter.Report(ctx, message)
	if err != nil {
		for _, t := range used {
			r.activity.note(t)
		}
	}
	return err
}

// reporter calls report as often as it may.
func (r *Router) reporter() *worker.Worker {
	return worker.New(routes.ActivityInterval, r.report, func(err error) {
		r.logger.Warn("the platform was not told who was used; it will be", "error", err)
	})
}
