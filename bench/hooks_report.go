package main

import (
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"slices"
	"text/template"
	"time"
)

// The floors of hooks: throughput and peak memory beside stock's jsvm plugin, and p95 of
// others while hostile hooks run.
const (
	floorEngine       = 0.95
	floorEngineMemory = 1.1
	floorAttacked     = 2
)

// hookOptions is what a person can change about the part on hooks.
type hookOptions struct {
	watch    time.Duration
	measures string
}

func (o *hookOptions) flags(fs *flag.FlagSet) {
	fs.DurationVar(&o.watch, "watch", 8*time.Second, "how long requests are watched without and with hostile hooks, each round")
	fs.StringVar(&o.measures, "hook-measures", "ca", "which to take: c(reates with a hook), a(ttacks); fewer write no page")
}

func (o *hookOptions) validate() error {
	if o.watch < time.Second {
		return errors.New("-watch must be at least 1s")
	}
	return nil
}

func engineRows(res hookResults) [][]string {
	rows := [][]string{{"compared", "measure", "first", "second", "ratio (min–max of rounds)"}}
	for _, one := range []struct {
		name  string
		pairs []pair
		peaks [2]float64
	}{
		{"stock jsvm, PicoBase", res.engines, [2]float64{res.peak[0], res.peak[1]}},
		{"PicoBase without and with the hook", res.cost, [2]float64{res.peak[2], res.peak[1]}},
	} {
		for _, m := range metrics {
			first, second := medians(one.pairs, m)
			rows = append(rows, []string{one.name, m.name, fmt.Sprintf(m.format, first), fmt.Sprintf(m.format, second), ratioOf(one.pairs, m).String()})
		}
		rows = append(rows, []string{
			one.name, "peak memory MB", fmt.Sprintf("%.0f", one.peaks[0]), fmt.Sprintf("%.0f", one.peaks[1]),
			fmt.Sprintf("%.2f", one.peaks[1]/one.peaks[0]),
		})
	}
	return rows
}

func attackRows(all []attack) [][]string {
	rows := [][]string{{"request", "p95 ms without", "at first", "ratio (min–max of rounds)", "when suspended", "ratio (min–max of rounds)", "failed"}}
	for _, a := range all {
		rows = append(rows, []string{
			a.name, fmt.Sprintf("%.1f", median(a.calm)),
			fmt.Sprintf("%.1f", median(a.first)), spread(ratios(a.calm, a.first), "%.1f"),
			fmt.Sprintf("%.1f", median(a.attacked)), spread(ratios(a.calm, a.attacked), "%.1f"),
			fmt.Sprintf("%d of %d", a.failed, a.answers),
		})
	}
	return rows
}

func hookVerdicts(res hookResults) []verdict {
	rate := ratioOf(res.engines, throughput)
	peak := res.peak[1] / res.peak[0]
	all := []verdict{
		{
			what: "create with a hook, req/s, PicoBase / stock", wanted: fmt.Sprintf("at least %.2f", floorEngine),
			got: rate.String(), met: rate.median >= floorEngine,
		},
		{
			what: "the same, peak memory", wanted: fmt.Sprintf("at most %.2f", floorEngineMemory),
			got: fmt.Sprintf("%.2f", peak), met: peak <= floorEngineMemory,
		},
	}
	for _, a := range res.attacks {
		v := verdict{
			what: a.name + " beside hostile hooks, p95", wanted: fmt.Sprintf("at most %d times the usual", floorAttacked),
			got: spread(ratios(a.calm, a.attacked), "%.1f"), met: median(ratios(a.calm, a.attacked)) <= floorAttacked && a.failed == 0,
		}
		if a.failed > 0 {
			v.got += fmt.Sprintf(", %d of %d failed", a.failed, a.answers)
		}
		all = append(all, v)
	}
	return all
}

//go:embed hooks.md.tmpl
var hooksPageText string

var hooksPage = template.Must(template.New("hooks").Parse(hooksPageText))

const hooksPageName = "benchmarks-hooks.md"

// hooksMarkdown renders docs/benchmarks-hooks.md.
func hooksMarkdown(f facts, opts options, res hookResults) []byte {
	var out bytes.Buffer
	err := hooksPage.Execute(&out, map[string]any{
		"Date":        f.date.Format("2006-01-02"),
		"PocketBase":  f.pocketBase,
		"Go":          f.goVersion,
		"Platform":    f.platform,
		"Cores":       f.cores,
		"Rounds":      len(res.engines),
		"Duration":    opts.duration,
		"Connections": opts.connections,
		"Watch":       opts.hooks.watch,
		"Attackers":   attackers,
		"Prober":      prober,
		"Hook":        trimHook,
		"Hostile":     hostileHook,
		"Summary":     summary(hookVerdicts(res)),
		"Floors":      markdownTable(verdictRows(hookVerdicts(res))),
		"Engines":     markdownTable(engineRows(res)),
		"Attacks":     markdownTable(attackRows(res.attacks)),
	})
	if err != nil {
		panic(err) // the template and its values are both in this folder
	}
	return slices.Clip(out.Bytes())
}
