package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/superfly/ltx"
)

const (
	minGap, maxGap = 50 * time.Millisecond, 700 * time.Millisecond

	// look is how often the bucket's folder is read, and so how exact a delay is.
	look = 2 * time.Millisecond

	// lost is when a write that is in no object yet counts as never replicated.
	lost = 30 * time.Second
)

// measureDelays times writes from their acknowledgement to the moment when the
// bucket has an object that holds them. The records' ids are looked for in the
// objects' pages: a new object alone could have been read from the database before.
func (b *backupBench) measureDelays(ctx context.Context) ([]time.Duration, error) {
	bucket, err := b.gateway.newBucket()
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.gateway.removeBucket(bucket) }() // as is the whole folder, later
	s := newServer("picobase", b.opts.picobase, filepath.Join(b.work, "delay"))
	s.env = b.gateway.env(bucket)
	defer s.stop()
	if err := s.startPicoBase(ctx); err != nil {
		return nil, fmt.Errorf("start PicoBase: %w", err)
	}
	if err := s.createCollections(ctx); err != nil {
		return nil, err
	}
	if err := pause(ctx, settling); err != nil {
		return nil, err
	}
	fmt.Fprintf(b.out, "timing %d writes on their way to the bucket\n", b.opts.backups.delays)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := &bucketWatch{dir: b.gateway.level0(bucket), seen: map[string]bool{}, waiting: map[string]time.Time{}}
	if _, err := watch.look(); err != nil { // what is there already
		return nil, err
	}
	failed := make(chan error, 1)
	go func() { failed <- watch.run(ctx) }()
	for range b.opts.backups.delays {
		raw, err := s.create(ctx, http.DefaultClient, newRow())
		if err != nil {
			return nil, err
		}
		acknowledged := time.Now()
		var record struct{ ID string }
		if err := json.Unmarshal(raw, &record); err != nil || record.ID == "" {
			return nil, fmt.Errorf("create answered %q", raw)
		}
		watch.expect(record.ID, acknowledged)
		if err := pause(ctx, minGap+rand.N(maxGap-minGap)); err != nil {
			return nil, err
		}
	}
	for begun := time.Now(); !watch.complete(); {
		if time.Since(begun) > lost {
			return nil, errors.New("some writes never came to the bucket")
		}
		if err := pause(ctx, look); err != nil {
			return nil, err
		}
	}
	cancel()
	if err := <-failed; err != nil {
		return nil, err
	}
	return slices.Sorted(slices.Values(watch.delays)), nil
}

// bucketWatch looks for records in new objects of a bucket.
type bucketWatch struct {
	dir  string
	seen map[string]bool // objects

	mu      sync.Mutex
	recent  [][]byte             // pages of the objects that came last
	waiting map[string]time.Time // since when, by record
	delays  []time.Duration
}

// keep is how many of the last objects are remembered: one can be there before
// the client has read that its write is acknowledged.
const keep = 4

func (w *bucketWatch) expect(id string, acknowledged time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[id] = acknowledged
	w.find(acknowledged, w.recent...)
}

// came takes note of the pages of new objects.
func (w *bucketWatch) came(pages []byte, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.find(at, pages)
	w.recent = append(w.recent, pages)
	w.recent = w.recent[max(0, len(w.recent)-keep):]
}

func (w *bucketWatch) find(at time.Time, objects ...[]byte) {
	for id, since := range w.waiting {
		if slices.ContainsFunc(objects, func(pages []byte) bool { return bytes.Contains(pages, []byte(id)) }) {
			w.delays = append(w.delays, at.Sub(since))
			delete(w.waiting, id)
		}
	}
}

func (w *bucketWatch) complete() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) == 0
}

func (w *bucketWatch) run(ctx context.Context) error {
	for pause(ctx, look) == nil {
		pages, err := w.look()
		if err != nil {
			return err
		}
		if pages != nil {
			w.came(pages, time.Now())
		}
	}
	return nil
}

// look returns the pages in objects that were not there before, nil without any.
func (w *bucketWatch) look() ([]byte, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var pages []byte
	for _, entry := range entries {
		if w.seen[entry.Name()] {
			continue
		}
		content, err := readPages(filepath.Join(w.dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", entry.Name(), err)
		}
		w.seen[entry.Name()] = true
		pages = append(pages, content...)
	}
	return pages, nil
}

func readPages(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from
	decoder := ltx.NewDecoder(file)
	if err := decoder.DecodeHeader(); err != nil {
		return nil, err
	}
	var pages []byte
	page := make([]byte, decoder.Header().PageSize)
	for {
		var header ltx.PageHeader
		err := decoder.DecodePage(&header, page)
		if errors.Is(err, io.EOF) {
			return pages, nil
		}
		if err != nil {
			return nil, err
		}
		pages = append(pages, page...)
	}
}
