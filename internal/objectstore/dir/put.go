package dir

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

const (
	lockFile   = own + "/lock"
	tempPrefix = "put-"

	// hashLimit is up to which size the ETag is a hash. What is stored under a
	// condition is small, so its ETag is certain and survives a copy of the
	// folder, and Stat stays cheap.
	hashLimit = 64 << 10
)

// Put writes a file beside the objects and renames it when it is on the disk.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	info, err := s.put(ctx, key, body, opts)
	if err != nil {
		return objectstore.Info{}, fmt.Errorf("put %q: %w", key, err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (info objectstore.Info, err error) {
	if err := checkKey(key); err != nil {
		return info, err
	}
	if err := os.MkdirAll(s.root, 0o700); err != nil { //nolint:gosec // the operator names the folder
		return info, err
	}
	root, err := s.open(ctx)
	if err != nil {
		return info, err
	}
	defer func() { _ = root.Close() }()
	var tidyErr error
	s.tidying.Do(func() { tidyErr = tidy(root) })
	if tidyErr != nil {
		return info, fmt.Errorf("tidy: %w", tidyErr)
	}

	file, temp, err := create(root)
	if err != nil {
		return info, err
	}
	defer func() { _ = file.Close() }()
	defer func() {
		if err != nil {
			_ = root.Remove(temp)
		}
	}()
	if _, err := io.Copy(file, contextReader{ctx, body}); err != nil {
		return info, err
	}
	if !opts.Time.IsZero() {
		if err := root.Chtimes(temp, time.Time{}, opts.Time); err != nil {
			return info, err
		}
	}
	if err := file.Sync(); err != nil {
		return info, err
	}
	if err := publish(ctx, root, temp, key, opts); err != nil {
		return info, err
	}
	return describe(file, key)
}

// publish makes the file temp the object key, if opts allow.
func publish(ctx context.Context, root *os.Root, temp, key string, opts objectstore.PutOptions) error {
	unlock, err := lock(root)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := check(root, key, opts); err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(key), 0o700); err != nil {
		return err
	}
	if err := root.Rename(temp, key); err != nil {
		return err
	}
	// The folders above may be new as well.
	for folder := path.Dir(key); ; folder = path.Dir(folder) {
		if err := syncFolder(root, folder); err != nil || folder == "." {
			return err
		}
	}
}

// check returns ErrChanged unless the object is as opts ask.
func check(root *os.Root, key string, opts objectstore.PutOptions) error {
	if !opts.IfAbsent && opts.IfMatch == "" {
		return nil
	}
	file, err := openObject(root, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		if opts.IfMatch != "" {
			return objectstore.ErrChanged
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := describe(file, key)
	if err != nil {
		return err
	}
	if opts.IfAbsent || info.ETag != opts.IfMatch {
		return objectstore.ErrChanged
	}
	return nil
}

func syncFolder(root *os.Root, folder string) error {
	file, err := root.Open(folder)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return file.Sync()
}

// describe computes the Info of an open object. No file is written to once it
// is an object, so what it says of one file fits together.
func describe(file *os.File, key string) (objectstore.Info, error) {
	stat, err := file.Stat()
	if err != nil {
		return objectstore.Info{}, err
	}
	info := objectstore.Info{Key: key, Size: stat.Size(), Modified: stat.ModTime()}
	hash := sha256.New()
	if info.Size <= hashLimit {
		_, err = io.Copy(hash, io.NewSectionReader(file, 0, hashLimit))
	} else {
		// The time of change is of the last rename and nobody can set it.
		var changed int64
		changed, err = changeTime(file)
		_, _ = fmt.Fprint(hash, info.Size, info.Modified.UnixNano(), changed)
	}
	info.ETag = hex.EncodeToString(hash.Sum(nil)[:16])
	return info, err
}

// create creates a file to write an object to. It is locked as long as it is
// open, so that tidy knows whose writer is gone.
func create(root *os.Root) (file *os.File, name string, err error) {
	unlock, err := lock(root) // until it is locked, tidy must not see it
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	name = own + "/" + tempPrefix + rand.Text()
	file, err = root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", err
	}
	if _, err := flock(file, false); err != nil {
		_ = file.Close()
		_ = root.Remove(name)
		return nil, "", err
	}
	return file, name, nil
}

// tidy removes files that were being written when their process was killed.
// The first Put of a process does it: that is when they would start to add up.
func tidy(root *os.Root) error {
	unlock, err := lock(root)
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := readDir(root, own)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		name := own + "/" + entry.Name()
		file, err := root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its Put failed meanwhile
		}
		if err != nil {
			return err
		}
		free, err := flock(file, false)
		if free {
			err = root.Remove(name)
		}
		_ = file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// lock keeps all other goroutines and processes out of the folder's changes.
func lock(root *os.Root) (unlock func(), err error) {
	if err := root.Mkdir(own, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	file, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := flock(file, true); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return func() { _ = file.Close() }, nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
