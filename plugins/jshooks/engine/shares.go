package engine

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// slowMemory is for how long a hook is remembered that was slow.
const slowMemory = 10 * time.Second

// shares leave the machine and the VMs to quick hooks and to everybody else. Of the
// hooks that computed for long lately only as many run at once as there are pairs of
// processors; and those that waited for long, for a network, leave a quarter of the VMs.
type shares struct {
	timeout   time.Duration
	computing chan struct{}
	waiting   chan struct{}

	mu   sync.Mutex
	seen map[string]slowness // by hook
}

// slowness is when a hook was slow last, and how.
type slowness struct{ computed, waited time.Time }

func newShares(vms int, timeout time.Duration) *shares {
	return &shares{
		timeout:   timeout,
		computing: make(chan struct{}, max(min(vms, runtime.NumCPU())/2, 1)),
		waiting:   make(chan struct{}, max(vms-max(vms/4, 1), 1)),
		seen:      map[string]slowness{},
	}
}

// computed remembers that a hook computed for long.
func (s *shares) computed(hook string) { s.saw(hook, slowness{computed: time.Now()}) }

// waited remembers that a hook waited for long.
func (s *shares) waited(hook string) { s.saw(hook, slowness{waited: time.Now()}) }

func (s *shares) saw(hook string, now slowness) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hook, was := range s.seen {
		if !recent(was.computed) && !recent(was.waited) {
			delete(s.seen, hook)
		}
	}
	was := s.seen[hook]
	if now.computed.IsZero() {
		now.computed = was.computed
	} else {
		now.waited = was.waited
	}
	s.seen[hook] = now
}

func recent(at time.Time) bool { return time.Since(at) < slowMemory }

// computes reports whether the hook computed for long lately.
func (s *shares) computes(hook string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return recent(s.seen[hook].computed)
}

// of returns the places that the hook shares with others, nil for a quick one, and
// whether it was slow lately. One that is new may be anything.
func (s *shares) of(hook string, isNew bool) (places chan struct{}, slow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch was := s.seen[hook]; {
	case recent(was.computed):
		return s.computing, true
	case recent(was.waited):
		return s.waiting, true
	case isNew:
		return s.waiting, false
	}
	return nil, false
}

// enter waits for a place unless the hook is a quick one, and returns how to leave it.
func (s *shares) enter(ctx context.Context, hook string, isNew bool) (leave func(), slow bool, err error) {
	places, slow := s.of(hook, isNew)
	if places == nil {
		return func() {}, false, nil
	}
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	select {
	case places <- struct{}{}:
		return func() { <-places }, slow, nil
	case <-timer.C:
		return nil, slow, ErrBusy
	case <-ctx.Done():
		return nil, slow, errCanceled
	}
}
