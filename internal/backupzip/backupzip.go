// Package backupzip reads backups: zips of a data folder in PocketBase's layout,
// made by PicoBase or by PocketBase itself.
//
// It trusts nothing in them: names that leave the folder, names that are there
// twice and absurd sizes are refused. It does not look into the databases, and
// it makes no zips; package snapshots does both.
//
//	archive, err := backupzip.Open(file, size)
//	err = archive.Extract(ctx, "restored")
package backupzip

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/disk"
)

// DataDB is the name of the database without which a zip is no backup.
const DataDB = "data.db"

// Reserve is the disk space that stays free whatever a backup needs, for the
// project to go on writing.
const Reserve = 64 << 20

// A zip that unpacks to more than bombBytes and bombRatio times its own size is
// made to fill a disk.
const (
	bombBytes = 1 << 30
	bombRatio = 100
)

var (
	// ErrInvalid means that the zip is damaged, or no backup. The text of an
	// error that wraps it is fit to be shown: it holds names in the zip, no paths.
	ErrInvalid = errors.New("not a usable backup")

	// ErrNoSpace means that the disk has not the room.
	ErrNoSpace = errors.New("not enough disk space")
)

// Archive is an opened zip.
type Archive struct {
	// Files and FileBytes are the uploaded files inside.
	Files     int
	FileBytes int64

	// Bytes is the size of all that Extract writes.
	Bytes int64

	// Time is when the copy of data.db was made, or zero.
	Time time.Time

	entries map[string]*zip.File
	order   []*zip.File
}

// Open reads the list of contents of a zip of that size, and judges it.
// Nothing is decompressed yet; see Check.
func Open(file io.ReaderAt, size int64) (*Archive, error) {
	reader, err := zip.NewReader(file, size)
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: it is no zip, or only a part of one", ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("open the zip: %w", err)
	}
	a := &Archive{entries: make(map[string]*zip.File, len(reader.File))}
	for _, entry := range reader.File {
		if err := a.add(entry); err != nil {
			return nil, err
		}
	}
	for _, entry := range a.order {
		for parent := parentOf(entry.Name); parent != ""; parent = parentOf(parent) {
			if a.entries[parent] != nil {
				return nil, fmt.Errorf("%w: %q is a file and a folder", ErrInvalid, parent)
			}
		}
	}
	data := a.entries[DataDB]
	if data == nil {
		return nil, fmt.Errorf("%w: it has no %s", ErrInvalid, DataDB)
	}
	if !data.Modified.IsZero() {
		a.Time = data.Modified.UTC()
	}
	if a.Bytes > bombBytes && a.Bytes/bombRatio > size {
		return nil, fmt.Errorf("%w: its %d bytes would become %d", ErrInvalid, size, a.Bytes)
	}
	return a, nil
}

// add judges one entry. Like PocketBase it leaves out what is neither a folder
// nor a regular file.
func (a *Archive) add(entry *zip.File) error {
	name := strings.TrimSuffix(entry.Name, "/")
	if name == "." || path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%w: %q is no name of a file in it", ErrInvalid, entry.Name)
	}
	if !entry.Mode().IsRegular() {
		return nil
	}
	if a.entries[name] != nil {
		return fmt.Errorf("%w: %q is in it twice", ErrInvalid, name)
	}
	const absurd = 1 << 62
	if entry.UncompressedSize64 > absurd || a.Bytes+int64(entry.UncompressedSize64) > absurd {
		return fmt.Errorf("%w: %q has an absurd size", ErrInvalid, name)
	}
	size := int64(entry.UncompressedSize64)
	a.entries[name] = entry
	a.order = append(a.order, entry)
	a.Bytes += size
	if IsUpload(name) {
		a.Files++
		a.FileBytes += size
	}
	return nil
}

// IsUpload reports whether the name in a data folder is that of an uploaded
// file. PocketBase keeps the type of a file beside it, in one that ends in .attrs.
func IsUpload(name string) bool {
	return strings.HasPrefix(name, "storage/") && !strings.HasSuffix(name, ".attrs")
}

func parentOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		return name[:i]
	}
	return ""
}

// Size returns the size of a file inside, and whether it is there.
func (a *Archive) Size(name string) (int64, bool) {
	entry := a.entries[name]
	if entry == nil {
		return 0, false
	}
	return int64(entry.UncompressedSize64), true //nolint:gosec // Open refuses what does not fit
}

// Check decompresses everything and compares the checksums in the zip.
func (a *Archive) Check(ctx context.Context) error {
	for _, entry := range a.order {
		if err := copyEntry(ctx, io.Discard, entry); err != nil {
			return err
		}
	}
	return nil
}

// ExtractFile writes one of the files to the path, which must not exist. It does
// not wait for the disk.
func (a *Archive) ExtractFile(ctx context.Context, name, to string) error {
	entry := a.entries[name]
	if entry == nil {
		return fmt.Errorf("%w: it has no %s", ErrInvalid, name)
	}
	return extract(ctx, entry, to)
}

// Extract writes everything below the folder into, which is made if need be and
// must be empty. When it returns nil, all is on the disk. After an error nothing
// is left, the folder included.
func (a *Archive) Extract(ctx context.Context, into string) (err error) {
	if err := os.MkdirAll(into, 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	if err := EmptyFolder(into); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(into))
		}
	}()
	if err := NeedSpace(into, a.Bytes); err != nil {
		return err
	}
	for _, entry := range a.order {
		to := filepath.Join(into, filepath.FromSlash(entry.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		if err := extract(ctx, entry, to); err != nil {
			return err
		}
	}
	if err := syncTree(into); err != nil {
		return fmt.Errorf("sync the folder: %w", err)
	}
	return nil
}

// EmptyFolder returns an error if there is something there that is not an
// empty folder.
func EmptyFolder(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look into the folder: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("the folder %s is not empty", folder)
	}
	return nil
}

// NeedSpace returns ErrNoSpace, with both figures, if the disk of the folder
// has not the room for so many bytes and the Reserve.
func NeedSpace(folder string, bytes int64) error {
	free, _, err := disk.Space(folder)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // the write itself will tell
	}
	if err != nil {
		return fmt.Errorf("measure the disk: %w", err)
	}
	if need := uint64(max(bytes, 0)) + Reserve; free < need {
		const mb = 1 << 20
		return fmt.Errorf("%w: %d MB are needed and %d MB are free", ErrNoSpace, (need+mb-1)/mb, free/mb)
	}
	return nil
}

func extract(ctx context.Context, entry *zip.File, to string) (err error) {
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("extract: %w", err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("extract: %w", closeErr)
		}
	}()
	return copyEntry(ctx, file, entry)
}

// copyEntry tells a damaged zip from a disk or a store that fails: only the
// first is the zip's fault.
func copyEntry(ctx context.Context, to io.Writer, entry *zip.File) error {
	reader, err := entry.Open()
	if err == nil {
		defer reader.Close()
		_, err = io.Copy(to, contextReader{ctx, reader})
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case isDamage(err):
		return fmt.Errorf("%w: %q in it is damaged", ErrInvalid, entry.Name)
	}
	return fmt.Errorf("read %q in the zip: %w", entry.Name, err)
}

type contextReader struct {
	ctx    context.Context
	reader io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.reader.Read(p)
}
