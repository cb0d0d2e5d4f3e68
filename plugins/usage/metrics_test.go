package usage

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// metricValue returns the value of a counter, or the count of a histogram, with
// exactly these label values, which are in the order of the label names.
func metricValue(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var values []string
			for _, label := range metric.GetLabel() {
				values = append(values, label.GetValue())
			}
			if strings.Join(values, ",") == strings.Join(labels, ",") {
				return metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no metric %s%v", name, labels)
	return 0
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := serve(t, Config{Metrics: registry}, testRoutes)
	s.get("/hello")
	s.get("/events")
	s.do("POST", "/echo", strings.NewReader("12345"))
	s.get("/api/collections/demo1/records/x")
	_, unknown := s.get("/unknown")
	s.flushed(5)

	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"picobase_http_requests_total", []string{"other", "2xx"}, 3},
		{"picobase_http_requests_total", []string{"other", "4xx"}, 1},
		{"picobase_http_requests_total", []string{"records", "4xx"}, 1},
		{"picobase_http_requests_total", []string{"batch", "5xx"}, 0},
		{"picobase_http_request_duration_seconds", []string{"other"}, 3}, // without /events
		{"picobase_http_request_bytes_total", []string{"other"}, 5},
		{"picobase_http_response_bytes_total", []string{"other"}, float64(len("hello") + len("data: 1\n\n") + len(unknown))},
	} {
		eventually(t, func() bool { return metricValue(t, registry, c.name, c.labels...) >= c.want })
		if got := metricValue(t, registry, c.name, c.labels...); got != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	if _, err := newMetrics(registry); err == nil || !strings.Contains(err.Error(), "register metrics") {
		t.Errorf("registered twice: got %v", err)
	}
}
