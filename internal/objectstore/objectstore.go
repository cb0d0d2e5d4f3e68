// Package objectstore keeps objects: whole files under slash-separated keys.
//
// It is what backups and replicas are written to: a bucket (package s3) or a
// folder (package dir), optionally encrypted (package sealed). It knows nothing
// of what the objects are. storetest holds what every implementation must do.
//
//	store := objectstore.Prefix(bucket, "replica/")
//	_, err := store.Put(ctx, "a/b", body, objectstore.PutOptions{})
package objectstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"time"
)

// The conditions that callers branch on; every other error means that it is not
// known what the store holds.
var (
	// ErrNotFound: there is no object with that key.
	ErrNotFound = errors.New("object not found")

	// ErrChanged: the object is not as PutOptions.IfMatch or IfAbsent asked.
	ErrChanged = errors.New("object was changed by somebody else")
)

// Info describes an object.
type Info struct {
	Key  string
	Size int64 // bytes of content, as Get returns it

	// Modified is when the object was stored. From Stat and Put it is
	// PutOptions.Time where that was given.
	Modified time.Time

	// ETag changes with the content; see PutOptions.IfMatch. List may leave it empty.
	ETag string
}

// PutOptions says how an object is stored.
type PutOptions struct {
	// Time is the moment that the content is of, kept with the object. Zero for now.
	Time time.Time

	// IfAbsent stores only if there is no such object yet, else Put returns ErrChanged.
	IfAbsent bool

	// IfMatch stores only over the object with this ETag, else Put returns ErrChanged.
	IfMatch string
}

// Store keeps objects. Its methods may be called from many goroutines. Errors
// never hold credentials.
//
// A key is a plain path: parts of up to 255 bytes of UTF-8 between slashes, none
// of them empty, "." or "..". A key must not be a folder of another, as "a" is
// of "a/b": not every store can keep both.
type Store interface {
	// Put stores body under key, whole or not at all, in the place of what was
	// there. A body that fails to read stores nothing. A body that can seek may
	// be read more than once. After any error but ErrChanged the object may be
	// stored all the same: an answer can get lost.
	Put(ctx context.Context, key string, body io.Reader, opts PutOptions) (Info, error)

	// Get opens length bytes of the object from offset on, or all after offset
	// with a length below 0. The caller closes the reader. A range that reaches
	// past the end is cut; one that begins there or later is empty.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)

	// Stat describes the object.
	Stat(ctx context.Context, key string) (Info, error)

	// List yields the objects whose keys begin with prefix, sorted by key, after
	// the key after. A failure is yielded last.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// Delete deletes the objects. Those that are not there are no failure.
	Delete(ctx context.Context, keys ...string) error
}

// Prefix returns the part of store whose keys begin with prefix; a prefix is
// usually a folder, with its slash.
func Prefix(store Store, prefix string) Store {
	if prefix == "" {
		return store
	}
	return prefixed{store, prefix}
}

type prefixed struct {
	store  Store
	prefix string
}

func (p prefixed) info(info Info, err error) (Info, error) {
	info.Key = strings.TrimPrefix(info.Key, p.prefix)
	return info, err
}

func (p prefixed) Put(ctx context.Context, key string, body io.Reader, opts PutOptions) (Info, error) {
	return p.info(p.store.Put(ctx, p.prefix+key, body, opts))
}

func (p prefixed) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	return p.store.Get(ctx, p.prefix+key, offset, length)
}

func (p prefixed) Stat(ctx context.Context, key string) (Info, error) {
	return p.info(p.store.Stat(ctx, p.prefix+key))
}

func (p prefixed) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	if after != "" {
		after = p.prefix + after
	}
	return func(yield func(Info, error) bool) {
		for info, err := range p.store.List(ctx, p.prefix+prefix, after) {
			if !yield(p.info(info, err)) {
				return
			}
		}
	}
}

func (p prefixed) Delete(ctx context.Context, keys ...string) error {
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = p.prefix + key
	}
	return p.store.Delete(ctx, full...)
}

// ReadAll returns the content of a small object.
func ReadAll(ctx context.Context, store Store, key string) ([]byte, error) {
	body, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
