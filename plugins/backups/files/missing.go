package files

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

// File is a file, or PocketBase's sidecar of one, that only the store has.
type File struct {
	Name     string // its path below pb_data/storage, with slashes
	Size     int64
	Modified time.Time

	store objectstore.Store
}

// Open opens the content. The caller closes it.
func (f File) Open(ctx context.Context) (io.ReadCloser, error) {
	return f.store.Get(ctx, f.Name, 0, -1)
}

// Missing yields every file that the store has and a record names, but that the
// local folder lacks, each with its sidecar: what a backup of the local folder
// needs to be whole. An error is yielded last.
func (p *Plugin) Missing(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		if !p.enabled() {
			return
		}
		for e, err := range p.compare(ctx) {
			if err != nil {
				yield(File{}, err)
				return
			}
			if !e.isMissing() {
				continue
			}
			for _, info := range []objectstore.Info{e.stored, e.attrs} {
				if info.Key != "" && !yield(File{info.Key, info.Size, info.Modified, p.cfg.Store}, nil) {
					return
				}
			}
		}
	}
}

func (e *entry) isMissing() bool { return e.named && !e.local && e.stored.Key != "" }

// isPending reports whether the store lacks something of a file.
func (e *entry) isPending() bool {
	return e.named && e.local && (e.stored.Key == "" || e.localAttrs && e.attrs.Key == "")
}
