package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// routerWorkloads are those that only read: the tenant's own work stays the same
// from the first round to the last.
var routerWorkloads = workloads[:3]

// routed is what one front did with one workload in one round.
type routed struct {
	sample
	cpu float64 // the front's CPU microseconds per request
}

// routerResults holds the rounds by workload and front.
type routerResults struct {
	fronts  []string // those that ran, direct first
	skipped []string // the others, with the reason
	rounds  map[string]map[string][]routed
}

// benchRouter measures what it costs to have something in front of a tenant.
func benchRouter(ctx context.Context, opts options, facts facts, work string, out io.Writer) error {
	if err := os.MkdirAll(work, 0o755); err != nil { // nginx's workers are other users
		return err
	}
	tenant := newServer("tenant", opts.picobase, filepath.Join(work, "tenant"))
	defer tenant.stop()
	if err := tenant.startPicoBase(ctx); err != nil {
		return fmt.Errorf("start the tenant: %w", err)
	}
	fmt.Fprintf(out, "seeding the tenant with %d rows\n", seededRows)
	if err := tenant.seed(ctx); err != nil {
		return err
	}
	load, err := newWrk(work, opts)
	if err != nil {
		return err
	}
	fronts, skipped, err := startFronts(ctx, opts, tenant, work)
	defer func() {
		for _, f := range fronts {
			f.stop()
		}
	}()
	if err != nil {
		return err
	}
	for _, why := range skipped {
		fmt.Fprintln(out, "left out:", why)
	}
	res, err := measureFronts(ctx, opts.rounds, load, tenant, fronts, out)
	if err != nil {
		return err
	}
	res.skipped = skipped
	fmt.Fprintln(out)
	printTables(out, routerRows(res), verdictRows(routerVerdicts(res)))
	return opts.writePage(routerPageName, routerMarkdown(facts, opts, res), out)
}

// measureFronts loads the fronts in turns; who goes first changes with every round.
// Round 0 is not counted.
func measureFronts(ctx context.Context, rounds int, load *wrk, tenant *server, fronts []*front, out io.Writer) (routerResults, error) {
	res := routerResults{rounds: map[string]map[string][]routed{}}
	for _, f := range fronts {
		res.fronts = append(res.fronts, f.name)
	}
	for round := 0; round <= rounds; round++ {
		for _, w := range routerWorkloads {
			if res.rounds[w.name] == nil {
				res.rounds[w.name] = map[string][]routed{}
			}
			for i := range fronts {
				f := fronts[(i+round)%len(fronts)]
				one, err := measureFront(ctx, load, tenant, f, w)
				if err != nil {
					return res, fmt.Errorf("%s through %s: %w", w.name, f.name, err)
				}
				if round == 0 {
					continue
				}
				res.rounds[w.name][f.name] = append(res.rounds[w.name][f.name], one)
				fmt.Fprintf(out, "round %d/%d %-7s %-7s %6.0f req/s, p99 %6.1f ms, %4.0f µs CPU\n", round, rounds, w.name, f.name, one.rate, one.p99, one.cpu)
			}
		}
		if round == 0 {
			fmt.Fprintln(out, "warm-up done")
		}
	}
	return res, nil
}

func measureFront(ctx context.Context, load *wrk, tenant *server, f *front, w workload) (routed, error) {
	before, err := f.cpuTime()
	if err != nil {
		return routed{}, err
	}
	one, err := load.load(ctx, f.url, tenant.key, w)
	if err != nil {
		return routed{}, err
	}
	after, err := f.cpuTime()
	if err != nil {
		return routed{}, err
	}
	if err := tenant.settle(ctx); err != nil {
		return routed{}, err
	}
	return routed{sample: one, cpu: float64((after-before)/time.Microsecond) / one.requests}, nil
}
