package usage

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics holds one handle per time series, made once: looking one up by its
// labels costs a map and a hash of strings on every request.
type metrics struct {
	requests [groupCount][4]prometheus.Counter // by group and status class less 2
	duration [groupCount]prometheus.Observer
	bytesIn  [groupCount]prometheus.Counter
	bytesOut [groupCount]prometheus.Counter
}

// newMetrics registers the metrics; without a registerer it returns nil, which
// ignores all calls.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	if registerer == nil {
		return nil, nil
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "picobase_http_requests_total",
		Help: "HTTP requests by route group and status class.",
	}, []string{"route", "status"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "picobase_http_request_duration_seconds",
		Help:    "Duration of HTTP requests by route group, without event streams.",
		Buckets: []float64{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10},
	}, []string{"route"})
	bytesIn := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "picobase_http_request_bytes_total",
		Help: "Bytes read from request bodies by route group.",
	}, []string{"route"})
	bytesOut := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "picobase_http_response_bytes_total",
		Help: "Bytes written to response bodies by route group.",
	}, []string{"route"})
	for _, collector := range []prometheus.Collector{requests, duration, bytesIn, bytesOut} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}

	m := &metrics{}
	for g, route := range groupNames {
		for i := range m.requests[g] {
			m.requests[g][i] = requests.WithLabelValues(route, className(uint8(i+2)))
		}
		m.duration[g] = duration.WithLabelValues(route)
		m.bytesIn[g] = bytesIn.WithLabelValues(route)
		m.bytesOut[g] = bytesOut.WithLabelValues(route)
	}
	return m, nil
}

func (m *metrics) record(key cellKey, s sample) {
	if m == nil {
		return
	}
	m.requests[key.group][key.class-2].Inc()
	m.bytesIn[key.group].Add(float64(s.bytesIn))
	m.bytesOut[key.group].Add(float64(s.bytesOut))
	if !s.stream {
		m.duration[key.group].Observe(float64(s.latency) / float64(time.Second))
	}
}

func (m *metrics) addBytesOut(g group, n int64) {
	if m != nil {
		m.bytesOut[g].Add(float64(n))
	}
}
