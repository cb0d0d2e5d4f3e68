package jshooks

import "github.com/prometheus/client_golang/prometheus"

// metrics is what the host counts; calls are counted by the engine.
type metrics struct {
	loads *prometheus.CounterVec
}

// newMetrics registers the metrics, unless registerer is nil.
func newMetrics(registerer prometheus.Registerer, p *Plugin) (*metrics, error) {
	m := &metrics{loads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "picobase_hooks_loads_total",
		Help: "Bundles of JavaScript hooks that were compiled, by outcome: ok or failed.",
	}, []string{"outcome"})}
	m.loads.WithLabelValues("ok")
	m.loads.WithLabelValues("failed")
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{
		m.loads,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "picobase_hooks_running",
			Help: "1 while a version of the JavaScript hooks is in force.",
		}, func() float64 { return number(p.status.Load().version != "") }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "picobase_hooks_load_problems",
			Help: "Problems with JavaScript hooks that should run and do not.",
		}, func() float64 { return float64(len(p.status.Load().problems)) }),
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
