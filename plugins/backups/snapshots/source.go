package snapshots

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/picobase/picobase/internal/backupzip"
)

// Source is what a snapshot is made of.
type Source struct {
	// Dir is a PocketBase data folder, in use or not. Required.
	Dir string

	// Exclude names what to leave out, relative to Dir (default nothing beyond
	// what no backup holds: other backups, temporary files, caches).
	Exclude []string

	// At is the moment that the data is of (default now).
	At time.Time

	// MissingFiles yields the uploaded files that are not below Dir/storage, for
	// the snapshot to hold them too. May be nil.
	MissingFiles iter.Seq2[File, error]
}

// File is an uploaded file that is kept elsewhere.
type File struct {
	Name string // its path below storage/, with slashes
	Size int64
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// The databases, in the order in which they are copied. Files come after them:
// a record without its file is worse than a file without its record.
var databaseNames = []string{backupzip.DataDB, "auxiliary.db"}

// database is one of them.
type database struct {
	name     string
	original string
	copied   string
	info     fs.FileInfo // of the original
}

// copyDatabases copies the databases into scratch and returns a moment before
// which everything is in the copy of data.db.
func (v *Vault) copyDatabases(ctx context.Context, source Source, scratch string) (all []database, at time.Time, err error) {
	var bytes int64
	for _, name := range databaseNames {
		d := database{name: name, original: filepath.Join(source.Dir, name), copied: filepath.Join(scratch, name)}
		d.info, err = os.Stat(d.original)
		if errors.Is(err, fs.ErrNotExist) && name != backupzip.DataDB {
			continue
		}
		if err != nil {
			return nil, at, fail("find "+name, err)
		}
		bytes += d.info.Size()
		if wal, err := os.Stat(d.original + "-wal"); err == nil {
			bytes += wal.Size()
		}
		all = append(all, d)
	}
	if err := backupzip.NeedSpace(scratch, bytes); err != nil {
		return nil, at, fail("copy the databases", err)
	}
	at = v.now()
	for _, d := range all {
		if err := copyDatabase(ctx, d.original, d.copied); err != nil {
			return nil, at, fail("copy "+d.name, err)
		}
	}
	return all, at, nil
}

// copyDatabase makes a consistent copy of a database that may be in use. SQLite
// does it: opening the file in any other way, and closing it again, would drop
// the locks that this process holds on it. With a WAL it blocks no writer.
func copyDatabase(ctx context.Context, from, to string) error {
	db, err := sql.Open("sqlite", dsn(from, "ro"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		if ctx.Err() != nil {
			return ctx.Err() // rather than SQLite's word for it
		}
		return err
	}
	return nil
}

// dsn names the database file, whatever characters are in its absolute path.
func dsn(file, mode string) string {
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(file)}
	return name.String() + "?mode=" + mode + "&_pragma=busy_timeout(10000)"
}

func realPath(name string) (string, error) {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(name)
}
