package snapshots

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/backupzip"
	"github.com/picobase/picobase/internal/objectstore"
)

const (
	// quickCheckBytes is the size from which on a database's indexes are not
	// compared with its tables, which takes many times longer.
	quickCheckBytes = 512 << 20

	maxCountedTables = 500
)

// findings are what reading a zip showed.
type findings struct {
	size      int64
	sha256    string
	files     int
	fileBytes int64
	time      time.Time
	database  DatabaseInfo
}

// describe notes them in s.
func (f findings) describe(s Snapshot, now time.Time) Snapshot {
	s.Size, s.SHA256, s.Files, s.FileBytes = f.size, f.sha256, f.files, f.fileBytes
	s.Database, s.Verified, s.Error = &f.database, &now, ""
	return s
}

// readBack reads a zip in the archive and tells whether it is good: the error
// wraps ErrInvalid if not, any other means that it is not known. The whole of it
// must have the checksum, and its databases be whole. With deep, for a zip whose
// checksum says little, everything in it is decompressed.
func (v *Vault) readBack(ctx context.Context, id, checksum string, deep bool, scratch string) (findings, error) {
	size, found, err := v.hash(ctx, id)
	if err != nil {
		return findings{}, err
	}
	if checksum != "" && checksum != found {
		return findings{}, fmt.Errorf("%w: its content changed (SHA-256)", ErrInvalid)
	}
	file := &ranged{ctx: ctx, store: v.cfg.Archive, key: id, size: size}
	defer func() { _ = file.Close() }()
	f, err := examine(ctx, file, size, deep, scratch)
	f.sha256 = found
	return f, err
}

// hash reads the whole zip.
func (v *Vault) hash(ctx context.Context, id string) (size int64, sum string, err error) {
	body, err := v.cfg.Archive.Get(ctx, id, 0, -1)
	if errors.Is(err, objectstore.ErrNotFound) {
		return 0, "", fail("find the zip", ErrNotFound)
	}
	if err != nil {
		return 0, "", fail("read from the backups' store", err)
	}
	defer body.Close()
	digest := sha256.New()
	size, err = io.Copy(digest, contextReader{ctx, body})
	if err != nil {
		return 0, "", fail("read from the backups' store", err)
	}
	return size, hex.EncodeToString(digest.Sum(nil)), nil
}

// examine opens a zip and its databases.
func examine(ctx context.Context, file io.ReaderAt, size int64, deep bool, scratch string) (f findings, err error) {
	archive, err := backupzip.Open(file, size)
	if err != nil {
		return f, readFailure(err)
	}
	f.size, f.files, f.fileBytes, f.time = size, archive.Files, archive.FileBytes, archive.Time
	if deep {
		if err := archive.Check(ctx); err != nil {
			return f, readFailure(err)
		}
	}
	for _, name := range databaseNames {
		if _, inside := archive.Size(name); !inside {
			continue // without data.db, Open fails
		}
		info, err := examineDatabase(ctx, archive, name, scratch)
		if err != nil {
			return f, err
		}
		if name == backupzip.DataDB {
			f.database = info
		}
	}
	return f, nil
}

func readFailure(err error) error {
	if errors.Is(err, ErrInvalid) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fail("read the zip", err)
}

// examineDatabase extracts a database and asks SQLite whether it is whole.
func examineDatabase(ctx context.Context, archive *backupzip.Archive, name, scratch string) (info DatabaseInfo, err error) {
	folder, err := os.MkdirTemp(scratch, "db-")
	if err != nil {
		return info, fail("use the disk", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, name)
	// PocketBase copies the files as they are, so a WAL may hold the newest part.
	for _, suffix := range []string{"", "-wal", "-journal"} {
		size, inside := archive.Size(name + suffix)
		if !inside {
			continue
		}
		if err := backupzip.NeedSpace(folder, size); err != nil {
			return info, fail("check "+name, err)
		}
		if err := archive.ExtractFile(ctx, name+suffix, file+suffix); err != nil {
			return info, readFailure(err)
		}
		if suffix == "" {
			info.Bytes = size
		}
	}
	if err := checkDatabase(ctx, file, name, &info); err != nil {
		switch {
		case ctx.Err() != nil:
			return info, ctx.Err()
		case isDamage(err):
			return info, fmt.Errorf("%w: %s is no whole database", ErrInvalid, name)
		case errors.Is(err, ErrInvalid):
			return info, err
		}
		return info, fail("check "+name, err)
	}
	return info, nil
}

// checkDatabase completes info, for data.db only.
func checkDatabase(ctx context.Context, file, name string, info *DatabaseInfo) error {
	db, err := sql.Open("sqlite", dsn(file, "rw"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)

	check := "PRAGMA integrity_check(1)"
	if info.Bytes > quickCheckBytes {
		check = "PRAGMA quick_check(1)"
	}
	var verdict string
	if err := db.QueryRowContext(ctx, check).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s is damaged (%s)", ErrInvalid, name, verdict)
	}
	if name != backupzip.DataDB {
		return nil
	}
	tables, err := listTables(ctx, db)
	if err != nil {
		return err
	}
	info.Tables, info.Rows = len(tables), map[string]int64{}
	own := false
	for i, table := range tables {
		own = own || table == "_collections"
		if i >= maxCountedTables {
			continue
		}
		var rows int64
		statement := `SELECT count(*) FROM "` + strings.ReplaceAll(table, `"`, `""`) + `"`
		if err := db.QueryRowContext(ctx, statement).Scan(&rows); err != nil {
			return err
		}
		info.Rows[table] = rows
	}
	if !own {
		return fmt.Errorf("%w: its %s is not PocketBase's, it has no table _collections", ErrInvalid, name)
	}
	return nil
}

// listTables leaves out SQLite's own tables, and virtual ones, whose rows are
// in other tables or nowhere.
func listTables(ctx context.Context, db *sql.DB) (names []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table'
		AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
