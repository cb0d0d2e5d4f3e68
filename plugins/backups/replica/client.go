package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/superfly/ltx"
)

// Layout says under which keys Litestream looks for the files of a replica; it
// differs between its kinds of storage.
type Layout string

const (
	// LayoutS3 is that of Litestream's s3 replicas.
	LayoutS3 Layout = "s3"

	// LayoutFile is that of Litestream's file replicas.
	LayoutFile Layout = "file"
)

func (l Layout) levelPrefix(level int) string {
	if l == LayoutFile {
		return fmt.Sprintf("ltx/%d/", level)
	}
	return fmt.Sprintf("%04x/", level)
}

func (l Layout) key(level int, minTXID, maxTXID ltx.TXID) string {
	return l.levelPrefix(level) + ltx.FormatFilename(minTXID, maxTXID)
}

// client is Litestream's way to the object store. Its own S3 client is not used,
// so that everything PicoBase stores goes the same way: one set of time-outs, one
// handling of R2's peculiarities, one encryption.
type client struct {
	store  objectstore.Store
	layout Layout
	read   func(n int) // told of every read; may be nil
}

var _ litestream.ReplicaClient = (*client)(nil)

// Type implements [litestream.ReplicaClient].
func (c *client) Type() string { return "picobase" }

// Init implements [litestream.ReplicaClient].
func (c *client) Init(context.Context) error { return nil }

// SetLogger implements [litestream.ReplicaClient].
func (c *client) SetLogger(*slog.Logger) {}

// LTXFiles implements [litestream.ReplicaClient]. Its times are those of the
// storage, which is enough for retention; restores to a time go by the files'
// own headers, see history.go.
func (c *client) LTXFiles(ctx context.Context, level int, seek ltx.TXID, _ bool) (ltx.FileIterator, error) {
	files, err := c.list(ctx, level, seek)
	if err != nil {
		return nil, err
	}
	return ltx.NewFileInfoSliceIterator(files), nil
}

func (c *client) list(ctx context.Context, level int, seek ltx.TXID) ([]*ltx.FileInfo, error) {
	prefix := c.layout.levelPrefix(level)
	after := ""
	if seek > 0 {
		after = prefix + seek.String() // sorts before the file that begins there
	}
	var files []*ltx.FileInfo
	for info, err := range c.store.List(ctx, prefix, after) {
		if err != nil {
			return nil, fmt.Errorf("list level %d: %w", level, err)
		}
		minTXID, maxTXID, err := ltx.ParseFilename(strings.TrimPrefix(info.Key, prefix))
		if err != nil || minTXID < seek {
			continue
		}
		files = append(files, &ltx.FileInfo{
			Level: level, MinTXID: minTXID, MaxTXID: maxTXID, Size: info.Size, CreatedAt: info.Modified.UTC(),
		})
	}
	return files, nil
}

// OpenLTXFile implements [litestream.ReplicaClient].
func (c *client) OpenLTXFile(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, offset, size int64) (io.ReadCloser, error) {
	return c.open(ctx, c.layout.key(level, minTXID, maxTXID), offset, size)
}

func (c *client) open(ctx context.Context, key string, offset, size int64) (io.ReadCloser, error) {
	if size == 0 {
		size = -1
	}
	body, err := c.store.Get(ctx, key, offset, size)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, fmt.Errorf("open %s: %w", key, os.ErrNotExist)
	}
	if err != nil || c.read == nil {
		return body, err
	}
	return countingReader{body, c.read}, nil
}

// WriteLTXFile implements [litestream.ReplicaClient].
func (c *client) WriteLTXFile(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, r io.Reader) (*ltx.FileInfo, error) {
	return c.write(ctx, level, minTXID, maxTXID, r, false)
}

func (c *client) write(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, r io.Reader, ifAbsent bool) (*ltx.FileInfo, error) {
	header, rest, err := ltx.PeekHeader(r)
	if err != nil {
		return nil, fmt.Errorf("read header of ltx file: %w", err)
	}
	if seeker, ok := r.(io.Seeker); ok { // so that the store can repeat the upload
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		rest = r
	}
	options := objectstore.PutOptions{Time: time.UnixMilli(header.Timestamp).UTC(), IfAbsent: ifAbsent}
	info, err := c.store.Put(ctx, c.layout.key(level, minTXID, maxTXID), rest, options)
	if err != nil {
		return nil, err
	}
	return &ltx.FileInfo{Level: level, MinTXID: minTXID, MaxTXID: maxTXID, Size: info.Size, CreatedAt: time.Now().UTC()}, nil
}

// DeleteLTXFiles implements [litestream.ReplicaClient].
func (c *client) DeleteLTXFiles(ctx context.Context, files []*ltx.FileInfo) error {
	keys := make([]string, len(files))
	for i, file := range files {
		keys[i] = c.layout.key(file.Level, file.MinTXID, file.MaxTXID)
	}
	return c.store.Delete(ctx, keys...)
}

// DeleteAll implements [litestream.ReplicaClient]. Nothing here ever deletes a
// whole replica.
func (c *client) DeleteAll(context.Context) error {
	return fmt.Errorf("delete all of a replica: %w", errors.ErrUnsupported)
}

// newest returns the last transaction of level 0, which is the state of the
// replica: level 0 is never emptied. It is 0 for a replica without any.
func (c *client) newest(ctx context.Context) (ltx.TXID, error) {
	files, err := c.list(ctx, 0, 0)
	if err != nil || len(files) == 0 {
		return 0, err
	}
	return files[len(files)-1].MaxTXID, nil
}

type countingReader struct {
	io.ReadCloser
	read func(n int)
}

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.read(n)
	return n, err
}
