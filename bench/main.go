// Command bench runs stock PocketBase and PicoBase side by side under the same
// load and reports PicoBase as a ratio of stock. It is not a load test of
// PocketBase: absolute numbers depend on the machine, only ratios are kept.
//
// Hooks have a part of their own: what a small one costs, and what hostile ones
// cost everybody else. So have backups: the longest time a write waits for
// one, throughput with and without replication, how far the replica is behind,
// and how long a start takes.
//
// What a router costs has one too: PicoBase's beside nginx and Caddy, in front of
// the same server. And wakes: how long the first request to a sleeping project takes.
//
//	make bench                   # builds bin/picobase, then:
//	go run ./bench               # prints tables, writes docs/benchmarks*.md
//	go run ./bench -only backups # one of its parts: requests, router, hooks, backups or wake
//	go run ./bench -rounds 1 -duration 1s -size 64MiB -write=false # a quick look
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// options is what a person can change about a run.
type options struct {
	rounds      int
	duration    time.Duration
	connections int
	threads     int
	picobase    string
	stock       string
	only        string
	write       bool
	out         string

	hooks   hookOptions
	backups backupOptions
	caddy   string
}

// The parts of a run, as -only names them.
const (
	partRequests = "requests"
	partHooks    = "hooks"
	partBackups  = "backups"
	partRouter   = "router"
	partWake     = "wake"
)

// parts in the order in which they run.
var parts = []struct {
	name string
	run  func(ctx context.Context, opts options, facts facts, work string, out io.Writer) error
}{{partRequests, benchRequests}, {partRouter, benchRouter}, {partHooks, benchHooks}, {partBackups, benchBackups}, {partWake, benchWake}}

func main() {
	opts, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	if err := runUntilSignal(opts); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func runUntilSignal(opts options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	err := run(ctx, opts, os.Stdout)
	if ctx.Err() != nil {
		return errors.New("interrupted: servers stopped, temporary files removed")
	}
	return err
}

// run is the whole benchmark. Everything it starts or creates is undone by its
// deferred calls, whichever way it ends.
func run(ctx context.Context, opts options, out io.Writer) error {
	if err := requireWrk(); err != nil {
		return err
	}
	if err := buildStock(ctx, opts.stock, out); err != nil {
		return err
	}
	known, err := readFacts(opts)
	if err != nil {
		return err
	}

	work, err := os.MkdirTemp("", "picobase-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()

	for _, p := range parts {
		if opts.only != "" && opts.only != p.name {
			continue
		}
		if err := p.run(ctx, opts, known, filepath.Join(work, p.name), out); err != nil {
			return err
		}
	}
	return nil
}

// benchRequests measures what PicoBase makes of single requests.
func benchRequests(ctx context.Context, opts options, facts facts, work string, out io.Writer) error {
	stock := newServer("stock", opts.stock, filepath.Join(work, "stock"))
	defer stock.stop()
	if err := stock.startStock(ctx); err != nil {
		return fmt.Errorf("start stock PocketBase: %w", err)
	}

	pico := newServer("picobase", opts.picobase, filepath.Join(work, "picobase"))
	defer pico.stop()
	if err := pico.startPicoBase(ctx); err != nil {
		return fmt.Errorf("start PicoBase: %w", err)
	}

	for _, s := range []*server{stock, pico} {
		fmt.Fprintf(out, "seeding %s with %d rows\n", s.name, seededRows)
		if err := s.seed(ctx); err != nil {
			return fmt.Errorf("seed %s: %w", s.name, err)
		}
	}

	told, err := subscribe(ctx, pico, toldCollection)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer told.close()

	load, err := newWrk(work, opts)
	if err != nil {
		return err
	}
	res, err := measure(ctx, opts.rounds, load, stock, pico, out)
	if err != nil {
		return err
	}

	check, err := measureKeyCheck(ctx, out)
	if err != nil {
		return err
	}

	fmt.Fprintln(out)
	printTables(out, resultRows(res), verdictRows(verdicts(res)))
	fmt.Fprintf(out, "\nAPI key check: %s\n", check)
	return opts.writePage(pageName, markdown(facts, opts, res, check), out)
}

// writePage writes one of the pages about a run, unless none is wanted.
func (o *options) writePage(name string, content []byte, out io.Writer) error {
	if !o.write {
		return nil
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	path := filepath.Join(o.out, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nwrote %s\n", path)
	return nil
}

// measure loads the two servers in turns. Round 0 warms both up and is not
// counted. The server that goes first changes with every round, so that what
// one leaves behind (a log flush, a checkpoint) does not always fall on the other.
func measure(ctx context.Context, rounds int, load *wrk, stock, pico *server, out io.Writer) (results, error) {
	res := newResults()

	for round := 0; round <= rounds; round++ {
		order := []*server{stock, pico}
		if round%2 == 1 {
			order = []*server{pico, stock}
		}

		for _, w := range workloads {
			got := map[*server]sample{}
			for _, s := range order {
				one, err := load.run(ctx, s, w)
				if err != nil {
					return res, fmt.Errorf("%s on %s: %w", w.name, s.name, err)
				}
				got[s] = one
			}
			if round == 0 {
				continue
			}
			res.add(w.name, pair{stock: got[stock], picobase: got[pico]})
			fmt.Fprintf(out, "round %d/%d %-12s %6.0f → %6.0f req/s, p99 %6.1f → %6.1f ms\n", round, rounds, w.name,
				got[stock].rate, got[pico].rate, got[stock].p99, got[pico].p99)
		}
		if round == 0 {
			fmt.Fprintln(out, "warm-up done")
		}
	}

	var err error
	if res.stockPeak, err = stock.peakMemory(); err != nil {
		return res, err
	}
	res.picobasePeak, err = pico.peakMemory()
	return res, err
}

func parseOptions(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&o.rounds, "rounds", 5, "rounds that count; one warm-up round is added")
	fs.DurationVar(&o.duration, "duration", 4*time.Second, "load per workload, server and round, in whole seconds")
	fs.IntVar(&o.connections, "connections", 32, "open connections of the load generator")
	fs.IntVar(&o.threads, "threads", 1, "threads of the load generator")
	fs.StringVar(&o.picobase, "picobase", "bin/picobase", "PicoBase binary to measure")
	fs.StringVar(&o.stock, "stock", "bin/pocketbase-stock", "where stock PocketBase is built")
	fs.StringVar(&o.only, "only", "", "requests, router, hooks, backups or wake; empty for all")
	fs.StringVar(&o.out, "out", "docs", "folder for the pages")
	fs.BoolVar(&o.write, "write", true, "write the pages")
	fs.StringVar(&o.caddy, "caddy", "bin/caddy-v2.11.9", "Caddy to measure the router against (make bench-router builds it)")
	o.hooks.flags(fs)
	o.backups.flags(fs)
	if err := fs.Parse(args); err != nil {
		return o, err
	}

	err := o.validate()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	return o, err
}

func (o *options) validate() error {
	switch {
	case !slices.Contains([]string{"", partRequests, partRouter, partHooks, partBackups, partWake}, o.only):
		return fmt.Errorf("-only must be %s, %s, %s, %s or %s, got %q", partRequests, partRouter, partHooks, partBackups, partWake, o.only)
	case o.rounds < 1:
		return fmt.Errorf("-rounds must be at least 1, got %d", o.rounds)
	case o.duration < time.Second || o.duration%time.Second != 0:
		return fmt.Errorf("-duration must be whole seconds, got %s", o.duration)
	case o.threads < 1 || o.connections < o.threads:
		return fmt.Errorf("-connections must be at least -threads (1 or more), got %d and %d", o.connections, o.threads)
	}

	if err := errors.Join(o.hooks.validate(), o.backups.validate()); err != nil {
		return err
	}

	// Servers run in their own folder, so a relative path would not be found.
	var err error
	if o.picobase, err = filepath.Abs(o.picobase); err != nil {
		return err
	}
	if o.caddy, err = filepath.Abs(o.caddy); err != nil {
		return err
	}
	o.stock, err = filepath.Abs(o.stock)
	return err
}
