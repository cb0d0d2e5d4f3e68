package replica

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/superfly/ltx"
)

// Litestream merges the files of level 0, of which there are some each second,
// into ever larger spans of time, and deletes them: history then has steps of
// half a minute. To restore to any second, level 0 is kept: many of its files
// together in one object, a pack, with an index at its end, so that a week is
// some thousand objects rather than a million. Litestream does not see packs.

const historyPrefix = "history/"

// A pack ends in its index as JSON, the index's length and this.
const packMagic = "PBLTX001"

const packTrailer = 8 + len(packMagic)

// packIndexGuess is how much of a pack's end is read at first, to have the index
// at once.
const packIndexGuess = 64 << 10

// packed is one file of level 0 inside of a pack.
type packed struct {
	Min    ltx.TXID `json:"min"`
	Max    ltx.TXID `json:"max"`
	Time   int64    `json:"time"` // Unix milliseconds
	Offset int64    `json:"offset"`
	Size   int64    `json:"size"`
}

// pack is one object of the history. Its key says what is in it.
type pack struct {
	key      string
	size     int64
	min, max ltx.TXID
	from, to time.Time
}

func packKey(files []packed) string {
	first, last := files[0], files[len(files)-1]
	return fmt.Sprintf("%s%s-%s-%d-%d.pack", historyPrefix, first.Min, last.Max, first.Time, last.Time)
}

func parsePack(info objectstore.Info) (pack, bool) {
	name, isPack := strings.CutSuffix(strings.TrimPrefix(info.Key, historyPrefix), ".pack")
	parts := strings.Split(name, "-")
	if !isPack || len(parts) != 4 {
		return pack{}, false
	}
	minTXID, err1 := ltx.ParseTXID(parts[0])
	maxTXID, err2 := ltx.ParseTXID(parts[1])
	from, err3 := strconv.ParseInt(parts[2], 10, 64)
	to, err4 := strconv.ParseInt(parts[3], 10, 64)
	if errors.Join(err1, err2, err3, err4) != nil {
		return pack{}, false
	}
	return pack{
		key: info.Key, size: info.Size, min: minTXID, max: maxTXID,
		from: time.UnixMilli(from).UTC(), to: time.UnixMilli(to).UTC(),
	}, true
}

// listPacks returns all packs, the oldest first.
func (c *client) listPacks(ctx context.Context) ([]pack, error) {
	var packs []pack
	for info, err := range c.store.List(ctx, historyPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list history: %w", err)
		}
		if p, ok := parsePack(info); ok {
			packs = append(packs, p)
		}
	}
	return packs, nil
}

// index reads what is in a pack.
func (c *client) index(ctx context.Context, p pack) ([]packed, error) {
	guess := min(p.size, packIndexGuess)
	tail, err := c.readRange(ctx, p.key, p.size-guess, guess)
	if err != nil {
		return nil, err
	}
	if len(tail) < packTrailer || string(tail[len(tail)-len(packMagic):]) != packMagic {
		return nil, fmt.Errorf("%s is not a whole pack", p.key)
	}
	length := int64(binary.BigEndian.Uint64(tail[len(tail)-packTrailer:])) //nolint:gosec // checked next
	if length < 0 || length > p.size-int64(packTrailer) {
		return nil, fmt.Errorf("%s is not a whole pack", p.key)
	}
	if missing := length + int64(packTrailer) - guess; missing > 0 {
		head, err := c.readRange(ctx, p.key, p.size-guess-missing, missing)
		if err != nil {
			return nil, err
		}
		tail = append(head, tail...)
	}
	end := int64(len(tail) - packTrailer)
	var files []packed
	if err := json.Unmarshal(tail[end-length:end], &files); err != nil {
		return nil, fmt.Errorf("read index of %s: %w", p.key, err)
	}
	return files, nil
}

func (c *client) readRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	body, err := c.open(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err == nil && int64(len(data)) != length {
		err = fmt.Errorf("read %s: %w", key, io.ErrUnexpectedEOF)
	}
	return data, err
}

// writePack stores the files as one pack. open opens one of them.
func (c *client) writePack(ctx context.Context, files []*ltx.FileInfo, open func(*ltx.FileInfo) (io.ReadCloser, error)) error {
	index := make([]packed, 0, len(files))
	var offset int64
	for _, file := range files { // the key needs the times before the content is written
		at, err := timeIn(file, open)
		if err != nil {
			return err
		}
		index = append(index, packed{Min: file.MinTXID, Max: file.MaxTXID, Time: at, Offset: offset, Size: file.Size})
		offset += file.Size
	}
	encoded, err := json.Marshal(index)
	if err != nil {
		return err
	}
	reader, writer := io.Pipe()
	go func() {
		writer.CloseWithError(writeFiles(writer, files, open, encoded))
	}()
	_, err = c.store.Put(ctx, packKey(index), reader, objectstore.PutOptions{})
	_ = reader.CloseWithError(errors.New("pack is not wanted any more"))
	return err
}

func timeIn(file *ltx.FileInfo, open func(*ltx.FileInfo) (io.ReadCloser, error)) (int64, error) {
	body, err := open(file)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	header, _, err := ltx.PeekHeader(body)
	return header.Timestamp, err
}

func writeFiles(w io.Writer, files []*ltx.FileInfo, open func(*ltx.FileInfo) (io.ReadCloser, error), index []byte) error {
	for _, file := range files {
		body, err := open(file)
		if err != nil {
			return err
		}
		n, err := io.Copy(w, body)
		if err := errors.Join(err, body.Close()); err != nil {
			return err
		}
		if n != file.Size {
			return fmt.Errorf("%s has %d bytes, not %d", ltx.FormatFilename(file.MinTXID, file.MaxTXID), n, file.Size)
		}
	}
	trailer := binary.BigEndian.AppendUint64(slices.Clone(index), uint64(len(index)))
	_, err := w.Write(append(trailer, packMagic...))
	return err
}

// headerTime returns the moment that a file of level 0 is of.
func (c *client) headerTime(ctx context.Context, file *ltx.FileInfo) (time.Time, error) {
	raw, err := c.readRange(ctx, c.layout.key(0, file.MinTXID, file.MaxTXID), 0, ltx.HeaderSize)
	if err != nil {
		return time.Time{}, err
	}
	header, _, err := ltx.PeekHeader(bytes.NewReader(raw))
	return time.UnixMilli(header.Timestamp).UTC(), err
}

// BeforeError is returned for a moment before all that the replica knows of.
type BeforeError struct {
	// Oldest is the first moment that can be restored, zero when it is not known.
	Oldest time.Time
}

func (e *BeforeError) Error() string {
	if e.Oldest.IsZero() {
		return "nothing was replicated before that time"
	}
	return "the oldest moment that can be restored is " + e.Oldest.Format(time.RFC3339)
}

// find returns the last transaction that is not after at, and when it was.
func (c *client) find(ctx context.Context, at time.Time) (ltx.TXID, time.Time, error) {
	live, err := c.list(ctx, 0, 0)
	if err != nil {
		return 0, time.Time{}, err
	}
	// Times grow with transactions, so a dozen headers are read of hundreds.
	var failed error
	after, _ := slices.BinarySearchFunc(live, at, func(file *ltx.FileInfo, at time.Time) int {
		moment, err := c.headerTime(ctx, file)
		failed = errors.Join(failed, err)
		if moment.After(at) {
			return 1
		}
		return -1
	})
	if failed != nil {
		return 0, time.Time{}, failed
	}
	if after > 0 {
		found := live[after-1]
		moment, err := c.headerTime(ctx, found)
		return found.MaxTXID, moment, err
	}
	packs, err := c.listPacks(ctx)
	if err != nil {
		return 0, time.Time{}, err
	}
	for _, p := range slices.Backward(packs) {
		if p.from.After(at) {
			continue
		}
		files, err := c.index(ctx, p)
		if err != nil {
			return 0, time.Time{}, err
		}
		for _, file := range slices.Backward(files) {
			if moment := time.UnixMilli(file.Time).UTC(); !moment.After(at) {
				return file.Max, moment, nil
			}
		}
	}
	return 0, time.Time{}, &BeforeError{c.oldest(ctx, packs, live)}
}

func (c *client) oldest(ctx context.Context, packs []pack, live []*ltx.FileInfo) time.Time {
	if len(packs) > 0 {
		return packs[0].from
	}
	if len(live) > 0 {
		if moment, err := c.headerTime(ctx, live[0]); err == nil {
			return moment
		}
	}
	return time.Time{}
}

// withHistory is the client whose level 0 has the packed files too that a
// restore to target may need.
type withHistory struct {
	*client
	files  []*ltx.FileInfo // sorted
	places map[ltx.TXID]place
}

type place struct {
	pack   string
	packed packed
}

// historyUntil returns the view of the replica for a restore to target. What
// other levels already cover need not come out of packs.
func (c *client) historyUntil(ctx context.Context, target ltx.TXID, levels []int) (*withHistory, error) {
	var covered ltx.TXID
	for _, level := range levels {
		files, err := c.list(ctx, level, 0)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if file.MaxTXID <= target {
				covered = max(covered, file.MaxTXID)
			}
		}
	}
	packs, err := c.listPacks(ctx)
	if err != nil {
		return nil, err
	}
	view := &withHistory{client: c, places: map[ltx.TXID]place{}}
	for _, p := range packs {
		if p.max <= covered || p.min > target {
			continue
		}
		files, err := c.index(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if file.Max <= covered || file.Max > target {
				continue
			}
			view.places[file.Min] = place{p.key, file}
			view.files = append(view.files, &ltx.FileInfo{
				MinTXID: file.Min, MaxTXID: file.Max, Size: file.Size, CreatedAt: time.UnixMilli(file.Time).UTC(),
			})
		}
	}
	live, err := c.list(ctx, 0, covered+1)
	if err != nil {
		return nil, err
	}
	for _, file := range live {
		if _, isPacked := view.places[file.MinTXID]; !isPacked {
			view.files = append(view.files, file)
		}
	}
	slices.SortFunc(view.files, func(a, b *ltx.FileInfo) int { return compareTXID(a.MinTXID, b.MinTXID) })
	return view, nil
}

func compareTXID(a, b ltx.TXID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// LTXFiles implements [litestream.ReplicaClient].
func (v *withHistory) LTXFiles(ctx context.Context, level int, seek ltx.TXID, accurate bool) (ltx.FileIterator, error) {
	if level != 0 {
		return v.client.LTXFiles(ctx, level, seek, accurate)
	}
	from := slices.IndexFunc(v.files, func(file *ltx.FileInfo) bool { return file.MinTXID >= seek })
	if from < 0 {
		return ltx.NewFileInfoSliceIterator(nil), nil
	}
	return ltx.NewFileInfoSliceIterator(v.files[from:]), nil
}

// OpenLTXFile implements [litestream.ReplicaClient].
func (v *withHistory) OpenLTXFile(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, offset, size int64) (io.ReadCloser, error) {
	where, isPacked := v.places[minTXID]
	if level != 0 || !isPacked {
		return v.client.OpenLTXFile(ctx, level, minTXID, maxTXID, offset, size)
	}
	left := where.packed.Size - offset
	if left <= 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	if size == 0 || size > left {
		size = left
	}
	return v.open(ctx, where.pack, where.packed.Offset+offset, size)
}

// archive moves the files of level 0 that are merged into level 1 and older
// than keep into a pack. The newest stays: it says where the replica is.
func (r *Replica) archive(ctx context.Context, merged ltx.TXID, keep time.Duration) error {
	files, err := r.client.list(ctx, 0, 0)
	if err != nil {
		return err
	}
	limit := time.Now().Add(-keep)
	var old []*ltx.FileInfo
	for i, file := range files {
		if i == len(files)-1 || file.MaxTXID > merged || file.CreatedAt.After(limit) {
			break
		}
		old = append(old, file)
	}
	for batch := range packBatches(old) {
		err := r.client.writePack(ctx, batch, func(file *ltx.FileInfo) (io.ReadCloser, error) {
			local, err := os.Open(r.db.LTXPath(0, file.MinTXID, file.MaxTXID))
			if errors.Is(err, os.ErrNotExist) {
				return r.client.OpenLTXFile(ctx, 0, file.MinTXID, file.MaxTXID, 0, 0)
			}
			return local, err
		})
		if err != nil {
			return fmt.Errorf("pack history: %w", err)
		}
		if err := r.client.DeleteLTXFiles(ctx, batch); err != nil {
			return fmt.Errorf("delete what is packed: %w", err)
		}
	}
	return nil
}

// packBatches splits files so that no pack is larger than the memory it is
// made in should be. A file larger than that is a pack of its own.
func packBatches(files []*ltx.FileInfo) func(func([]*ltx.FileInfo) bool) {
	const limit = 16 << 20
	return func(yield func([]*ltx.FileInfo) bool) {
		for len(files) > 0 {
			n, size := 0, int64(0)
			for n < len(files) && (n == 0 || size+files[n].Size <= limit) {
				size += files[n].Size
				n++
			}
			if !yield(files[:n]) {
				return
			}
			files = files[n:]
		}
	}
}

// pruneHistory deletes the packs that end before limit.
func (c *client) pruneHistory(ctx context.Context, limit time.Time) error {
	packs, err := c.listPacks(ctx)
	if err != nil {
		return err
	}
	var old []string
	for _, p := range packs {
		if p.to.Before(limit) {
			old = append(old, p.key)
		}
	}
	return c.store.Delete(ctx, old...)
}
