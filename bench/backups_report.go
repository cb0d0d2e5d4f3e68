package main

import (
	"fmt"
	"slices"
	"time"
)

// The floors of what backups cost, and what is aimed at.
const (
	floorStall, aimStall           = 100, 20   // milliseconds
	floorOnOff, aimOnOff           = 0.9, 0.97 // of the throughput without replication
	floorStart, aimStart           = 300, 100  // milliseconds, p95
	floorSmallStart, aimSmallStart = 4000, 2000
)

// spread is the median, and the smallest and largest if they are others.
func spread(values []float64, format string) string {
	if len(values) == 0 {
		return "–"
	}
	middle := fmt.Sprintf(format, median(values))
	if len(values) == 1 {
		return middle
	}
	return fmt.Sprintf(middle+" ("+format+"–"+format+")", slices.Min(values), slices.Max(values))
}

func onOffRows(all []onOff) [][]string {
	rows := [][]string{{"replication into", "measure", "off", "on", "ratio (min–max of rounds)"}}
	for _, one := range all {
		for _, m := range metrics {
			off, on := medians(one.pairs, m)
			rows = append(rows, []string{one.into, m.name, fmt.Sprintf(m.format, off), fmt.Sprintf(m.format, on), ratioOf(one.pairs, m).String()})
		}
	}
	return rows
}

func delayRows(delays []time.Duration) [][]string {
	rows := [][]string{{"writes", "p50 ms", "p95 ms", "p99 ms", "longest ms"}}
	if len(delays) == 0 {
		return rows
	}
	row := []string{fmt.Sprint(len(delays))}
	for _, percent := range []int{50, 95, 99, 100} {
		row = append(row, fmt.Sprintf("%.0f", milliseconds(percentile(delays, percent))))
	}
	return append(rows, row)
}

func stallRows(all []stall) [][]string {
	rows := [][]string{{"connections", "server", "meanwhile", "longest ms", "p99 ms", "seconds", "writes/s"}}
	for _, s := range all {
		rows = append(rows, []string{
			fmt.Sprint(s.connections), s.server, s.while, spread(s.longest, "%.0f"), spread(s.p99, "%.0f"), spread(s.took, "%.1f"), spread(s.writes, "%.0f"),
		})
	}
	return rows
}

func startRows(all []start) [][]string {
	rows := [][]string{{"database", "server", "data from", "starts", "p50 ms", "p95 ms", "longest ms"}}
	for _, s := range all {
		sorted := slices.Sorted(slices.Values(s.took))
		row := []string{s.size.String(), s.server, s.from, fmt.Sprint(len(sorted))}
		for _, percent := range []int{50, 95, 100} {
			row = append(row, fmt.Sprintf("%.0f", percentile(sorted, percent)))
		}
		rows = append(rows, row)
	}
	return rows
}

// backupVerdicts judges a stall by the worst of its runs: it is about the
// longest. Beside it is what the same server does to writes with nothing on.
func backupVerdicts(res backupResults) []verdict {
	var all []verdict
	for _, s := range res.stalls {
		if s.server == "stock" || s.while == nothing {
			continue
		}
		worst := slices.Max(s.longest)
		got := spread(s.longest, "%.0f") + " ms"
		if quiet := quietest(res.stalls, s); quiet != nil {
			got += ", with nothing on " + spread(quiet.longest, "%.0f") + " ms"
		}
		all = append(all, verdict{
			what:   fmt.Sprintf("longest stall: %s, %d connection(s)", s.while, s.connections),
			wanted: fmt.Sprintf("at most %d ms (aim %d)", floorStall, aimStall),
			got:    got, met: worst <= floorStall,
		})
	}
	for _, one := range res.onOff {
		r := ratioOf(one.pairs, throughput)
		all = append(all, verdict{
			what:   "create req/s, replication on / off, into " + one.into,
			wanted: fmt.Sprintf("at least %.2f (aim %.2f)", floorOnOff, aimOnOff),
			got:    r.String(), met: r.median >= floorOnOff,
		})
	}
	for _, s := range res.starts {
		p95 := percentile(slices.Sorted(slices.Values(s.took)), 95)
		floor, aim := floorStart, aimStart
		if s.from == fromBucket {
			floor, aim = floorSmallStart, aimSmallStart
		}
		if s.server == "stock" || s.from == fromBucket && !s.small {
			continue
		}
		all = append(all, verdict{
			what:   fmt.Sprintf("first read, %s from %s, p95", &s.size, s.from),
			wanted: fmt.Sprintf("at most %d ms (aim %d)", floor, aim),
			got:    fmt.Sprintf("%.0f ms", p95), met: p95 <= float64(floor),
		})
	}
	return all
}

// quietest finds what the server of a stall does with nothing on.
func quietest(all []stall, of stall) *stall {
	i := slices.IndexFunc(all, func(s stall) bool {
		return s.while == nothing && s.server == of.server && s.connections == of.connections
	})
	if i < 0 {
		return nil
	}
	return &all[i]
}
