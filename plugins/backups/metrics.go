package backups

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the plugin counts, and what its health check says of it.
type metrics struct {
	p         *Plugin
	snapshots *prometheus.CounterVec

	mu           sync.Mutex
	lastSnapshot time.Time // the last good one
	snapshotErr  error     // of the last one
	drill        *DrillReport
}

var (
	descLag = prometheus.NewDesc("picobase_replication_lag_seconds",
		"Age of the oldest write that the object store does not have; 0 when it has all.", nil, nil)
	descPending = prometheus.NewDesc("picobase_replication_pending_bytes",
		"Bytes on disk that wait for the object store.", nil, nil)
	descFailing = prometheus.NewDesc("picobase_replication_failing",
		"1 while the last try to replicate failed.", nil, nil)
	descLost = prometheus.NewDesc("picobase_replication_lost",
		"1 once another server has taken over the project.", nil, nil)
	descLastSnapshot = prometheus.NewDesc("picobase_snapshot_last_success_timestamp_seconds",
		"When the last good snapshot was made.", nil, nil)
	descDrillTime = prometheus.NewDesc("picobase_restore_drill_timestamp_seconds",
		"When the last restore drill began.", nil, nil)
	descDrillOK = prometheus.NewDesc("picobase_restore_drill_success",
		"1 when the last restore drill went well.", nil, nil)
	descDrillDuration = prometheus.NewDesc("picobase_restore_drill_duration_seconds",
		"How long the restore of the last drill took.", nil, nil)
)

// newMetrics registers the metrics, unless registerer is nil.
func newMetrics(registerer prometheus.Registerer, p *Plugin) (*metrics, error) {
	m := &metrics{p: p, snapshots: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "picobase_snapshots_total",
		Help: "Snapshots by outcome: ok or failed.",
	}, []string{"outcome"})}
	m.snapshots.WithLabelValues("ok")
	m.snapshots.WithLabelValues("failed")
	if registerer == nil {
		return m, nil
	}
	if err := registerer.Register(m.snapshots); err != nil {
		return nil, err
	}
	return m, registerer.Register(m)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		descLag, descPending, descFailing, descLost, descLastSnapshot, descDrillTime, descDrillOK, descDrillDuration,
	} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	if !m.p.cfg.NoReplication {
		s := m.p.replica.Status()
		gauge(descLag, s.Lag.Seconds())
		gauge(descPending, float64(s.Pending))
		gauge(descFailing, number(s.Err != nil))
		gauge(descLost, number(s.Lost))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.lastSnapshot.IsZero() {
		gauge(descLastSnapshot, float64(m.lastSnapshot.Unix()))
	}
	if m.drill != nil {
		gauge(descDrillTime, float64(m.drill.Started.Unix()))
		gauge(descDrillOK, number(m.drill.Status == "ok"))
		gauge(descDrillDuration, m.drill.Duration)
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// made notes how the making of a snapshot ended.
func (m *metrics) made(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snapshotErr = err
	if err != nil {
		m.snapshots.WithLabelValues("failed").Inc()
		return
	}
	m.snapshots.WithLabelValues("ok").Inc()
	m.lastSnapshot = time.Now()
}

// noteSnapshot notes a snapshot that was made before this process.
func (m *metrics) noteSnapshot(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.After(m.lastSnapshot) {
		m.lastSnapshot = at
	}
}

func (m *metrics) drilled(report DrillReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drill = &report
}
