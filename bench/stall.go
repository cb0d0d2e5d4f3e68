package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

const (
	// calm is how long a server is watched with nothing going on, and settling
	// what is waited between two operations.
	calm     = 10 * time.Second
	settling = 3 * time.Second
)

// stall is what one operation did to writes, in all runs.
type stall struct {
	connections   int
	server, while string
	longest, p99  []float64 // milliseconds
	took          []float64 // seconds
	writes        []float64 // per second
}

// operation is something that a server does while it is written to.
type operation struct {
	name string
	do   func(context.Context, *server) error
}

const nothing = "nothing"

func stockOperations() []operation {
	return []operation{
		{nothing, func(ctx context.Context, _ *server) error { return pause(ctx, calm) }},
		{"`POST /api/backups`", pocketBaseBackup},
	}
}

func (p *project) picoOperations() []operation {
	return []operation{
		{"first replication", func(ctx context.Context, _ *server) error { return p.waitReplicated(ctx) }},
		{nothing, func(ctx context.Context, _ *server) error { return pause(ctx, calm) }},
		{"`POST /api/v1/backups`", snapshot},
		{"restore drill", drill},
		{"`POST /api/backups`", pocketBaseBackup},
	}
}

// measureStalls watches writes on both servers, one running at a time, with one
// connection and with eight.
func (b *backupBench) measureStalls(ctx context.Context, p *project) ([]stall, error) {
	found := &stalls{}
	for run := range b.opts.backups.runs {
		for _, connections := range []int{1, 8} {
			turns := []func() error{
				func() error { return b.watch(ctx, p.stock, connections, stockOperations(), found) },
				func() error {
					if err := p.withBucket(); err != nil {
						return err
					}
					return b.watch(ctx, p.pico, connections, p.picoOperations(), found)
				},
			}
			if run%2 == 1 {
				turns[0], turns[1] = turns[1], turns[0]
			}
			for _, turn := range turns {
				if err := turn(); err != nil {
					return nil, err
				}
			}
		}
	}
	return found.all, nil
}

// watch starts the server, writes to it during its operations and stops it.
func (b *backupBench) watch(ctx context.Context, s *server, connections int, operations []operation, found *stalls) error {
	defer s.stop()
	if err := s.serve(ctx); err != nil {
		return err
	}
	w := startWriter(ctx, s, connections, b.opts.backups.rate)
	defer w.stop()
	for _, op := range operations {
		from := time.Now()
		if err := op.do(ctx, s); err != nil {
			return fmt.Errorf("%s, %s: %w", s.name, op.name, err)
		}
		to := time.Now()
		if err := pause(ctx, settling); err != nil { // for what waited to be answered too
			return err
		}
		took, err := w.between(from, to)
		if err != nil || len(took) == 0 {
			return fmt.Errorf("%s, %s: %d writes, of which some failed: %w", s.name, op.name, len(took), err)
		}
		one := found.of(connections, s.name, op.name)
		one.longest = append(one.longest, milliseconds(took[len(took)-1]))
		one.p99 = append(one.p99, milliseconds(percentile(took, 99)))
		one.took = append(one.took, to.Sub(from).Seconds())
		one.writes = append(one.writes, float64(len(took))/to.Sub(from).Seconds())
		fmt.Fprintf(b.out, "%d connection(s), %-8s %-24s longest %7.1f ms, p99 %6.1f ms, %5.1f s, %d writes\n", connections, s.name, op.name,
			milliseconds(took[len(took)-1]), milliseconds(percentile(took, 99)), to.Sub(from).Seconds(), len(took))
	}
	w.stop()
	return s.deleteBackups(ctx)
}

// stalls keeps the order in which operations were first seen.
type stalls struct{ all []stall }

func (s *stalls) of(connections int, server, while string) *stall {
	for i, one := range s.all {
		if one.connections == connections && one.server == server && one.while == while {
			return &s.all[i]
		}
	}
	s.all = append(s.all, stall{connections: connections, server: server, while: while})
	return &s.all[len(s.all)-1]
}

func pocketBaseBackup(ctx context.Context, s *server) error {
	return s.api(ctx, http.MethodPost, "/api/backups", map[string]any{}, nil)
}

// snapshot waits until the snapshot is made; the server answers before, when it
// takes long.
func snapshot(ctx context.Context, s *server) error {
	var made struct{ ID, Status, Error string }
	err := s.api(ctx, http.MethodPost, "/api/v1/backups", map[string]any{}, &made)
	for err == nil && made.Status == "creating" {
		if err = pause(ctx, 100*time.Millisecond); err == nil {
			err = s.api(ctx, http.MethodGet, "/api/v1/backups/"+made.ID, nil, &made)
		}
	}
	if err == nil && made.Status != "ok" {
		err = fmt.Errorf("the snapshot is %s: %s", made.Status, made.Error)
	}
	return err
}

func drill(ctx context.Context, s *server) error {
	var report struct{ Status, Error string }
	err := s.api(ctx, http.MethodPost, "/api/v1/backups/drill", nil, &report)
	if err == nil && report.Status != "ok" {
		err = fmt.Errorf("the drill is %s: %s", report.Status, report.Error)
	}
	return err
}

// waitReplicated returns when the bucket has the whole database: its first
// object, which appears when it is complete.
func (p *project) waitReplicated(ctx context.Context) error {
	for {
		entries, err := os.ReadDir(p.gateway.level0(p.bucket))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// deleteBackups makes room for the next ones.
func (s *server) deleteBackups(ctx context.Context) error {
	var all []struct{ Key string }
	if err := s.api(ctx, http.MethodGet, "/api/backups", nil, &all); err != nil {
		return err
	}
	for _, one := range all {
		if err := s.api(ctx, http.MethodDelete, "/api/backups/"+one.Key, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
