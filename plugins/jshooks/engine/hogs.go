package engine

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// hogMemory is for how long a hook is remembered that has run long.
const hogMemory = 10 * time.Second

// hogs leaves the machine to the others: of the hooks that have run long lately, only
// as many run at once as there are pairs of processors. So quick hooks always find a VM
// and everybody else a processor.
type hogs struct {
	timeout time.Duration
	slots   chan struct{}

	mu   sync.Mutex
	last map[string]time.Time // by hook
}

func newHogs(vms int, timeout time.Duration) *hogs {
	return &hogs{timeout: timeout, slots: make(chan struct{}, max(min(vms, runtime.NumCPU())/2, 1)), last: map[string]time.Time{}}
}

// saw remembers that a hook runs long.
func (h *hogs) saw(hook string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for hook, at := range h.last {
		if time.Since(at) > hogMemory {
			delete(h.last, hook)
		}
	}
	h.last[hook] = time.Now()
}

func (h *hogs) is(hook string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok := h.last[hook]
	return ok && time.Since(at) < hogMemory
}

// enter waits for a place if the hook has run long lately, and returns how to leave it.
func (h *hogs) enter(ctx context.Context, hook string) (leave func(), err error) {
	if !h.is(hook) {
		return func() {}, nil
	}
	timer := time.NewTimer(h.timeout)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-timer.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, errCanceled
	}
}
