package usage

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// asUsage authorizes a request for the figures, under a key of its own.
var asUsage = []string{"X-API-Key", "reader usage"}

// count makes up n requests.
func (s *tenant) count(at, keyID string, g group, class uint8, n int, latency time.Duration) {
	s.t.Helper()
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		s.t.Fatal(err)
	}
	for range n {
		s.counters.record(cellKey{hourOf(t), keyID, g, class}, sample{at: t, bytesIn: 1, bytesOut: 10, latency: latency})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	now := newClock("2026-01-31T12:30:00Z").Now()
	s := register(t, Config{})
	s.count("2026-01-29T09:00:00Z", "k1", groupRecords, 2, 7, time.Millisecond)
	s.count("2026-01-30T12:59:00Z", "k1", groupRecords, 2, 4, time.Millisecond)
	s.count("2026-01-31T11:00:00Z", "k1", groupRecords, 2, 3, time.Millisecond)
	s.count("2026-01-31T11:59:59Z", "k2", groupFiles, 4, 1, time.Second)
	s.count("2026-01-31T12:30:00Z", "", groupRecords, 5, 2, time.Second)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}

	cases := []struct {
		query string
		want  []string // time, groups, requests and errors of each item
	}{
		{"", []string{"30T12 4 0", "31T11 4 1", "31T12 2 2"}},
		{"interval=hour&from=2026-01-31&to=2026-01-31T12:00:00Z", []string{"31T11 4 1"}},
		{"interval=day&from=2026-01-29", []string{"29T00 7 0", "30T00 4 0", "31T00 6 3"}},
		{"interval=total&from=2026-01-29T10:30:00%2B01:00", []string{"29T09 17 3"}},
		{"interval=total&from=2026-01-29&to=2026-01-31T11:00:00Z", []string{"29T00 11 0"}},
		{"to=2026-01-30", []string{"29T09 7 0"}},
		{"key=k1", []string{"30T12 4 0", "31T11 3 0"}},
		{"key=none", []string{"31T12 2 2"}},
		{"key=unknown", nil},
		{"route=files", []string{"31T11 1 1"}},
		{"interval=total&groupBy=key", []string{"30T12 none 2 2", "30T12 k1 7 0", "30T12 k2 1 1"}},
		{"interval=total&groupBy=status,route", []string{"30T12 files 4xx 1 1", "30T12 records 2xx 7 0", "30T12 records 5xx 2 2"}},
	}
	for _, c := range cases {
		t.Run(c.query, func(t *testing.T) {
			t.Parallel()
			asked, err := parseQuestion(c.query, now)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := asked.answer(s.app)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			var total, failed int64
			for _, i := range answer.Items {
				line := fmt.Sprintln(i.Time.Format("02T15"), i.Key, i.Route, i.Status, i.Requests, i.Errors)
				got = append(got, strings.Join(strings.Fields(line), " "))
				total += i.Requests
				failed += i.Errors
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			sum := answer.Total
			if sum.Requests != total || sum.Errors != failed || sum.BytesIn != total || sum.BytesOut != 10*total {
				t.Errorf("total %+v, the items have %d requests", sum, total)
			}
		})
	}
}

func TestUsageShape(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-01-31T12:30:00Z")
	s := serve(t, Config{Now: clock.Now}, nil)
	s.count("2026-01-31T11:00:00Z", "", groupRecords, 2, 100, 300*time.Microsecond) // not flushed
	status, body := s.get("/api/v1/usage?groupBy=key,route,status", asUsage...)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	const want = `{"from":"2026-01-30T12:00:00Z","to":"2026-01-31T13:00:00Z","interval":"hour","items":[` +
		`{"time":"2026-01-31T11:00:00Z","key":"none","route":"records","status":"2xx",` +
		`"requests":100,"errors":0,"bytesIn":100,"bytesOut":1000,"latency":{"p50":0.297,"p95":0.297,"p99":0.297}}],` +
		`"total":{"requests":100,"errors":0,"bytesIn":100,"bytesOut":1000,"latency":{"p50":0.297,"p95":0.297,"p99":0.297}}}`
	if strings.TrimSpace(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
}

func TestUsageEmpty(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	_, body := s.get("/api/v1/usage?interval=total&to=2020-01-01", asUsage...)
	if !strings.Contains(body, `"items":[],"total":{"requests":0,`) {
		t.Errorf("got %s", body)
	}
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	cases := []struct{ path, query, named string }{
		{"usage", "from=yesterday", "from"},
		{"usage", "to=31.01.2026", "to"},
		{"usage", "from=2026-02-01&to=2026-01-01", "from"},
		{"usage", "interval=week", "interval"},
		{"usage", "route=/api", "route"},
		{"usage", "groupBy=key,colour", "groupBy"},
		{"usage", "groupBy=key,key", "groupBy"},
		{"usage", "groupby=key", "groupby"},
		{"usage", "key=a&key=b", "key"},
		{"usage", "key=%zz", "query"},
		{"logs", "page=0", "page"},
		{"logs", "perPage=501", "perPage"},
		{"logs", "perPage=many", "perPage"},
		{"logs", "status=4x", "status"},
		{"logs", "status=600", "status"},
		{"logs", "level=loud", "level"},
		{"logs", "since=now", "since"},
		{"logs", "until=now", "until"},
		{"logs", "sort=level", "sort"},
		{"logs", "filter=" + url.QueryEscape("data.status >"), "filter"},
		{"logs", "filter=" + url.QueryEscape("rowid > 1"), "filter"},
		{"logs", "filter=" + strings.Repeat("1", 4000), "filter"},
		{"logs/stream", "status=ok", "status"},
		{"logs/stream", "level=info", "level"},
	}
	for _, c := range cases {
		status, body := s.get("/api/v1/"+c.path+"?"+c.query, "X-API-Key", "k *")
		if status != http.StatusBadRequest || !strings.Contains(body, `"message":"`+c.named+": ") {
			t.Errorf("%s?%.40s: got %d %s, want 400 naming %s", c.path, c.query, status, body, c.named)
		}
	}
}

func TestScopesAreRequired(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	for _, c := range []struct {
		path, key string
		want      int
	}{
		{"usage", "", http.StatusUnauthorized},
		{"usage", "k1", http.StatusForbidden}, // publishable
		{"usage", "k1 logs", http.StatusForbidden},
		{"usage", "k1 usage", http.StatusOK},
		{"logs", "", http.StatusUnauthorized},
		{"logs", "k1 usage", http.StatusForbidden},
		{"logs", "k1 logs", http.StatusOK},
		{"logs/stream", "", http.StatusUnauthorized},
		{"logs/stream", "k1 usage", http.StatusForbidden},
	} {
		if status, _ := s.get("/api/v1/"+c.path, "X-API-Key", c.key); status != c.want {
			t.Errorf("%s with key %q: got %d, want %d", c.path, c.key, status, c.want)
		}
	}
}

func TestUsageIsBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	s.exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
		INSERT INTO _pico_usage (hour, key_id, route, status_class, requests) SELECT 3600 * i, '', 'other', 2, 1 FROM n`)
	status, body := s.get("/api/v1/usage?from=1970-01-01&to=1980-01-01", asUsage...)
	if status != http.StatusBadRequest || !strings.Contains(body, "10000 items") {
		t.Errorf("got %d %.200s", status, body)
	}
	status, body = s.get("/api/v1/usage?from=1970-01-01T01:00:00Z&to=1980-01-01", asUsage...)
	if status != http.StatusOK || !strings.Contains(body, `"total":{"requests":10000,`) {
		t.Errorf("got %d", status)
	}
}

func TestUsageTellsOfUnwrittenFigures(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	s.count("2026-01-31T11:00:00Z", "", groupRecords, 2, 1, 0)
	s.exec("ALTER TABLE _pico_usage RENAME TO hidden")
	if status, body := s.get("/api/v1/usage", asUsage...); status != http.StatusInternalServerError || strings.Contains(body, "SQL") {
		t.Errorf("got %d %s", status, body)
	}
}
