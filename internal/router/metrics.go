package router

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/picobase/picobase/internal/apierr"
)

// outcome is how a request ended.
type outcome string

const (
	forwarded      outcome = "forwarded"
	preflighted    outcome = "preflight"
	clientGone     outcome = "client_gone"
	badRequest     outcome = "bad_request"
	upstreamFailed outcome = "upstream_failed"
	refused        outcome = "refused"
	internalError  outcome = "internal_error"
)

// named are the refusals that have an outcome of their own, which is their code.
var named = []*apierr.Error{errNotFound, errStopped, errUnavailable, errWaking, errBusy, errRouterBusy, errUpstream, errOrigin}

func outcomeOf(err *apierr.Error) outcome {
	for _, known := range named {
		if known.Code == err.Code {
			return outcome(known.Code)
		}
	}
	if err.Status < http.StatusInternalServerError {
		return badRequest
	}
	return refused
}

type metrics struct {
	registry *prometheus.Registry
	requests map[outcome]prometheus.Counter
	wakes    *prometheus.HistogramVec
	streams  atomic.Int64
	conns    atomic.Int64
	turned   prometheus.Counter // connections turned away
	feed     atomic.Int64       // whether the source is connected
}

func newMetrics(r *Router) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), requests: map[outcome]prometheus.Counter{}}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "picobase_router_requests_total", Help: "Requests by how they ended."}, []string{"outcome"})
	for _, known := range []outcome{forwarded, preflighted, clientGone, badRequest, upstreamFailed, refused, internalError} {
		m.requests[known] = requests.WithLabelValues(string(known))
	}
	for _, known := range named {
		m.requests[outcome(known.Code)] = requests.WithLabelValues(known.Code)
	}
	m.wakes = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "picobase_router_wake_seconds", Help: "How long wakes of projects took, by result.",
		Buckets: []float64{.025, .05, .1, .2, .3, .5, 1, 2, 4, 10, 30},
	}, []string{"result"})
	m.turned = prometheus.NewCounter(prometheus.CounterOpts{Name: "picobase_router_connections_refused_total", Help: "Connections closed at once, for a limit."})
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "picobase_router_" + name, Help: help}, func() float64 { return float64(value()) })
	}
	m.registry.MustRegister(requests, m.wakes, m.turned,
		gauge("table_names", "Host names in the table.", func() int64 { return int64(r.cfg.Resolver.size()) }),
		gauge("requests_open", "Requests being forwarded, without streams.", r.open.Load),
		gauge("streams_open", "SSE and WebSocket streams.", m.streams.Load),
		gauge("requests_held", "Requests that wait for their project.", r.held.Load),
		gauge("connections", "Connections of clients.", m.conns.Load),
		gauge("feed_connected", "1 while the source of the table is connected.", m.feed.Load),
	)
	return m
}

func (m *metrics) woken(took time.Duration, ok bool) {
	result := "failed"
	if ok {
		result = "woken"
	}
	m.wakes.WithLabelValues(result).Observe(took.Seconds())
}

// FeedConnected notes whether the source of the table is there, for the metrics.
func (r *Router) FeedConnected(connected bool) {
	var value int64
	if connected {
		value = 1
	}
	r.metrics.feed.Store(value)
}
