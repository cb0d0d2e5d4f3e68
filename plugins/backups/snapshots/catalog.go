package snapshots

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/picobase/picobase/internal/objectstore"
)

const (
	catalogSuffix = ".json"

	// maxFailed is how many failed attempts the catalog remembers.
	maxFailed = 20

	// catalogReaders is how many entries are fetched at the same time: a bucket
	// far away takes longer to answer than to send.
	catalogReaders = 8
)

// load reads an entry of the catalog. The error is objectstore.ErrNotFound if
// there is none. An entry that cannot be read as one is empty.
func (v *Vault) load(ctx context.Context, id string) (s Snapshot, etag string, err error) {
	// Before the content: an entry that changes in between is noticed by save.
	info, err := v.cfg.Catalog.Stat(ctx, id+catalogSuffix)
	if err != nil {
		return s, "", fmt.Errorf("read the catalog: %w", err)
	}
	content, err := objectstore.ReadAll(ctx, v.cfg.Catalog, id+catalogSuffix)
	if err != nil {
		return s, "", fmt.Errorf("read the catalog: %w", err)
	}
	if json.Unmarshal(content, &s) != nil {
		s = Snapshot{}
	}
	return s, info.ETag, nil
}

// save writes an entry of the catalog in the place of the one with the etag,
// or as a new one. The error is objectstore.ErrChanged if another was faster.
func (v *Vault) save(ctx context.Context, s Snapshot, etag string) (newETag string, err error) {
	content, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	info, err := v.cfg.Catalog.Put(ctx, s.ID+catalogSuffix, bytes.NewReader(content), objectstore.PutOptions{
		IfAbsent: etag == "", IfMatch: etag,
	})
	if err != nil {
		return "", fmt.Errorf("write the catalog: %w", err)
	}
	return info.ETag, nil
}

// describe is what a snapshot is, given its entry in the catalog and its zip;
// either may be missing.
func describe(entry *Snapshot, zip *objectstore.Info) Snapshot {
	if entry == nil || entry.ID == "" {
		return Snapshot{ID: zip.Key, Kind: Uploaded, Status: OK, Created: zip.Modified.UTC(), At: zip.Modified.UTC(), Size: zip.Size}
	}
	s := *entry
	switch {
	case s.Status != OK:
	case zip == nil:
		s.Status, s.Error = Failed, "the zip is gone"
	case zip.Size != s.Size:
		s.Status, s.Error = Failed, "the zip was changed"
	}
	return s
}

// find returns what is known about one snapshot, and the etag of its entry.
func (v *Vault) find(ctx context.Context, id string) (Snapshot, string, error) {
	if !validName(id) {
		return Snapshot{}, "", ErrNotFound
	}
	var entry *Snapshot
	s, etag, err := v.load(ctx, id)
	switch {
	case err == nil && s.ID == id:
		entry = &s
	case err != nil && !errors.Is(err, objectstore.ErrNotFound):
		return Snapshot{}, "", err
	}
	zip, err := v.cfg.Archive.Stat(ctx, id)
	switch {
	case err == nil:
		zip.Key = id
		return describe(entry, &zip), etag, nil
	case !errors.Is(err, objectstore.ErrNotFound):
		return Snapshot{}, "", fmt.Errorf("look for the zip: %w", err)
	case entry == nil:
		return Snapshot{}, "", ErrNotFound
	}
	return describe(entry, nil), etag, nil
}

// Get returns what is known about a snapshot.
func (v *Vault) Get(ctx context.Context, id string) (Snapshot, error) {
	s, _, err := v.find(ctx, id)
	return s, err
}

// List returns all snapshots, the newest first. A zip that others put into the
// archive is among them, as uploaded and not verified.
func (v *Vault) List(ctx context.Context) ([]Snapshot, error) {
	zips := map[string]objectstore.Info{}
	for info, err := range v.cfg.Archive.List(ctx, "", "") {
		if err != nil {
			return nil, fmt.Errorf("list the zips: %w", err)
		}
		if validName(info.Key) {
			zips[info.Key] = info
		}
	}
	entries, err := v.entries(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Snapshot, 0, len(zips)+len(entries))
	for _, entry := range entries {
		var zip *objectstore.Info
		if info, found := zips[entry.ID]; found {
			zip = &info
		}
		delete(zips, entry.ID)
		all = append(all, describe(&entry, zip))
	}
	for _, zip := range zips {
		all = append(all, describe(nil, &zip))
	}
	slices.SortFunc(all, func(a, b Snapshot) int {
		if order := b.Created.Compare(a.Created); order != 0 {
			return order
		}
		return strings.Compare(b.ID, a.ID)
	})
	return all, nil
}

// entries reads the whole catalog.
func (v *Vault) entries(ctx context.Context) ([]Snapshot, error) {
	var ids []string
	for info, err := range v.cfg.Catalog.List(ctx, "", "") {
		if err != nil {
			return nil, fmt.Errorf("list the catalog: %w", err)
		}
		if id, isEntry := strings.CutSuffix(info.Key, catalogSuffix); isEntry && validName(id) {
			ids = append(ids, id)
		}
	}
	read := make([]Snapshot, len(ids))
	failed := make([]error, len(ids))
	slots := make(chan struct{}, catalogReaders)
	var wait sync.WaitGroup
	for i, id := range ids {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			content, err := objectstore.ReadAll(ctx, v.cfg.Catalog, id+catalogSuffix)
			if errors.Is(err, objectstore.ErrNotFound) {
				return // deleted meanwhile
			}
			failed[i] = err
			if err == nil && json.Unmarshal(content, &read[i]) != nil {
				read[i] = Snapshot{}
			}
		})
	}
	wait.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	kept := read[:0]
	for i, s := range read {
		if s.ID == ids[i] {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// trimFailed forgets all but the newest failed attempts.
func (v *Vault) trimFailed(ctx context.Context) error {
	entries, err := v.entries(ctx)
	if err != nil {
		return err
	}
	failed := slices.DeleteFunc(entries, func(s Snapshot) bool { return !s.half() })
	slices.SortFunc(failed, func(a, b Snapshot) int { return b.Created.Compare(a.Created) })
	for i := maxFailed; i < len(failed); i++ {
		if err := v.Delete(ctx, failed[i].ID); err != nil && !errors.Is(err, ErrBusy) {
			return err
		}
	}
	return nil
}
