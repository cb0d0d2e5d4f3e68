package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver of PocketBase itself
)

// project is one database of some size, the same in a folder of stock PocketBase
// and of PicoBase. Both servers are stopped.
type project struct {
	size        byteSize
	dir         string
	stock, pico *server
	gateway     *gateway
	bucket      string // PicoBase's, empty when there is none yet
}

func (p *project) remove() {
	p.stock.stop()
	p.pico.stop()
	_ = os.RemoveAll(p.dir) // as is the whole folder of the run, later
	if p.bucket != "" {
		_ = p.gateway.removeBucket(p.bucket)
	}
}

// newProject makes both folders. The servers make what belongs into an empty
// one; the rows, for which requests would take hours, come by SQL.
func (b *backupBench) newProject(ctx context.Context, size byteSize) (*project, error) {
	dir, err := os.MkdirTemp(b.work, "project-")
	if err != nil {
		return nil, err
	}
	p := &project{
		size: size, dir: dir, gateway: b.gateway,
		stock: newServer("stock", b.opts.stock, filepath.Join(dir, "stock")),
		pico:  newServer("picobase", b.opts.picobase, filepath.Join(dir, "picobase")),
	}
	fmt.Fprintf(b.out, "making a database of %s\n", &size)
	if err := p.fill(ctx); err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

func (p *project) fill(ctx context.Context) error {
	p.pico.args = []string{"--replication", "off"}
	for s, start := range map[*server]func(context.Context) error{p.stock: p.stock.startStock, p.pico: p.pico.startPicoBase} {
		if err := start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", s.name, err)
		}
		if err := s.createCollections(ctx); err != nil {
			return err
		}
		s.stop()
	}
	if err := insertRows(ctx, p.stock.database(), int64(p.size)); err != nil {
		return err
	}
	return copyRows(ctx, p.stock.database(), p.pico.database())
}

// withBucket gives PicoBase an empty bucket and no memory of another.
func (p *project) withBucket() (err error) {
	if p.bucket != "" {
		if err := p.gateway.removeBucket(p.bucket); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(p.pico.dataDir(), ".pico", "replica")); err != nil {
		return err
	}
	p.bucket, err = p.gateway.newBucket()
	p.pico.args, p.pico.env = nil, p.gateway.env(p.bucket)
	return err
}

func (s *server) database() string { return filepath.Join(s.dataDir(), "data.db") }

// batch is how many rows one transaction writes.
const batch = 20_000

// insertRows adds rows until the file has the size. They are longer than those
// of the other benchmarks, and half of each is beyond compressing, as it is with
// what people store.
func insertRows(ctx context.Context, path string, size int64) error {
	return withDatabase(ctx, path, func(db *sql.DB) error {
		const insert = `WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
			INSERT INTO ` + readCollection + ` (id, title, body, views, published, created, updated)
			SELECT printf('row%012d', i), 'Post number ' || i, hex(randomblob(400)), i, i % 2, strftime('%Y-%m-%d %H:%M:%fZ'), strftime('%Y-%m-%d %H:%M:%fZ') FROM n`
		for i := 0; ; i += batch {
			info, err := os.Stat(path)
			if err != nil || info.Size() >= size {
				return err
			}
			n := min(batch, int((size-info.Size())/950)+1)
			if _, err := db.ExecContext(ctx, insert, i, i+n); err != nil {
				return err
			}
			if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
				return err
			}
		}
	})
}

// copyRows copies the rows of one folder into another.
func copyRows(ctx context.Context, from, to string) error {
	return withDatabase(ctx, to, func(db *sql.DB) error {
		if _, err := db.ExecContext(ctx, "ATTACH ? AS other", from); err != nil {
			return err
		}
		const columns = "id, title, body, views, published, created, updated"
		_, err := db.ExecContext(ctx, "INSERT INTO main."+readCollection+" ("+columns+") SELECT "+columns+" FROM other."+readCollection)
		return err
	})
}

func withDatabase(ctx context.Context, path string, work func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)&_pragma=cache_size(-64000)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	err = work(db)
	if err == nil {
		_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	return errors.Join(err, db.Close())
}
