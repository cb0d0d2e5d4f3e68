package files

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

// marksKey is the object that remembers since when files are unreferenced. It is
// one object, and not one for each file, because it is then replaced as a whole
// or not at all, costs one request a day, and no listing has to skip over it.
const marksKey = ".unreferenced.json.gz"

// minAge is how old what is in the store must be before a sweep looks at it.
const minAge = time.Hour

// marks says since when, in Unix seconds, no record has named a file.
type marks map[string]int64

// sweep collects what a reconcile finds that no record names.
type sweep struct {
	p       *Plugin
	now     time.Time
	old     marks
	found   marks
	expired []*entry
}

// newSweep reads the marks of earlier sweeps.
func (p *Plugin) newSweep(ctx context.Context) (*sweep, error) {
	s := &sweep{p: p, now: p.cfg.Now(), old: marks{}, found: marks{}}
	ctx, cancel := p.budget(ctx, 0)
	defer cancel()
	packed, err := objectstore.ReadAll(ctx, p.cfg.Store, marksKey)
	if errors.Is(err, objectstore.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	if s.old, err = unpackMarks(packed); err != nil {
		// Without marks files are kept longer, which does no harm.
		p.logError("sweep begins anew", fmt.Errorf("read marks: %w", err))
		s.old = marks{}
	}
	return s, nil
}

// see takes a file that is in the store and that no record names.
func (s *sweep) see(e *entry) {
	if s.now.Sub(e.storedAt()) < minAge {
		return
	}
	since, ok := s.old[e.key]
	if !ok || since > s.now.Unix() {
		since = s.now.Unix()
	}
	s.found[e.key] = since
	if s.now.Sub(time.Unix(since, 0)) > s.p.retention() {
		s.expired = append(s.expired, e)
	}
}

// finish stores the marks and deletes what has expired. It must only be called
// when everything was seen: a file that was not loses its mark.
func (s *sweep) finish(ctx context.Context) error {
	if !maps.Equal(s.old, s.found) {
		if err := s.p.writeMarks(ctx, s.found); err != nil {
			return fmt.Errorf("write marks: %w", err)
		}
	}
	return s.p.deleteUnnamed(ctx, s.expired)
}

func (p *Plugin) writeMarks(ctx context.Context, m marks) error {
	packed, err := packMarks(m)
	if err != nil {
		return err
	}
	ctx, cancel := p.budget(ctx, int64(len(packed)))
	defer cancel()
	_, err = p.cfg.Store.Put(ctx, marksKey, bytes.NewReader(packed), objectstore.PutOptions{})
	return err
}

// deleteUnnamed deletes files from the store, looking once more whether a record
// names them.
func (p *Plugin) deleteUnnamed(ctx context.Context, expired []*entry) error {
	if len(expired) == 0 {
		return nil
	}
	collections, err := p.collections()
	if err != nil {
		return err
	}
	for len(expired) > 0 {
		n := 1
		for n < min(len(expired), lookupBatch) && expired[n].collection == expired[0].collection {
			n++
		}
		if err := p.nameAll(ctx, collections, expired[:n]); err != nil {
			return err
		}
		var keys []string
		for _, e := range expired[:n] {
			if !e.named && !p.uploads.has(e.key) {
				keys = append(keys, e.objects()...)
			}
		}
		if len(keys) > 0 {
			deadline, cancel := p.budget(ctx, 0)
			err := p.cfg.Store.Delete(deadline, keys...)
			cancel()
			if err != nil {
				return fmt.Errorf("delete unreferenced files: %w", err)
			}
		}
		expired = slices.Delete(expired, 0, n)
	}
	return nil
}

func (p *Plugin) retention() time.Duration {
	if retention := p.cfg.Retention(); retention > 0 {
		return retention
	}
	return defaultRetention
}

func packMarks(m marks) ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	err := errors.Join(json.NewEncoder(w).Encode(m), w.Close())
	return packed.Bytes(), err
}

func unpackMarks(packed []byte) (m marks, err error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read from
	err = json.NewDecoder(r).Decode(&m)
	return m, err
}
