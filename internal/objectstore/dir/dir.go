// Package dir keeps objects as files in a folder.
//
// It is for a disk or share that is mounted, and for tests. The file system must
// know flock. It watches nothing and shares the limits of files: a key's parts
// are up to 255 bytes long, and "a" and "a/b" cannot both be objects.
//
//	store := dir.New("/backups")
//	_, err := store.Put(ctx, "a/b", body, objectstore.PutOptions{})
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/picobase/picobase/internal/objectstore"
)

// own is the folder in the root for what is no object: the lock, and files
// that are being written.
const own = ".picobase"

// Store is a folder. Several processes may use the same one.
type Store struct {
	root    string
	tidying sync.Once
}

var _ objectstore.Store = (*Store)(nil)

// New returns the store in the folder root, which the first Put creates.
func New(root string) *Store { return &Store{root: root} }

// open opens the folder so that no key and no symbolic link leads out of it.
// A folder that is not there yet is ErrNotFound.
func (s *Store) open(ctx context.Context) (*os.Root, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.root)
	if err != nil {
		return nil, notFound(err)
	}
	return root, nil
}

// checkKey refuses what is not one plain path below the root.
func checkKey(key string) error {
	first, _, _ := strings.Cut(key, "/")
	switch {
	case key == ".", !fs.ValidPath(key), strings.Contains(key, "\x00"):
		return errors.New("not a valid key")
	case strings.EqualFold(first, own): // some file systems fold case
		return fmt.Errorf("keys in %s are reserved", own)
	}
	return nil
}

// notFound gives the errors of a missing file one name.
func notFound(err error) error {
	// ENOTDIR: "a/b" where "a" is an object.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return objectstore.ErrNotFound
	}
	return err
}

// openObject opens the file of the object key.
func openObject(root *os.Root, key string) (*os.File, error) {
	file, err := root.Open(key)
	if err != nil {
		return nil, notFound(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = objectstore.ErrNotFound
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// withObject opens the object and wraps all errors.
func (s *Store) withObject(ctx context.Context, op, key string, do func(*os.File) error) error {
	err := checkKey(key)
	if err == nil {
		err = func() error {
			root, err := s.open(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = root.Close() }()
			file, err := openObject(root, key)
			if err != nil {
				return err
			}
			return do(file)
		}()
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", op, key, err)
	}
	return nil
}

// Get opens a range of the object. What is open stays as it is when the object
// is replaced or deleted.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (body io.ReadCloser, err error) {
	if offset < 0 {
		return nil, fmt.Errorf("get %q: offset %d is below 0", key, offset)
	}
	err = s.withObject(ctx, "get", key, func(file *os.File) error {
		if _, err := file.Seek(offset, io.SeekStart); err != nil {
			_ = file.Close()
			return err
		}
		var r io.Reader = file
		if length >= 0 {
			r = io.LimitReader(file, length)
		}
		body = &reader{ctx: ctx, r: r, file: file}
		return nil
	})
	return body, err
}

type reader struct {
	ctx  context.Context
	r    io.Reader
	file *os.File
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (r *reader) Close() error { return r.file.Close() }

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (info objectstore.Info, err error) {
	err = s.withObject(ctx, "stat", key, func(file *os.File) error {
		defer func() { _ = file.Close() }()
		info, err = describe(file, key)
		return err
	})
	return info, err
}

// List walks the folder in the order of the keys.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		root, err := s.open(ctx)
		if errors.Is(err, objectstore.ErrNotFound) {
			return
		}
		if err != nil {
			yield(objectstore.Info{}, fmt.Errorf("list %q: %w", prefix, err))
			return
		}
		defer func() { _ = root.Close() }()
		w := walk{ctx: ctx, root: root, prefix: prefix, after: after, yield: yield}
		if _, err := w.folder(""); err != nil {
			yield(objectstore.Info{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

type walk struct {
	ctx           context.Context
	root          *os.Root
	prefix, after string
	yield         func(objectstore.Info, error) bool
}

// folder yields what is below the folder, "" or with its slash, and reports
// whether the walk goes on.
func (w *walk) folder(folder string) (more bool, err error) {
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	entries, err := readDir(w.root, folder)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		switch key := folder + name(entry); {
		case key == own+"/":
		case entry.IsDir():
			inPrefix := strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key)
			isBefore := key < w.after && !strings.HasPrefix(w.after, key)
			if !inPrefix || isBefore {
				continue
			}
			if more, err := w.folder(key); !more {
				return false, err
			}
		case entry.Type().IsRegular() && strings.HasPrefix(key, w.prefix) && key > w.after:
			file, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted since
			}
			if err != nil {
				return false, err
			}
			if !w.yield(objectstore.Info{Key: key, Size: file.Size(), Modified: file.ModTime()}, nil) {
				return false, nil
			}
		}
	}
	return true, nil
}

// readDir returns the entries in the order of the keys below them. A folder
// that was removed meanwhile has none.
func readDir(root *os.Root, folder string) ([]fs.DirEntry, error) {
	file, err := root.Open(path.Clean(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	entries, err := file.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(name(a), name(b)) })
	return entries, err
}

func name(entry fs.DirEntry) string {
	if entry.IsDir() {
		return entry.Name() + "/"
	}
	return entry.Name()
}

// Delete deletes the objects and the folders that become empty.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	root, err := s.open(ctx)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		if err := deleteObject(root, key); err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			return fmt.Errorf("delete %q: %w", key, err)
		}
	}
	return nil
}

func deleteObject(root *os.Root, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	// Not Remove alone, which would take an empty folder too.
	file, err := openObject(root, key)
	if err != nil {
		return err
	}
	_ = file.Close()
	// The lock keeps folders from going while a Put is about to use them.
	unlock, err := lock(root)
	if err != nil {
		return err
	}
	defer unlock()
	if err := root.Remove(key); err != nil {
		return notFound(err)
	}
	for folder := path.Dir(key); folder != "."; folder = path.Dir(folder) {
		if root.Remove(folder) != nil {
			break // not empty
		}
	}
	return nil
}
