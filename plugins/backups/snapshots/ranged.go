package snapshots

import (
	"context"
	"fmt"
	"io"

	"github.com/picobase/picobase/internal/objectstore"
)

// maxSkip is the distance that is read over rather than asked for anew.
const maxSkip = 1 << 20

// ranged is an object as an io.ReaderAt. A zip is read mostly forwards, so one
// stream stays open until a read goes elsewhere. Not for concurrent use.
type ranged struct {
	ctx   context.Context
	store objectstore.Store
	key   string
	size  int64

	body io.ReadCloser
	at   int64 // where body is
}

func (r *ranged) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= r.size {
		return 0, io.EOF
	}
	short := false
	if left := r.size - offset; int64(len(p)) > left {
		p, short = p[:left], true
	}
	if err := r.seek(offset); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r.body, p)
	r.at += int64(n)
	if err != nil {
		_ = r.Close()
		return n, r.broken(err)
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

func (r *ranged) seek(offset int64) error {
	if r.body != nil && offset >= r.at && offset-r.at <= maxSkip {
		n, err := io.CopyN(io.Discard, r.body, offset-r.at)
		r.at += n
		if err != nil {
			_ = r.Close()
			return r.broken(err)
		}
		return nil
	}
	_ = r.Close()
	body, err := r.store.Get(r.ctx, r.key, offset, -1)
	if err != nil {
		return fmt.Errorf("read the zip: %w", err)
	}
	r.body, r.at = body, offset
	return nil
}

// broken hides the kind of err where it means that the store's answer ended
// early: taken for the end of the zip, it would make the zip look damaged.
func (r *ranged) broken(err error) error {
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	return fmt.Errorf("read the zip: the store broke off: %v", err) //nolint:errorlint // see above
}

// Close ends the open stream.
func (r *ranged) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}
