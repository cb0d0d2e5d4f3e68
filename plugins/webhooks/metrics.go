package webhooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the plugin counts, and what it finds when it is asked.
type metrics struct {
	p          *Plugin
	deliveries *prometheus.CounterVec
	questions  *prometheus.CounterVec
}

var (
	descQueue = prometheus.NewDesc("picobase_webhook_queue_length",
		"Deliveries to enabled webhooks that wait for their first attempt or a retry.", nil, nil)
	descOldest = prometheus.NewDesc("picobase_webhook_oldest_pending_seconds",
		"Age of the oldest of them; 0 when there is none.", nil, nil)
	descDisabled = prometheus.NewDesc("picobase_webhooks_disabled",
		"Webhooks that were disabled because they failed or are gone.", nil, nil)
)

// newMetrics registers the metrics, unless registerer is nil.
func newMetrics(registerer prometheus.Registerer, p *Plugin) (*metrics, error) {
	m := &metrics{
		p: p,
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picobase_webhook_deliveries_total",
			Help: "Attempts to deliver by outcome: delivered, retried (to be tried again) or failed (given up).",
		}, []string{"outcome"}),
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picobase_webhook_questions_total",
			Help: "Questions to blocking webhooks by outcome: allowed, denied or failed.",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{"delivered", "retried", "failed"} {
		m.deliveries.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"allowed", "denied", "failed"} {
		m.questions.WithLabelValues(outcome)
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.deliveries, m.questions, m} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{descQueue, descOldest, descDisabled} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	q, err := m.p.queue(context.Background())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descQueue, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(descQueue, prometheus.GaugeValue, float64(q.pending))
	ch <- prometheus.MustNewConstMetric(descOldest, prometheus.GaugeValue, q.oldest.Seconds())
	ch <- prometheus.MustNewConstMetric(descDisabled, prometheus.GaugeValue, float64(q.disabled))
}

// queueState is what waits.
type queueState struct {
	pending  int
	oldest   time.Duration
	disabled int // because they failed
}

func (p *Plugin) queue(ctx context.Context) (q queueState, err error) {
	var enabled []any
	for id, ep := range p.endpoints.Load().byID {
		switch {
		case ep.disabled.IsZero():
			enabled = append(enabled, id)
		case ep.disabledReason != reasonManual && ep.disabledReason != reasonBranch:
			q.disabled++
		}
	}
	if len(enabled) == 0 {
		return q, nil
	}
	// Ids sort by time, and are in an index.
	var oldest string
	err = p.app.ConcurrentDB().Select("COUNT(*)", "COALESCE(MIN(id), '')").From(table).
		Where(dbx.NewExp("status = 'pending'")).AndWhere(dbx.In("endpoint", enabled...)).
		WithContext(ctx).Row(&q.pending, &oldest)
	if err != nil || q.pending == 0 {
		return q, err
	}
	var created int64
	err = p.app.ConcurrentDB().Select("created").From(table).Where(dbx.HashExp{"id": oldest}).WithContext(ctx).Row(&created)
	if errors.Is(err, sql.ErrNoRows) { // pruned just now
		return q, nil
	}
	q.oldest = max(0, p.cfg.Now().Sub(time.UnixMilli(created)))
	return q, err
}

// Finding is what a look at the plugin found, for a health check. Only Err may
// hold secrets.
type Finding struct {
	Degraded bool
	Message  string
	Values   map[string]any
	Err      error
}

// Check looks at the queue and the endpoints.
func (p *Plugin) Check(ctx context.Context) Finding {
	q, err := p.queue(ctx)
	if err != nil {
		return Finding{Degraded: true, Message: "The queue of webhooks cannot be read.", Err: err}
	}
	f := Finding{Values: map[string]any{
		"pending": q.pending, "oldestPendingSeconds": int(q.oldest.Seconds()), "disabled": q.disabled,
	}}
	if q.disabled > 0 {
		f.Degraded = true
		f.Message = fmt.Sprintf("%d webhooks were disabled because they failed; revive or delete them.", q.disabled)
	}
	return f
}
