package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/superfly/ltx"
)

const (
	// readAhead is how many files of a plan are fetched before their turn, and
	// smallFile is how large they are at most: a bucket takes its time for each.
	readAhead = 16
	smallFile = 1 << 20

	// maxResumes is how often in a row reading a file may break off without a byte.
	maxResumes = 3
)

// apply writes the pages of a plan's files to a new database, in their order.
// Litestream's own restore merges them into one file first, which costs as much
// again as all the rest: https://github.com/benbjohnson/litestream, replica.go.
func (v *withHistory) apply(ctx context.Context, plan []*ltx.FileInfo, db *os.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for next := range v.fetch(ctx, plan) {
		file := <-next
		if file.err == nil {
			file.err = errors.Join(applyFile(file.body, db), file.body.Close())
		}
		if file.err != nil {
			return fmt.Errorf("file %s of level %d: %w", ltx.FormatFilename(file.info.MinTXID, file.info.MaxTXID), file.info.Level, file.err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.Sync()
}

// fetched is a file of a plan, open.
type fetched struct {
	info *ltx.FileInfo
	body io.ReadCloser
	err  error
}

// fetch opens the files of a plan, small ones some time before their turn.
func (v *withHistory) fetch(ctx context.Context, plan []*ltx.FileInfo) <-chan chan fetched {
	queue := make(chan chan fetched, readAhead)
	go func() {
		defer close(queue)
		for _, info := range plan {
			next := make(chan fetched, 1)
			select {
			case queue <- next:
			case <-ctx.Done():
				return
			}
			body := &resumed{size: info.Size, open: func(offset int64) (io.ReadCloser, error) {
				return v.OpenLTXFile(ctx, info.Level, info.MinTXID, info.MaxTXID, offset, 0)
			}}
			if info.Size > smallFile {
				next <- fetched{info: info, body: body} // opened by the first read
				continue
			}
			go func() {
				raw, err := io.ReadAll(body)
				next <- fetched{info: info, body: io.NopCloser(bytes.NewReader(raw)), err: errors.Join(err, body.Close())}
			}()
		}
	}()
	return queue
}

// applyFile writes the pages of one file, and checks its checksum.
func applyFile(r io.Reader, db *os.File) error {
	file := ltx.NewDecoder(r)
	if err := file.DecodeHeader(); err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	size := int64(file.Header().PageSize)
	page := make([]byte, size)
	for {
		var header ltx.PageHeader
		err := file.DecodePage(&header, page)
		if err == io.EOF { //nolint:errorlint // the decoder's own word for the end
			break
		}
		if err != nil {
			return fmt.Errorf("read a page: %w", err)
		}
		if _, err := db.WriteAt(page, int64(header.Pgno-1)*size); err != nil {
			return err
		}
	}
	if err := file.Close(); err != nil {
		return err
	}
	return db.Truncate(int64(file.Header().Commit) * size)
}

// resumed reads a file to its end, going on where a connection broke off.
type resumed struct {
	open   func(offset int64) (io.ReadCloser, error)
	size   int64
	at     int64
	body   io.ReadCloser
	broken int
}

func (r *resumed) Read(p []byte) (int, error) {
	for {
		if r.at >= r.size {
			return 0, io.EOF
		}
		if r.body == nil {
			body, err := r.open(r.at)
			if err != nil {
				return 0, err // the store has tried again already
			}
			r.body = body
		}
		n, err := r.body.Read(p)
		r.at += int64(n)
		if n > 0 {
			r.broken = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if r.broken++; r.broken > maxResumes {
			return 0, err
		}
		_ = r.Close() // it is broken
	}
}

// Close ends the connection, if there is one.
func (r *resumed) Close() error {
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	return body.Close()
}
