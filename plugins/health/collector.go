package health

import (
	"path/filepath"

	"github.com/pocketbase/dbx"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func (p *Plugin) registerMetrics() error {
	p.scrape = p.newScrape()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{p},
	} {
		if err := p.cfg.Metrics.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// collector reads the tenant's figures when they are asked for: nothing is kept
// up to date between scrapes.
type collector struct{ p *Plugin }

var (
	descInfo = prometheus.NewDesc("picobase_info",
		"Versions of the running binary; always 1.", []string{"version", "pocketbase"}, nil)
	descUptime = prometheus.NewDesc("picobase_uptime_seconds",
		"Time since the tenant started serving.", nil, nil)
	descDraining = prometheus.NewDesc("picobase_draining",
		"1 while the tenant shuts down and refuses new requests.", nil, nil)
	descInFlight = prometheus.NewDesc("picobase_requests_in_flight",
		"Requests being answered, without event streams.", nil, nil)
	descStreams = prometheus.NewDesc("picobase_streams_in_flight",
		"Open event streams, realtime and others.", nil, nil)
	descRealtime = prometheus.NewDesc("picobase_realtime_clients",
		"Connected realtime clients.", nil, nil)
	descDBSize = prometheus.NewDesc("picobase_db_size_bytes",
		"Size of the database file.", []string{"db"}, nil)
	descWALSize = prometheus.NewDesc("picobase_wal_size_bytes",
		"Size of the database's write-ahead log.", []string{"db"}, nil)
	descDBOpen = prometheus.NewDesc("picobase_db_connections_open",
		"Open connections to the data database.", []string{"pool"}, nil)
	descDBInUse = prometheus.NewDesc("picobase_db_connections_in_use",
		"Connections to the data database that run a query.", []string{"pool"}, nil)
	descDBWaits = prometheus.NewDesc("picobase_db_connection_waits_total",
		"Queries that had to wait for a connection to the data database.", []string{"pool"}, nil)
	descDBWaited = prometheus.NewDesc("picobase_db_connection_wait_seconds_total",
		"Time that queries waited for a connection to the data database.", []string{"pool"}, nil)
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		descInfo, descUptime, descDraining, descInFlight, descStreams, descRealtime, descDBSize, descWALSize,
		descDBOpen, descDBInUse, descDBWaits, descDBWaited,
	} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	p := c.p
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counter := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
	}

	gauge(descInfo, 1, p.cfg.Version, pocketbaseVersion())
	gauge(descUptime, p.uptime().Seconds())
	draining := 0.0
	if p.draining.Load() {
		draining = 1
	}
	gauge(descDraining, draining)
	gauge(descInFlight, float64(p.inFlight.Load()))
	gauge(descStreams, float64(p.realtime.Load()+p.streams.Load()))
	gauge(descRealtime, float64(p.app.SubscriptionsBroker().TotalClients()))
	for _, db := range databases {
		path := filepath.Join(p.app.DataDir(), db.file)
		gauge(descDBSize, float64(fileSize(path)), db.name)
		gauge(descWALSize, float64(fileSize(path+"-wal")), db.name)
	}
	for _, pool := range []struct {
		name string
		db   dbx.Builder
	}{{"read", p.app.ConcurrentDB()}, {"write", p.app.NonconcurrentDB()}} {
		db, ok := pool.db.(*dbx.DB)
		if !ok {
			continue // not open
		}
		stats := db.DB().Stats()
		gauge(descDBOpen, float64(stats.OpenConnections), pool.name)
		gauge(descDBInUse, float64(stats.InUse), pool.name)
		counter(descDBWaits, float64(stats.WaitCount), pool.name)
		counter(descDBWaited, stats.WaitDuration.Seconds(), pool.name)
	}
}
