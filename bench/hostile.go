package main

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed hooks/hostile.pb.js
var hostileHook string

const (
	attackers = 12 // at once, each with its next attack as soon as the last one was ended
	prober    = 25 // requests per second of each kind, a steady trickle that leaves the cores to others
)

var attackPaths = []string{"/loop", "/memory", "/regexp", "/promises", "/network"}

// suspending are those that are suspended after a while: all that compute.
var suspending = attackPaths[:4]

// attack is what hostile hooks do to one kind of request: p95 in milliseconds of each round,
// without them, with them at first, and when those that compute were suspended.
type attack struct {
	name string

	calm, first, attacked []float64

	needsVM         bool // a hook's own route
	failed, answers int
}

// ratios are of two parts of each round.
func ratios(calm, attacked []float64) (all []float64) {
	for i := range calm {
		all = append(all, attacked[i]/calm[i])
	}
	return all
}

// probes are the kinds of requests that are watched.
func probes() []workload {
	all := append(slices.Clone(workloads), workload{name: "a hook's route", method: http.MethodGet, path: "/hello"})
	for i := range all {
		if len(all[i].paths) > 0 {
			all[i].path = all[i].paths[0]
		}
	}
	return all
}

// measureAttacks watches requests to one server without and with attackers, in turns.
func measureAttacks(ctx context.Context, opts options, work string, out io.Writer) ([]attack, error) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts in its backlog, and answers nobody
	if err != nil {
		return nil, err
	}
	defer func() { _ = silent.Close() }() // nothing was written to it
	s := newServer("picobase", opts.picobase, filepath.Join(work, "attacked"))
	defer s.stop()
	if err := s.startPicoBase(ctx); err != nil {
		return nil, fmt.Errorf("start PicoBase: %w", err)
	}
	if err := s.seed(ctx); err != nil {
		return nil, err
	}
	err = s.api(ctx, http.MethodPatch, "/api/v1/settings", map[string]any{"jshooks": map[string]any{"allowedPrivateHosts": []string{"127.0.0.1"}}}, nil)
	if err != nil {
		return nil, err
	}
	source := strings.ReplaceAll(hostileHook, "SILENT", "http://"+silent.Addr().String()+"/")

	var found []attack
	for _, w := range probes() {
		found = append(found, attack{name: w.name, needsVM: w.path == "/hello"})
	}
	for round := 0; round <= opts.rounds; round++ { // round 0 warms up
		// A new version: nothing is held against its hooks.
		version := map[string]string{"hostile.pb.js": fmt.Sprintf("%s// round %d\n", source, round)}
		if err := s.api(ctx, http.MethodPost, "/api/v1/hooks", map[string]any{"files": version}, nil); err != nil {
			return nil, err
		}
		calm := s.probe(ctx, opts.hooks.watch)
		end := s.attack(ctx)
		first := s.probe(ctx, opts.hooks.watch)
		err := s.awaitSuspended(ctx)
		attacked := s.probe(ctx, opts.hooks.watch)
		end()
		if err := cmp.Or(ctx.Err(), err); err != nil {
			return nil, err
		}
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
		for i := range found {
			if calm[i].failed > 0 {
				return nil, fmt.Errorf("%s failed with nothing on: %w", found[i].name, calm[i].err)
			}
			if round == 0 {
				continue
			}
			found[i].calm = append(found[i].calm, calm[i].p95())
			found[i].first = append(found[i].first, first[i].p95())
			found[i].attacked = append(found[i].attacked, attacked[i].p95())
			failed, answers := first[i].failed+attacked[i].failed, len(first[i].took)+len(attacked[i].took)
			found[i].failed += failed
			found[i].answers += answers
			fmt.Fprintf(out, "round %d/%d %-14s p95 %6.1f → %6.1f → %6.1f ms, %d of %d failed\n", round, opts.rounds, found[i].name,
				calm[i].p95(), first[i].p95(), attacked[i].p95(), failed, answers)
		}
	}
	return found, nil
}

// attack sends attacks until it is ended.
func (s *server) attack(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: attackers}}
	var done sync.WaitGroup
	for i := range attackers {
		done.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				_, _ = s.send(ctx, client, workload{method: http.MethodGet, path: attackPaths[n%len(attackPaths)]}) // it has to fail
			}
		})
	}
	return func() {
		cancel()
		done.Wait()
		client.CloseIdleConnections()
	}
}

// awaitSuspended waits until each hook that computes is refused.
func (s *server) awaitSuspended(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, path := range suspending {
		for {
			body, err := s.send(ctx, http.DefaultClient, workload{method: http.MethodGet, path: path})
			if err == nil {
				return fmt.Errorf("%s was answered with %s", path, body)
			}
			if strings.Contains(err.Error(), "hook_suspended") {
				break
			}
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return fmt.Errorf("%s is not suspended: %w", path, err)
			}
		}
	}
	return nil
}

// probed is what was seen of one kind of request.
type probed struct {
	took   []time.Duration
	failed int
	err    error // one of the failures
}

func (p probed) p95() float64 {
	return milliseconds(percentile(slices.Sorted(slices.Values(p.took)), 95))
}

// probe sends requests of each kind at a steady pace, whether or not those before are answered, and times them.
func (s *server) probe(ctx context.Context, watch time.Duration) []probed {
	found := make([]probed, len(probes()))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	var done sync.WaitGroup
	var mu sync.Mutex
	for n := range int(watch * prober / time.Second) {
		if pause(ctx, time.Second/prober/time.Duration(len(found))) != nil {
			break
		}
		for i, w := range probes() {
			if i > 0 && pause(ctx, time.Second/prober/time.Duration(len(found))) != nil {
				break
			}
			if rows := workloads[2].paths; w.name == "view" {
				w.path = rows[n%len(rows)]
			}
			done.Go(func() {
				begun := time.Now()
				_, err := s.send(ctx, client, w)
				took := time.Since(begun)
				mu.Lock()
				defer mu.Unlock()
				found[i].took = append(found[i].took, took)
				if err != nil {
					found[i].failed++
					found[i].err = cmp.Or(found[i].err, err)
				}
			})
		}
	}
	done.Wait()
	return found
}
