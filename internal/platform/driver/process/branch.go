package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// branchEnv names the data folder that a tenant begins as a copy of.
const branchEnv = "PICOBASE_BRANCH_FROM"

// branchParts are what is read of that folder: its replica and uploaded files.
var branchParts = []string{filepath.Join(".pico", "store"), "storage"}

// copyTries is how often a copy is begun anew because its source has changed.
const copyTries = 10

func (t *tenant) branchDir() string { return filepath.Join(t.dir(), "branch") }

// shareBranch makes what a tenant is to begin as a copy of readable for it: the
// other tenant's folder is that one's user's alone. It changes nothing for a
// source elsewhere, and takes the copy away when the tenant has data of its own.
func (t *tenant) shareBranch(spec *storedSpec) error {
	source := spec.Env[branchEnv]
	if rel, err := filepath.Rel(t.d.cfg.Dir, source); source == "" || spec.UID == 0 || err != nil || !filepath.IsLocal(rel) {
		return nil
	}
	_, err := os.Stat(filepath.Join(t.dataDir(), "data.db"))
	if err == nil {
		return os.RemoveAll(t.branchDir())
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for range copyTries {
		if err := os.RemoveAll(t.branchDir()); err != nil {
			return err
		}
		changed, err := copyBranch(source, t.branchDir())
		if err != nil {
			return fmt.Errorf("copy what to branch from: %w", err)
		}
		if changed {
			continue
		}
		if err := give(t.branchDir(), spec.UID); err != nil {
			return err
		}
		spec.Env = maps.Clone(spec.Env)
		spec.Env[branchEnv] = t.branchDir()
		return nil
	}
	return fmt.Errorf("copy what to branch from: %s does not stop changing; try again", source)
}

// copyBranch copies the parts. It reports whether something was deleted
// meanwhile: replicas are merged all the time, and the copy may lack the result.
// Links are not followed: the source's user could lead us anywhere.
func copyBranch(source, target string) (changed bool, err error) {
	from, err := os.OpenRoot(source)
	if err != nil {
		return false, err
	}
	defer func() { _ = from.Close() }()
	if err := os.Mkdir(target, 0o700); err != nil {
		return false, err
	}
	to, err := os.OpenRoot(target)
	if err != nil {
		return false, err
	}
	defer func() { _ = to.Close() }()
	for _, part := range branchParts {
		paths, err := regularFiles(from, part)
		if err != nil {
			return false, err
		}
		for _, path := range paths {
			if err := copyFile(from, to, path); errors.Is(err, fs.ErrNotExist) {
				return true, nil
			} else if err != nil {
				return false, err
			}
		}
		now, err := regularFiles(from, part)
		if err != nil {
			return false, err
		}
		for _, path := range paths {
			if _, there := slices.BinarySearch(now, path); !there {
				return true, nil
			}
		}
	}
	return false, nil
}

// regularFiles lists the files below dir, sorted.
func regularFiles(root *os.Root, dir string) (paths []string, err error) {
	err = fs.WalkDir(root.FS(), filepath.ToSlash(dir), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // deleted meanwhile, or there is none
		case err == nil && entry.Type().IsRegular():
			paths = append(paths, path)
		}
		return err
	})
	slices.Sort(paths)
	return paths, err
}

func copyFile(from, to *os.Root, path string) error {
	if err := to.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// It may have become a pipe, whose opening would wait for ever.
	source, err := from.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fs.ErrNotExist
	}
	target, err := to.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		return err
	}
	// The times of a replica's files are those of what they hold.
	return to.Chtimes(path, info.ModTime(), info.ModTime())
}
