package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// onOff compares a server that replicates with one that does not: of each pair,
// stock is the one without.
type onOff struct {
	into  string
	pairs []pair
}

// measureOnOff loads PicoBase without replication, with replication into a
// bucket and with replication into its own folder, in turns.
func (b *backupBench) measureOnOff(ctx context.Context) ([]onOff, error) {
	bucket, err := b.gateway.newBucket()
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.gateway.removeBucket(bucket) }() // as is the whole folder, later

	off := newServer("off", b.opts.picobase, filepath.Join(b.work, "off"))
	off.args = []string{"--replication", "off"}
	toBucket := newServer("S3", b.opts.picobase, filepath.Join(b.work, "on-s3"))
	toBucket.env = b.gateway.env(bucket)
	toFolder := newServer("folder", b.opts.picobase, filepath.Join(b.work, "on-folder"))

	order := []*server{off, toBucket, toFolder}
	for _, s := range order {
		defer s.stop()
		if err := s.startPicoBase(ctx); err != nil {
			return nil, fmt.Errorf("start PicoBase: %w", err)
		}
		if err := s.createCollections(ctx); err != nil {
			return nil, err
		}
	}
	load, err := newWrk(b.work, b.opts)
	if err != nil {
		return nil, err
	}
	found := []onOff{{into: toBucket.name}, {into: toFolder.name}}
	for round := 0; round <= b.opts.rounds; round++ { // round 0 warms up
		got := map[*server]sample{}
		for _, s := range order {
			if got[s], err = load.run(ctx, s, createWorkload()); err != nil {
				return nil, fmt.Errorf("create with replication %s: %w", s.name, err)
			}
		}
		if round > 0 {
			found[0].pairs = append(found[0].pairs, pair{stock: got[off], picobase: got[toBucket]})
			found[1].pairs = append(found[1].pairs, pair{stock: got[off], picobase: got[toFolder]})
			fmt.Fprintf(b.out, "round %d/%d create, replication off %6.0f, S3 %6.0f, folder %6.0f req/s, p99 %5.1f, %5.1f, %5.1f ms\n", round, b.opts.rounds,
				got[off].rate, got[toBucket].rate, got[toFolder].rate, got[off].p99, got[toBucket].p99, got[toFolder].p99)
		}
		// Each comes first, second and last in turn.
		order = append(slices.Clone(order[1:]), order[0])
	}
	return found, nil
}

func createWorkload() workload {
	return workloads[slices.IndexFunc(workloads, func(w workload) bool { return w.name == "create" })]
}
