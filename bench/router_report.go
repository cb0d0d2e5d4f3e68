package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

//go:embed router.md.tmpl
var routerPageText string

var routerPage = template.Must(template.New("router").Parse(routerPageText))

const routerPageName = "benchmarks-router.md"

const ownFront = "router"

// routerMetrics are the columns. The last one is the front's own.
var routerMetrics = []struct {
	name   string
	format string
	of     func(routed) float64
}{
	{"req/s", "%.0f", func(r routed) float64 { return r.rate }},
	{"p50 ms", "%.2f", func(r routed) float64 { return r.p50 }},
	{"p99 ms", "%.1f", func(r routed) float64 { return r.p99 }},
	{"its CPU µs/request", "%.0f", func(r routed) float64 { return r.cpu }},
}

// against divides the router by another front within each round.
func (r routerResults) against(workload, other string, of func(routed) float64) ratio {
	var all []float64
	own, others := r.rounds[workload][ownFront], r.rounds[workload][other]
	for i := range own {
		all = append(all, of(own[i])/of(others[i]))
	}
	return ratio{median: median(all), min: slices.Min(all), max: slices.Max(all)}
}

func (r routerResults) ran(name string) bool { return slices.Contains(r.fronts, name) }

// routerRows is the main table, heading first.
func routerRows(res routerResults) [][]string {
	heading := []string{"workload", "front"}
	for _, m := range routerMetrics {
		heading = append(heading, m.name)
	}
	rows := [][]string{heading}
	for _, w := range routerWorkloads {
		for _, name := range res.fronts {
			row := []string{w.name, name}
			for i, m := range routerMetrics {
				var all []float64
				for _, one := range res.rounds[w.name][name] {
					all = append(all, m.of(one))
				}
				if name == "direct" && i == len(routerMetrics)-1 {
					row = append(row, "")
					continue
				}
				row = append(row, fmt.Sprintf(m.format, median(all)))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// routerVerdicts holds the router against Caddy, which is the floor, and nginx,
// which is the aim.
func routerVerdicts(res routerResults) (all []verdict) {
	for _, other := range []string{"caddy", "nginx"} {
		if !res.ran(other) {
			continue
		}
		kind := "floor"
		if other == "nginx" {
			kind = "aim"
		}
		for _, w := range routerWorkloads {
			for _, m := range []struct {
				name    string
				atLeast bool
				of      func(routed) float64
			}{{"req/s", true, routerMetrics[0].of}, {"p99", false, routerMetrics[2].of}} {
				r := res.against(w.name, other, m.of)
				v := verdict{what: fmt.Sprintf("%s: %s %s, router / %s", kind, w.name, m.name, other), got: r.String(), wanted: "at most 1.00", met: r.median <= 1}
				if m.atLeast {
					v.wanted, v.met = "at least 1.00", r.median >= 1
				}
				all = append(all, v)
			}
		}
	}
	return all
}

// routerMarkdown renders docs/benchmarks-router.md.
func routerMarkdown(f facts, opts options, res routerResults) []byte {
	var floors []verdict
	for _, v := range routerVerdicts(res) {
		if strings.HasPrefix(v.what, "floor") {
			floors = append(floors, v)
		}
	}
	says := "Caddy was not there to compare with."
	if len(floors) > 0 {
		says = summary(floors)
	}
	var out bytes.Buffer
	err := routerPage.Execute(&out, map[string]any{
		"Date":        f.date.Format("2006-01-02"),
		"PocketBase":  f.pocketBase,
		"Go":          f.goVersion,
		"Platform":    f.platform,
		"Cores":       f.cores,
		"Rounds":      opts.rounds,
		"Duration":    opts.duration,
		"Connections": opts.connections,
		"Rows":        seededRows,
		"Summary":     says,
		"Skipped":     res.skipped,
		"Results":     markdownTable(routerRows(res)),
		"Floors":      markdownTable(verdictRows(routerVerdicts(res))),
	})
	if err != nil {
		panic(err) // the template and its values are both in this folder
	}
	return out.Bytes()
}
