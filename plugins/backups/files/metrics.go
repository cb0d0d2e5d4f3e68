package files

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct{ uploadErrors prometheus.Counter }

// newMetrics registers the metrics, if there is a registerer.
func newMetrics(registerer prometheus.Registerer, p *Plugin) (*metrics, error) {
	m := &metrics{uploadErrors: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "picobase_files_upload_errors_total",
		Help: "Attempts to upload a file to the object store that failed.",
	})}
	if registerer == nil {
		return m, nil
	}
	pending := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "picobase_files_pending",
		Help: "Uploaded files that are not in the object store yet.",
	}, func() float64 { return float64(p.Status().Pending) })
	missing := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "picobase_files_missing",
		Help: "Files that are in the object store but not in the local folder.",
	}, func() float64 { return float64(p.Status().Missing) })
	for _, collector := range []prometheus.Collector{m.uploadErrors, pending, missing} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
