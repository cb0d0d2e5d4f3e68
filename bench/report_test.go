package main

import (
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		values []float64
		want   float64
	}{
		{"one", []float64{3}, 3},
		{"odd, unsorted", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 3, 2}, 2.5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := median(tt.values); got != tt.want {
				t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
			}
		})
	}
}

// The machine got twice as slow in the second round; a ratio within each round
// does not notice, while a quotient of medians would.
func TestRatioOfIsPaired(t *testing.T) {
	t.Parallel()
	pairs := []pair{
		{stock: sample{rate: 1000}, picobase: sample{rate: 1200}},
		{stock: sample{rate: 500}, picobase: sample{rate: 600}},
		{stock: sample{rate: 1000}, picobase: sample{rate: 900}},
	}
	got := ratioOf(pairs, throughput)
	if want := (ratio{median: 1.2, min: 0.9, max: 1.2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.String() != "1.20 (0.90–1.20)" {
		t.Errorf("printed as %q", got)
	}
	if stock, pico := medians(pairs, throughput); stock != 1000 || pico != 900 {
		t.Errorf("medians %v and %v, want 1000 and 900", stock, pico)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		picobase sample // stock is always 1000 req/s with a p99 of 10 ms and 100 MB
		peak     float64
		missed   string
	}{
		{"all exactly at the floor", sample{rate: 950, p99: 8}, 110, ""},
		{"slow", sample{rate: 940, p99: 8}, 100, "list req/s, view req/s, create req/s"},
		{"long tail", sample{rate: 1000, p99: 9}, 100, "list p99 ms, view p99 ms"},
		{"hungry", sample{rate: 1000, p99: 8}, 120, "peak memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := sameEverywhere(sample{rate: 1000, p99: 10}, tt.picobase)
			res.stockPeak, res.picobasePeak = 100, tt.peak
			var missed []string
			for _, v := range verdicts(res) {
				if !v.met {
					missed = append(missed, v.what)
				}
			}
			if got := strings.Join(missed, ", "); got != tt.missed {
				t.Errorf("missed %q, want %q", got, tt.missed)
			}
		})
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	one := sample{rate: 1000, p50: 1, p95: 5, p99: 10, cpu: 300, memory: 50}
	res := sameEverywhere(one, sample{rate: 1100, p50: 1, p95: 4, p99: 9, cpu: 270, memory: 40})
	res.stockPeak, res.picobasePeak = 100, 50
	f := facts{date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), pocketBase: "v0.39.11", goVersion: "go1.26.8", platform: "linux/amd64", cores: 2}

	got := string(markdown(f, options{rounds: 5, duration: 4 * time.Second, connections: 32, threads: 1}, res, keyCheck{"300", "0", "0"}))

	for _, want := range []string{
		"**2 of 6 floors are missed.** Measured 2026-01-02 with PocketBase v0.39.11, go1.26.8, linux/amd64, 2 cores.",
		"| list | req/s | 1000 | 1100 | 1.10 |",
		"| list | CPU µs/request | 300 | 270 | 0.90 |",
		"| view p99 ms | at most 0.80 | 0.90 | MISSED |",
		"| whole run | peak memory MB | 100 | 50 | 0.50 |",
		"5 rounds of 4s",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if strings.Contains(got, "<no value>") {
		t.Error("page has a template field without a value")
	}
}

func sameEverywhere(stock, picobase sample) results {
	res := newResults()
	for _, w := range workloads {
		res.add(w.name, pair{stock: stock, picobase: picobase})
	}
	return res
}
