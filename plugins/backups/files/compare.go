package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/list"
)

// lookupBatch is how many records are looked up at a time.
const lookupBatch = 500

// entry is a file that the local folder or the store has.
type entry struct {
	key                string
	named              bool // by its record
	local, localAttrs  bool
	stored, attrs      objectstore.Info // the file and its sidecar in the store; without a key when not there
	collection, record string
}

// storedAt returns when the store was last given anything of the file.
func (e *entry) storedAt() time.Time {
	if e.attrs.Modified.After(e.stored.Modified) {
		return e.attrs.Modified
	}
	return e.stored.Modified
}

// objects returns the keys of the file in the store.
func (e *entry) objects() (keys []string) {
	for _, info := range []objectstore.Info{e.stored, e.attrs} {
		if info.Key != "" {
			keys = append(keys, info.Key)
		}
	}
	return keys
}

// compare yields every file of the store and of the local folder, by record. It
// lists each of them once and holds the files of a few hundred records. An
// error is yielded last and means that nothing is known about the rest.
func (p *Plugin) compare(ctx context.Context) iter.Seq2[*entry, error] {
	return func(yield func(*entry, error) bool) {
		collections, err := p.collections()
		if err != nil {
			yield(nil, err)
			return
		}
		var batch []*entry
		var records int
		flush := func() bool {
			if err := p.nameAll(ctx, collections, batch); err != nil {
				yield(nil, err)
				return false
			}
			for _, e := range batch {
				if !yield(e, nil) {
					return false
				}
			}
			batch, records = batch[:0], 0
			return true
		}

		current := map[string]*entry{} // the files of one record
		var last fileKey
		for seen, err := range p.merge(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			k, ok := parseKey(strings.TrimSuffix(seen.key, attrsExt))
			if !ok {
				continue
			}
			if k.collection != last.collection || k.record != last.record {
				if (k.collection != last.collection || records == lookupBatch) && !flush() {
					return
				}
				clear(current)
				records++
			}
			last = k
			e := current[k.name]
			if e == nil {
				e = &entry{key: k.String(), collection: k.collection, record: k.record}
				current[k.name] = e
				batch = append(batch, e)
			}
			e.add(seen)
		}
		flush()
	}
}

func (e *entry) add(s sighting) {
	isAttrs := s.key != e.key
	switch {
	case isAttrs && s.stored.Key != "":
		e.attrs = s.stored
	case s.stored.Key != "":
		e.stored = s.stored
	}
	e.localAttrs = e.localAttrs || isAttrs && s.local
	e.local = e.local || !isAttrs && s.local
}

// sighting is one name in the local folder, in the store, or in both.
type sighting struct {
	key    string
	local  bool
	stored objectstore.Info
}

// merge yields the names of both sides, sorted.
func (p *Plugin) merge(ctx context.Context) iter.Seq2[sighting, error] {
	return func(yield func(sighting, error) bool) {
		nextLocal, stopLocal := iter.Pull2(p.walk())
		defer stopLocal()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		nextListed, stopStored := iter.Pull2(sorted(p.cfg.Store.List(ctx, "", "")))
		defer stopStored()
		hurry := time.AfterFunc(p.patience, cancel)
		defer hurry.Stop()
		nextStored := func() (objectstore.Info, error, bool) {
			hurry.Reset(p.patience)
			defer hurry.Stop()
			return nextListed()
		}

		local, err, hasLocal := nextLocal()
		stored, storedErr, hasStored := nextStored()
		for hasLocal || hasStored {
			if err := errors.Join(err, storedErr, ctx.Err()); err != nil {
				yield(sighting{}, fmt.Errorf("compare files: %w", err))
				return
			}
			order := cmp.Compare(local, stored.Key)
			if !hasLocal {
				order = 1
			} else if !hasStored {
				order = -1
			}
			var s sighting
			if order <= 0 {
				s.key, s.local = local, true
			}
			if order >= 0 {
				s.key, s.stored = stored.Key, stored
			}
			if !yield(s, nil) {
				return
			}
			if order <= 0 {
				local, err, hasLocal = nextLocal()
			}
			if order >= 0 {
				stored, storedErr, hasStored = nextStored()
			}
		}
	}
}

// sorted fails when a listing is not: files would seem to be missing.
func sorted(listing iter.Seq2[objectstore.Info, error]) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		last := ""
		for info, err := range listing {
			if err == nil && info.Key <= last {
				err = fmt.Errorf("the store's list is not sorted: %q after %q", info.Key, last)
			}
			last = info.Key
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// walk yields the keys of the local files, sorted. It leaves out thumbnails.
func (p *Plugin) walk() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		root := p.storageDir()
		collections, err := folders(root)
		if err != nil {
			yield("", err)
			return
		}
		for _, collection := range collections {
			records, err := folders(filepath.Join(root, collection))
			if err != nil {
				yield("", err)
				return
			}
			for _, record := range records {
				dir := filepath.Join(root, collection, record)
				files, err := readDir(dir)
				if err != nil {
					yield("", err)
					return
				}
				for _, file := range files {
					name := file.Name()
					switch {
					case file.IsDir():
					case strings.HasPrefix(name, tempPrefix):
						removeStale(filepath.Join(dir, name))
					case !yield(collection+"/"+record+"/"+name, nil):
						return
					}
				}
			}
		}
	}
}

// folders returns the folders in dir, sorted as their contents are.
func folders(dir string) (names []string, err error) {
	entries, err := readDir(dir)
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(a+"/", b+"/") })
	return names, err
}

func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return nil, nil
	}
	return entries, err
}

// removeStale removes a download that a crash left behind.
func removeStale(path string) {
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
		_ = os.Remove(path)
	}
}

func (p *Plugin) collections() (map[string]*core.Collection, error) {
	if !p.app.IsBootstrapped() { // PocketBase would panic
		return nil, errors.New("read collections: the database is closed")
	}
	all, err := p.app.FindAllCollections(core.CollectionTypeBase, core.CollectionTypeAuth)
	if err != nil {
		return nil, fmt.Errorf("read collections: %w", err)
	}
	byID := make(map[string]*core.Collection, len(all))
	for _, c := range all {
		byID[c.Id] = c
	}
	return byID, nil
}

// nameAll finds out which entries, all of one collection, a record names.
func (p *Plugin) nameAll(ctx context.Context, collections map[string]*core.Collection, entries []*entry) error {
	if len(entries) == 0 {
		return nil
	}
	c := collections[entries[0].collection]
	if c == nil {
		return nil
	}
	columns := []string{core.FieldNameId}
	for _, field := range c.Fields {
		if field.Type() == core.FieldTypeFile {
			columns = append(columns, field.GetName())
		}
	}
	if len(columns) == 1 {
		return nil
	}
	var ids []any
	for _, e := range entries {
		if len(ids) == 0 || ids[len(ids)-1] != e.record {
			ids = append(ids, e.record)
		}
	}
	var rows []dbx.NullStringMap
	err := p.app.ConcurrentDB().Select(columns...).From(c.Name).
		Where(dbx.In(core.FieldNameId, ids...)).WithContext(ctx).All(&rows)
	if err != nil {
		return fmt.Errorf("look up files of %s: %w", c.Name, err)
	}
	named := map[string]bool{}
	for _, row := range rows {
		prefix := c.BaseFilesPath() + "/" + row[core.FieldNameId].String + "/"
		for _, column := range columns[1:] {
			// One name or a JSON array, told apart as PocketBase does.
			for _, name := range list.ToUniqueStringSlice(row[column].String) {
				named[prefix+name] = true
			}
		}
	}
	for _, e := range entries {
		e.named = named[e.key]
	}
	return nil
}

// isNamed reports whether a record names the file at present.
func (p *Plugin) isNamed(ctx context.Context, key string) (bool, error) {
	k, _ := parseKey(key)
	e := &entry{key: key, collection: k.collection, record: k.record}
	collections, err := p.collections()
	if err != nil {
		return false, err
	}
	err = p.nameAll(ctx, collections, []*entry{e})
	return e.named, err
}
