package snapshots

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

// excluded are the names in a data folder that no backup holds: those that
// PocketBase leaves out. Names that begin with picoPrefix are left out as well.
var excluded = []string{"backups", ".pb_temp_to_delete", ".notify", ".autocert_cache", "lost+found"}

const (
	picoPrefix = ".pico"
	storageDir = "storage"
)

// compressed are the extensions of files that deflating makes no smaller.
var compressed = map[string]bool{
	".jpg": true, ".jpeg": true, ".png": true, ".gif": true, ".webp": true, ".avif": true, ".heic": true,
	".mp3": true, ".m4a": true, ".aac": true, ".ogg": true, ".opus": true, ".flac": true,
	".mp4": true, ".m4v": true, ".mov": true, ".mkv": true, ".webm": true, ".avi": true,
	".zip": true, ".gz": true, ".tgz": true, ".bz2": true, ".xz": true, ".zst": true, ".br": true, ".7z": true, ".rar": true,
	".docx": true, ".xlsx": true, ".pptx": true, ".odt": true, ".ods": true, ".epub": true, ".jar": true, ".apk": true,
	".woff": true, ".woff2": true,
}

// storeFailure tells the archive's failure from one to read the project.
type storeFailure struct{ error }

var errBrokenOff = errors.New("broken off")

// send writes the zip straight into the archive and returns its SHA-256, also
// beside ErrExists if all of it was written.
func (v *Vault) send(ctx context.Context, s Snapshot, source Source, databases []database) (checksum string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader, writer := io.Pipe()
	stored := make(chan error, 1)
	go func() {
		_, err := v.cfg.Archive.Put(ctx, s.ID, reader, objectstore.PutOptions{Time: s.At, IfAbsent: true})
		if err != nil {
			_ = reader.CloseWithError(&storeFailure{err}) // the zip has nowhere to go
		} else {
			_ = reader.Close()
		}
		stored <- err
	}()
	// For a panic on the way: Put must neither wait for ever nor take what there
	// is for the whole.
	defer func() { _ = writer.CloseWithError(errBrokenOff) }()

	hash := sha256.New()
	buffer := bufio.NewWriterSize(io.MultiWriter(writer, hash), 256<<10)
	z := newZipper(ctx, buffer, source, databases)
	z.exclude(v.cfg.Scratch)
	zipErr := z.write(s.At)
	if zipErr == nil {
		zipErr = buffer.Flush()
	}
	_ = writer.CloseWithError(zipErr) // nil means the end
	putErr := <-stored

	var noStore *storeFailure
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case zipErr != nil && !errors.As(zipErr, &noStore): // then Put's error only repeats it
		return "", fail("read the project's files", zipErr)
	case zipErr != nil:
		return "", putFailure(putErr)
	}
	checksum = hex.EncodeToString(hash.Sum(nil))
	if putErr != nil {
		return checksum, putFailure(putErr)
	}
	return checksum, nil
}

// zipper writes one zip.
type zipper struct {
	ctx       context.Context
	zip       *zip.Writer
	source    Source
	databases []database
	skip      []string      // relative to the folder, with slashes
	live      []fs.FileInfo // the databases' own files
	names     map[string]bool
}

func newZipper(ctx context.Context, to io.Writer, source Source, databases []database) *zipper {
	z := &zipper{ctx: ctx, zip: zip.NewWriter(to), source: source, databases: databases}
	z.zip.RegisterCompressor(zip.Deflate, reusedDeflate())
	for _, name := range slices.Concat(excluded, source.Exclude) {
		z.skip = append(z.skip, path.Clean(filepath.ToSlash(name)))
	}
	for _, name := range databaseNames {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			z.skip = append(z.skip, name+suffix)
			if info, err := os.Stat(filepath.Join(source.Dir, name+suffix)); err == nil {
				z.live = append(z.live, info)
			}
		}
	}
	if source.MissingFiles != nil {
		z.names = map[string]bool{}
	}
	return z
}

// exclude leaves out a folder, if it is inside the one that is zipped.
func (z *zipper) exclude(folder string) {
	folder, err := realPath(folder)
	if err != nil {
		return
	}
	if relative, err := filepath.Rel(z.source.Dir, folder); err == nil && filepath.IsLocal(relative) && relative != "." {
		z.skip = append(z.skip, filepath.ToSlash(relative))
	}
}

func (z *zipper) write(at time.Time) error {
	for _, d := range z.databases {
		if err := z.addFile(d.name, d.copied, d.info.Mode().Perm(), at); err != nil {
			return err
		}
	}
	if err := filepath.WalkDir(z.source.Dir, z.visit); err != nil {
		return err
	}
	if z.source.MissingFiles != nil {
		for file, err := range z.source.MissingFiles {
			if err != nil {
				return fmt.Errorf("list the files kept elsewhere: %w", err)
			}
			if err := z.addMissing(file, at); err != nil {
				return err
			}
		}
	}
	return z.zip.Close()
}

// visit adds one entry of the folder. What vanished since it was listed was
// deleted by the project, and is left out.
func (z *zipper) visit(full string, entry fs.DirEntry, err error) error {
	if full == z.source.Dir {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	relative, err := filepath.Rel(z.source.Dir, full)
	if err != nil {
		return err
	}
	name := filepath.ToSlash(relative)
	if z.skips(name) {
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	if entry.IsDir() {
		return nil
	}
	info, err := os.Stat(full) // follows links, as PocketBase does
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a link to a folder: backups do not follow those", name)
	case !info.Mode().IsRegular() || z.isLive(info):
		return nil
	}
	return z.addFile(name, full, info.Mode().Perm(), info.ModTime())
}

func (z *zipper) skips(name string) bool {
	if strings.HasPrefix(name, picoPrefix) {
		return true
	}
	for _, skip := range z.skip {
		if name == skip || strings.HasPrefix(name, skip+"/") {
			return true
		}
	}
	return false
}

// isLive reports whether the file is a database under another name, which must
// not be opened; see copyDatabase.
func (z *zipper) isLive(info fs.FileInfo) bool {
	return slices.ContainsFunc(z.live, func(live fs.FileInfo) bool { return os.SameFile(live, info) })
}

func (z *zipper) addFile(name, full string, mode fs.FileMode, modified time.Time) error {
	file, err := os.Open(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return z.add(name, file, modified, mode)
}

func (z *zipper) addMissing(file File, at time.Time) error {
	if !fs.ValidPath(file.Name) || file.Name == "." {
		return fmt.Errorf("%q is no name for an uploaded file", file.Name)
	}
	name := storageDir + "/" + file.Name
	if z.names[name] {
		return nil // it moved while the folder was read
	}
	body, err := file.Open(z.ctx)
	if errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer body.Close()
	counter := &countingWriter{}
	if err := z.add(name, io.TeeReader(body, counter), at, 0o644); err != nil {
		return err
	}
	if counter.n != file.Size {
		return fmt.Errorf("%s has %d bytes instead of %d", name, counter.n, file.Size)
	}
	return nil
}

func (z *zipper) add(name string, content io.Reader, modified time.Time, mode fs.FileMode) error {
	if z.names != nil {
		z.names[name] = true
	}
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: modified}
	header.SetMode(mode)
	if compressed[strings.ToLower(path.Ext(name))] {
		header.Method = zip.Store
	}
	to, err := z.zip.CreateHeader(header)
	if err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	if _, err := io.Copy(to, contextReader{z.ctx, content}); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	return nil
}

// reusedDeflate returns a fast compressor. A zip writer has one open at a time,
// so all entries share its memory, which is more than most files take.
func reusedDeflate() zip.Compressor {
	var writer *flate.Writer
	return func(to io.Writer) (io.WriteCloser, error) {
		if writer != nil {
			writer.Reset(to)
			return writer, nil
		}
		var err error
		writer, err = flate.NewWriter(to, flate.BestSpeed)
		return writer, err
	}
}

type countingWriter struct{ n int64 }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	return len(p), nil
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
