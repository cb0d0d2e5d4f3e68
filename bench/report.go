package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// pair is one workload of one round on both servers.
type pair struct{ stock, picobase sample }

// results is what a run measured.
type results struct {
	pairs                   map[string][]pair // by workload name
	stockPeak, picobasePeak float64           // MB
}

func newResults() results { return results{pairs: map[string][]pair{}} }

func (r results) add(workload string, p pair) {
	r.pairs[workload] = append(r.pairs[workload], p)
}

// metric is one column of a sample.
type metric struct {
	name   string
	format string
	of     func(sample) float64
}

var (
	throughput = metric{"req/s", "%.0f", func(s sample) float64 { return s.rate }}
	latency99  = metric{"p99 ms", "%.1f", func(s sample) float64 { return s.p99 }}

	metrics = []metric{
		throughput,
		{"p50 ms", "%.1f", func(s sample) float64 { return s.p50 }},
		{"p95 ms", "%.1f", func(s sample) float64 { return s.p95 }},
		latency99,
		{"CPU µs/request", "%.0f", func(s sample) float64 { return s.cpu }},
		{"memory MB", "%.0f", func(s sample) float64 { return s.memory }},
	}
)

// ratio is PicoBase divided by stock: the median of the rounds, and the
// smallest and largest round.
type ratio struct{ median, min, max float64 }

func (r ratio) String() string {
	if r.min == r.max {
		return fmt.Sprintf("%.2f", r.median)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", r.median, r.min, r.max)
}

// ratioOf divides within each round, never across rounds: both halves of a
// round ran within seconds of each other, so they saw the same machine.
func ratioOf(pairs []pair, m metric) ratio {
	var all []float64
	for _, p := range pairs {
		all = append(all, m.of(p.picobase)/m.of(p.stock))
	}
	return ratio{median: median(all), min: slices.Min(all), max: slices.Max(all)}
}

// medians is the middle of each side on its own. Their quotient is not the
// median ratio.
func medians(pairs []pair, m metric) (stock, picobase float64) {
	var a, b []float64
	for _, p := range pairs {
		a = append(a, m.of(p.stock))
		b = append(b, m.of(p.picobase))
	}
	return median(a), median(b)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// floor is a promise: the ratio of one metric may not be worse than limit.
type floor struct {
	workload string
	metric   metric
	limit    float64
	atLeast  bool // else at most
}

var floors = []floor{
	{"list", throughput, 0.95, true},
	{"view", throughput, 0.95, true},
	{"create", throughput, 0.95, true},
	{"list", latency99, 0.8, false},
	{"view", latency99, 0.8, false},
}

// peakMemoryFloor is for the whole run, since a peak belongs to no workload.
const peakMemoryFloor = 1.1

// verdict is a floor next to what was measured.
type verdict struct {
	what, wanted, got string
	met               bool
}

func verdicts(res results) []verdict {
	var all []verdict
	for _, f := range floors {
		r := ratioOf(res.pairs[f.workload], f.metric)
		v := verdict{what: f.workload + " " + f.metric.name, got: r.String()}
		if f.atLeast {
			v.wanted, v.met = fmt.Sprintf("at least %.2f", f.limit), r.median >= f.limit
		} else {
			v.wanted, v.met = fmt.Sprintf("at most %.2f", f.limit), r.median <= f.limit
		}
		all = append(all, v)
	}

	peak := res.picobasePeak / res.stockPeak
	return append(all, verdict{
		what:   "peak memory",
		wanted: fmt.Sprintf("at most %.2f", peakMemoryFloor),
		got:    fmt.Sprintf("%.2f", peak),
		met:    peak <= peakMemoryFloor,
	})
}

// resultRows is the main table, heading first.
func resultRows(res results) [][]string {
	rows := [][]string{{"workload", "measure", "stock", "PicoBase", "ratio (min–max of rounds)"}}
	for _, w := range workloads {
		for _, m := range metrics {
			stock, pico := medians(res.pairs[w.name], m)
			rows = append(rows, []string{
				w.name, m.name, fmt.Sprintf(m.format, stock), fmt.Sprintf(m.format, pico),
				ratioOf(res.pairs[w.name], m).String(),
			})
		}
	}
	return append(rows, []string{
		"whole run", "peak memory MB", fmt.Sprintf("%.0f", res.stockPeak), fmt.Sprintf("%.0f", res.picobasePeak),
		fmt.Sprintf("%.2f", res.picobasePeak/res.stockPeak),
	})
}

// verdictRows is the table of floors, heading first.
func verdictRows(all []verdict) [][]string {
	rows := [][]string{{"floor", "wanted", "measured", ""}}
	for _, v := range all {
		met := "met"
		if !v.met {
			met = "MISSED"
		}
		rows = append(rows, []string{v.what, v.wanted, v.got, met})
	}
	return rows
}

// summary says in a sentence how many floors are met.
func summary(all []verdict) string {
	missed := 0
	for _, v := range all {
		if !v.met {
			missed++
		}
	}
	if missed == 0 {
		return "All floors are met."
	}
	return fmt.Sprintf("%d of %d floors are missed.", missed, len(all))
}

func printTables(out io.Writer, tables ...[][]string) {
	for _, table := range tables {
		tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range table {
			fmt.Fprintln(tw, strings.Join(row, "\t"))
		}
		_ = tw.Flush() // a terminal that is gone has no reader left
		fmt.Fprintln(out)
	}
}
