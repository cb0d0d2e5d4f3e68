package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	startsOnDisk   = 10
	restoresSmall  = 5
	restoresLarge  = 2
	startPollEvery = time.Millisecond
)

// start is how long one kind of start takes until a record is read.
type start struct {
	size   byteSize
	small  bool
	server string
	from   string
	took   []float64 // milliseconds
}

const (
	fromDisk   = "disk"
	fromBucket = "S3"
)

// measureStarts starts both servers on their folders in turns, and PicoBase on
// empty ones.
func (b *backupBench) measureStarts(ctx context.Context, p *project) ([]start, error) {
	small := p.size == b.opts.backups.small
	stock := start{size: p.size, small: small, server: "stock", from: fromDisk}
	pico := start{size: p.size, small: small, server: "PicoBase", from: fromDisk}
	bucket := start{size: p.size, small: small, server: "PicoBase", from: fromBucket}

	if p.bucket == "" { // stalls were not measured on it
		if err := p.withBucket(); err != nil {
			return nil, err
		}
	}
	// Once for all that is new to a server, its replica above all.
	for _, s := range []*server{p.stock, p.pico} {
		if err := s.serve(ctx); err != nil {
			return nil, err
		}
		if s == p.pico {
			if err := p.waitReplicated(ctx); err != nil {
				return nil, err
			}
			if err := pause(ctx, settling); err != nil {
				return nil, err
			}
		}
		s.stop()
	}

	for run := range startsOnDisk {
		order := []*server{p.stock, p.pico}
		if run%2 == 1 {
			order[0], order[1] = order[1], order[0]
		}
		for _, s := range order {
			took, err := s.firstRead(ctx)
			if err != nil {
				return nil, err
			}
			if s == p.stock {
				stock.took = append(stock.took, took)
			} else {
				pico.took = append(pico.took, took)
			}
		}
	}
	restores := restoresLarge
	if small {
		restores = restoresSmall
	}
	for range restores {
		took, err := b.restore(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("restore: %w", err)
		}
		bucket.took = append(bucket.took, took)
	}
	for _, one := range []start{stock, pico, bucket} {
		fmt.Fprintf(b.out, "start with %s: %s from %s: %s ms\n", &one.size, one.server, one.from, spread(one.took, "%.0f"))
	}
	return []start{stock, pico, bucket}, nil
}

// firstRead starts the server, reads a record and stops it.
func (s *server) firstRead(ctx context.Context) (float64, error) {
	defer s.stop()
	begun := time.Now()
	if err := s.launch(); err != nil {
		return 0, err
	}
	if err := s.waitFor(ctx, recordsPath(readCollection)+"/"+rowID(0), startPollEvery); err != nil {
		return 0, err
	}
	return milliseconds(time.Since(begun)), nil
}

// restore starts PicoBase on an empty folder. What it writes goes to a copy of
// the bucket, so that each restore finds the same.
func (b *backupBench) restore(ctx context.Context, p *project) (float64, error) {
	bucket, err := b.gateway.copyBucket(p.bucket)
	if err != nil {
		return 0, err
	}
	defer func() { _ = b.gateway.removeBucket(bucket) }() // as is the whole folder, later
	empty := newServer("picobase", b.opts.picobase, filepath.Join(p.dir, "restored"))
	empty.env, empty.key, empty.token = b.gateway.env(bucket), p.pico.key, p.pico.token
	if err := os.Mkdir(empty.dir, 0o700); err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(empty.dir) }() // as above
	return empty.firstRead(ctx)
}
