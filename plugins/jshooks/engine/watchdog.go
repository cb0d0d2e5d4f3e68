package engine

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// sampleInterval is how often the heap is looked at while calls run.
const sampleInterval = 5 * time.Millisecond

// collectInterval is how often at most a suspicion may cost a garbage collection.
const collectInterval = 200 * time.Millisecond

// watchdog stops running calls when the heap has grown too much since the first of
// them began. It runs only while calls do.
type watchdog struct {
	limit func() int64

	mu     sync.Mutex
	calls  map[*call]struct{}
	active bool
	base   int64
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
		w.base = heap()
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
		// A collection frees what was garbage when the base was taken.
		w.base = min(w.base, now)
		if len(w.calls) == 0 {
			// Calls often follow each other closely: a goroutine for each would cost more.
			if quiet++; quiet > 20 {
				w.active = false
				w.mu.Unlock()
				return
			}
			w.base = now
		} else {
			quiet = 0
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

func (w *watchdog) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.calls {
		c.interrupt(ErrMemory)
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
