// Package hookfiles knows which files make up a bundle of JavaScript hooks: what
// is read from a folder, what may be uploaded, and how much of it.
//
// It reads and checks, and understands no JavaScript: package engine, below
// plugins/jshooks, compiles.
//
//	files, err := hookfiles.Read("jsvm_hooks")
//	err = hookfiles.Check(files)
package hookfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of a bundle.
const (
	MaxBytes = 2 << 20
	MaxFiles = 200
	MaxPath  = 200 // bytes of a file's path
)

// EntrySuffix ends the name of a file that registers hooks; all other files are
// there to be required.
const EntrySuffix = ".pb.js"

// extensions of what a hook can require.
var extensions = []string{".js", ".cjs", ".json"}

// IsEntry reports whether the file at the slash path registers hooks. As in
// PocketBase these are at the top: a folder below may hold examples or tests.
func IsEntry(name string) bool {
	return strings.HasSuffix(name, EntrySuffix) && !strings.Contains(name, "/")
}

// Belongs reports whether a file of a folder or an archive is part of the bundle.
func Belongs(name string) bool {
	if strings.HasSuffix(name, EntrySuffix) {
		return IsEntry(name) && !hidden(name)
	}
	return slices.Contains(extensions, path.Ext(name)) && !hidden(name)
}

// hidden reports whether the path leads through what is not the author's own
// work: dot files, and packages that editors and tests need.
func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || part == "node_modules" {
			return true
		}
	}
	return false
}

// Read returns the files of a folder that belong to a bundle, and checks them. A
// folder without any entry is no error: see HasEntry.
func Read(dir string) (map[string][]byte, error) {
	files, size := map[string][]byte{}, int64(0)
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		if entry.IsDir() {
			if name != "." && hidden(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !Belongs(name) {
			return nil
		}
		// Not the entry's own type: in a mounted ConfigMap every file is a link.
		info, err := os.Stat(at)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		if size += info.Size(); size > MaxBytes || len(files) >= MaxFiles {
			return errTooMuch
		}
		files[name], err = os.ReadFile(at) //nolint:gosec // whoever owns the folder made its links
		return err
	})
	if err != nil {
		return nil, err
	}
	return files, checkFiles(files)
}

// HasEntry reports whether any of the files registers hooks.
func HasEntry(files map[string][]byte) bool {
	for name := range files {
		if IsEntry(name) {
			return true
		}
	}
	return false
}

var errTooMuch = fmt.Errorf("there are more than %d files or %d MB; a bundle holds hooks and their modules only", MaxFiles, MaxBytes>>20)

// Check returns an error that names the file which cannot be part of a bundle,
// or says what the bundle lacks.
func Check(files map[string][]byte) error {
	if err := checkFiles(files); err != nil {
		return err
	}
	if !HasEntry(files) {
		return errors.New("there is no *.pb.js file at the top of the bundle, so it has no hooks")
	}
	return nil
}

func checkFiles(files map[string][]byte) error {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if rule := brokenRule(name, files[name]); rule != "" {
			return fmt.Errorf("%q %s", name, rule)
		}
		size += len(files[name])
	}
	if len(files) > MaxFiles || size > MaxBytes {
		return errTooMuch
	}
	return nil
}

func brokenRule(name string, content []byte) string {
	switch {
	case len(name) > MaxPath || !fs.ValidPath(name) || strings.ContainsAny(name, "\\:\x00"):
		return "is not a path such as hooks.pb.js or lib/text.js"
	case hidden(name):
		return "cannot be part of a bundle: leave out dot files and node_modules"
	case strings.HasSuffix(name, EntrySuffix) && !IsEntry(name):
		return "registers hooks, so it must be at the top of the bundle"
	case !Belongs(name):
		return "is neither a .js, .cjs nor a .json file"
	case !utf8.Valid(content):
		return "is not UTF-8 text"
	}
	return ""
}
