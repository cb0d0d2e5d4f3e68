package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type hookMetrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) (*hookMetrics, error) {
	m := &hookMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picobase_hook_calls_total",
			Help: "Calls of JavaScript hooks, by hook and outcome.",
		}, []string{"hook", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "picobase_hook_duration_seconds",
			Help:    "Time of calls of JavaScript hooks, without the time inside e.next().",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{"hook"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.calls, m.duration} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register hook metrics: %w", err)
		}
	}
	return m, nil
}

func (m *hookMetrics) observe(hook string, took time.Duration, err error) {
	m.calls.WithLabelValues(hook, outcome(err)).Inc()
	m.duration.WithLabelValues(hook).Observe(took.Seconds())
}

func outcome(err error) string {
	var suspended *suspendedError
	switch {
	case errors.As(err, &suspended):
		return "suspended"
	case err == nil:
		return "ok"
	case errors.Is(err, ErrTimeout):
		return "timeout"
	case errors.Is(err, ErrMemory):
		return "memory"
	case errors.Is(err, ErrBusy):
		return "busy"
	}
	return "error"
}
