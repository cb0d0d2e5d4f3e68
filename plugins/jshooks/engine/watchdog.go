package engine

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// sampleInterval is how often the heap is looked at while calls run.
const sampleInterval = 5 * time.Millisecond

// baseWindow is for how long the heap must have been larger to count as what it is without hooks.
const baseWindow = 5 * time.Second

// collectInterval is how often at most a suspicion may cost a garbage collection.
const collectInterval = 200 * time.Millisecond

// watchdog stops a running call when the heap has grown too much since the first of
// them began. It runs only while calls do.
type watchdog struct {
	limit func() int64

	mu     sync.Mutex
	calls  map[*call]struct{}
	active bool
	base   int64     // the smallest heap of this window and the one before
	low    int64     // the smallest heap of this window
	since  time.Time // when this window began
}

func newWatchdog(limit func() int64) *watchdog {
	return &watchdog{limit: limit, calls: map[*call]struct{}{}}
}

func (w *watchdog) add(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[c] = struct{}{}
	if !w.active {
		w.active = true
		w.restart(heap())
		go w.run()
	}
}

func (w *watchdog) remove(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, c)
}

func (w *watchdog) run() {
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	var collected time.Time
	for quiet := 0; ; {
		<-ticker.C
		now := heap()
		w.mu.Lock()
		w.lower(now)
		if len(w.calls) == 0 {
			// Calls often follow each other closely: a goroutine for each would cost more.
			if quiet++; quiet > 20 {
				w.active = false
				w.mu.Unlock()
				return
			}
			w.restart(now)
		} else {
			quiet = 0
			w.slow()
		}
		limit, base := w.limit(), w.base
		w.mu.Unlock()
		if now-base <= limit || (time.Since(collected) < collectInterval && now-base <= 2*limit) {
			continue
		}
		// Only what survives a collection is somebody's memory.
		runtime.GC()
		collected = time.Now()
		if heap()-base > limit {
			w.interrupt()
		}
	}
}

// slow has the calls that compute for long give way, and notes those that wait for long.
func (w *watchdog) slow() {
	for c := range w.calls {
		computed, waited := c.times()
		if computed >= slowAfter {
			c.m.lane.slow()
			// The time on the clock: on a busy machine it is long for a quick hook, too.
			if _, quick := c.gen.quick.Load(c.hook); !quick || computed >= slowForQuick {
				c.engine.shares().computed(c.hook)
			}
		}
		if waited >= slowAfter {
			c.engine.shares().waited(c.hook)
		}
	}
}

// exceeded reports whether the heap has grown beyond doubt: garbage included, so it allows twice the limit.
func (w *watchdog) exceeded() bool {
	now := heap()
	w.mu.Lock()
	base, limit := w.base, w.limit()
	w.mu.Unlock()
	if now-base <= 2*limit {
		return false
	}
	runtime.GC()
	return heap()-base > limit
}

// restart begins to count from here.
func (w *watchdog) restart(now int64) {
	w.base, w.low, w.since = now, now, time.Now()
}

// lower follows the heap down at once, because a collection frees what was garbage when
// the base was taken, and up after a while: what has grown over many calls belongs to none of them.
func (w *watchdog) lower(now int64) {
	w.low, w.base = min(w.low, now), min(w.base, now)
	if time.Since(w.since) > baseWindow {
		w.base, w.low, w.since = w.low, now, time.Now()
	}
}

// interrupt stops the call that has run longest. Nobody counts allocations by call, but most hooks are done within a
// sample: what still runs is most likely it. If it was another, the next sample takes the next.
func (w *watchdog) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var oldest *call
	for c := range w.calls {
		if c.suspect() && (oldest == nil || c.began.Before(oldest.began)) {
			oldest = c
		}
	}
	if oldest != nil {
		oldest.interrupt(ErrMemory)
	}
}

// heap returns the bytes of objects and of stacks.
func heap() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	total := int64(0)
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			total += int64(s.Value.Uint64()) //nolint:gosec // bytes of memory fit
		}
	}
	return total
}
