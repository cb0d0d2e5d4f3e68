package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

const (
	uploadConcurrency = 4
	minBackoff        = time.Second
	maxBackoff        = 15 * time.Second

	// awayTimeout is how long a request waits for a store that last failed.
	awayTimeout = 500 * time.Millisecond

	// queueRoom is how many uploads a reconcile queues ahead of the store.
	queueRoom = 256

	// drainFailures is how many failures tell a Stop that the store is away.
	drainFailures = 3
)

// queue holds the files that are not in the store yet, and uploads them: new
// ones at once, those that failed with a back-off. While the store is away one
// of them at a time finds out whether it is back.
type queue struct {
	p                      *Plugin
	minBackoff, maxBackoff time.Duration

	mu       sync.Mutex
	items    map[string]*item
	waiting  []*item // those of items that are not being uploaded
	active   int
	probing  int // of the active ones, those that were tried before
	away     bool
	nextTry  time.Time // for those tried before, while away
	backoff  time.Duration
	timer    *time.Timer
	changed  chan struct{} // closed at the next change, and replaced
	draining bool
	failed   int // while draining
	bytes    int64
	lastErr  error
}

// item is a file to upload.
type item struct {
	key     string
	size    int64
	since   time.Time
	tried   chan struct{} // closed after an attempt
	again   *item         // takes this one's place: the file was saved anew meanwhile
	active  bool
	retry   bool
	due     time.Time
	backoff time.Duration
}

func (q *queue) init(p *Plugin) {
	q.p = p
	q.minBackoff, q.maxBackoff = minBackoff, maxBackoff
	q.items = map[string]*item{}
	q.changed = make(chan struct{})
}

// add queues a local file and returns a channel that is closed after the next
// attempt. A file that is not there any more needs no upload: it returns nil.
func (q *queue) add(key string) (tried <-chan struct{}, err error) {
	if _, ok := parseKey(key); !ok {
		return nil, fmt.Errorf("file %q cannot be kept: its name is not allowed", key)
	}
	info, err := os.Stat(q.p.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", key, err)
	}

	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[key]
	switch {
	case it == nil:
		it = newItem(key, info.Size())
		q.insert(it)
	case it.active:
		if it.again == nil {
			it.again = newItem(key, info.Size())
		}
		return it.again.tried, nil
	default:
		q.bytes += info.Size() - it.size
		it.size, it.retry = info.Size(), false
		select {
		case <-it.tried:
			it.tried = make(chan struct{})
		default:
		}
	}
	tried = it.tried
	q.dispatch()
	return tried, nil
}

func newItem(key string, size int64) *item {
	return &item{key: key, size: size, since: time.Now(), tried: make(chan struct{})}
}

func (q *queue) insert(it *item) {
	q.items[it.key] = it
	q.bytes += it.size
	q.waiting = append(q.waiting, it)
}

func (q *queue) remove(it *item) {
	delete(q.items, it.key)
	q.bytes -= it.size
}

// dispatch starts what may be uploaded now. q.mu is held.
func (q *queue) dispatch() {
	for q.active < uploadConcurrency {
		i := slices.IndexFunc(q.waiting, q.ready)
		if i < 0 {
			break
		}
		it := q.waiting[i]
		if !q.p.spawn(func(ctx context.Context) { q.attempt(ctx, it) }) {
			return // stopped; Start dispatches again
		}
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.active++
		it.active = true
		if it.retry {
			q.probing++
		}
	}
	q.arm()
}

func (q *queue) ready(it *item) bool {
	if q.draining {
		return !it.retry && q.failed < drainFailures
	}
	if !it.retry {
		return true
	}
	now := time.Now()
	return !it.due.After(now) && (!q.away || q.probing == 0 && !q.nextTry.After(now))
}

// arm sets the timer for the next retry. When everything is busy, the end of an
// upload dispatches.
func (q *queue) arm() {
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	if q.draining || q.active == uploadConcurrency || q.away && q.probing > 0 {
		return
	}
	var next time.Time
	for _, it := range q.waiting {
		if next.IsZero() || it.due.Before(next) {
			next = it.due
		}
	}
	if next.IsZero() {
		return
	}
	if q.away && q.nextTry.After(next) {
		next = q.nextTry
	}
	q.timer = time.AfterFunc(max(time.Until(next), time.Millisecond), q.resume)
}

// resume uploads what is due.
func (q *queue) resume() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining = false
	q.dispatch()
}

func (q *queue) attempt(ctx context.Context, it *item) {
	var local bool
	err := safely(func() (err error) {
		local, err = q.p.put(ctx, it.key)
		return err
	})
	stopped := err != nil && ctx.Err() != nil // which says nothing about the store

	q.mu.Lock()
	wasAway, wasRetry := q.away, it.retry
	q.active--
	it.active = false
	if it.retry {
		q.probing--
	}
	q.remove(it)
	switch {
	case err == nil:
		q.away, q.backoff, q.lastErr = false, 0, nil
	case !stopped:
		q.fail(it, err, local)
	}
	if it.again != nil {
		q.insert(it.again)
	} else if err != nil {
		q.insert(it)
	}
	select {
	case <-it.tried:
	default:
		close(it.tried)
	}
	close(q.changed)
	q.changed = make(chan struct{})
	q.dispatch()
	q.mu.Unlock()

	switch {
	case err == nil && wasAway:
		q.p.recovered()
	case err != nil && !stopped:
		q.p.metrics.uploadErrors.Inc()
		if !wasAway && !wasRetry { // else it has been said
			q.p.logError("upload", err)
		}
	}
}

// fail notes a failed attempt. Only the store's failures tell that it is away.
func (q *queue) fail(it *item, err error, local bool) {
	now := time.Now()
	q.lastErr = err
	q.failed++
	it.retry = true
	it.backoff = q.longer(it.backoff)
	it.due = now.Add(it.backoff)
	if !local {
		q.away = true
		q.backoff = q.longer(q.backoff)
		q.nextTry = now.Add(q.backoff)
	}
}

func (q *queue) longer(backoff time.Duration) time.Duration {
	return min(max(2*backoff, q.minBackoff), q.maxBackoff)
}

func (q *queue) isAway() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.away
}

// suspect makes requests wait less until an upload succeeds.
func (q *queue) suspect() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.away = true
}

func (q *queue) has(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items[key] != nil
}

func (q *queue) status() (pending int, bytes int64, oldest time.Time, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if oldest.IsZero() || it.since.Before(oldest) {
			oldest = it.since
		}
	}
	return len(q.items), q.bytes, oldest, q.lastErr
}

// wait returns when done, which is called with q.mu held, reports true.
func (q *queue) wait(ctx context.Context, done func() bool) error {
	for {
		q.mu.Lock()
		changed, ok := q.changed, done()
		q.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// room waits until a reconcile may queue another upload.
func (q *queue) room(ctx context.Context) error {
	return q.wait(ctx, func() bool { return len(q.items) < queueRoom })
}

// drain tries everything once more, as long as the store answers.
func (q *queue) drain(ctx context.Context) error {
	q.mu.Lock()
	q.draining, q.failed = true, 0
	for _, it := range q.waiting {
		it.retry = false
	}
	q.dispatch()
	q.mu.Unlock()
	return q.wait(ctx, func() bool { return q.active == 0 && !slices.ContainsFunc(q.waiting, q.ready) })
}

// put copies a local file and its sidecar into the store. local is true when it
// was the disk that failed.
func (p *Plugin) put(ctx context.Context, key string) (local bool, err error) {
	if !p.enabled() {
		p.skipped.Store(true)
		return false, nil
	}
	// The sidecar goes first: a file in the store has its own beside it.
	for _, name := range []string{key + attrsExt, key} {
		if local, err := p.putOne(ctx, name); err != nil {
			return local, fmt.Errorf("upload %q: %w", name, err)
		}
	}
	return false, nil
}

func (p *Plugin) putOne(ctx context.Context, key string) (local bool, err error) {
	file, err := os.Open(p.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // deleted since, or a file without a sidecar
	}
	if err != nil {
		return true, err
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return true, err
	}
	ctx, cancel := p.budget(ctx, info.Size())
	defer cancel()
	body := &body{file: file}
	_, err = p.cfg.Store.Put(ctx, key, body, objectstore.PutOptions{Time: info.ModTime()})
	return body.err != nil, err
}

// body is a file that remembers whether it could be read.
type body struct {
	file *os.File
	err  error
}

func (b *body) Read(buffer []byte) (int, error) {
	n, err := b.file.Read(buffer)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

func (b *body) Seek(offset int64, whence int) (int64, error) { return b.file.Seek(offset, whence) }
