package engine

import (
	"fmt"
	"sync"
	"time"
)

// Strikes of one hook, and how long it is suspended after them: twice as long each time.
const (
	maxStrikes     = 3
	firstSuspended = 30 * time.Second
	maxSuspended   = 5 * time.Minute
)

// strikes suspend a hook that was stopped, for the time it computed or for its memory,
// several times in a row. Until then it has cost everybody else a processor; afterwards
// it is tried once in a while, and one call that ends well clears it.
type strikes struct {
	mu    sync.Mutex
	hooks map[string]*struck
}

type struck struct {
	count int       // in a row
	last  time.Time // when the last one was
	until time.Time // suspended; zero for not yet
}

// suspendedError refuses a call of a hook that is suspended.
type suspendedError struct{ left time.Duration }

func (e *suspendedError) Error() string {
	return fmt.Sprintf("the hook was stopped %d times in a row and is suspended for another %v", maxStrikes, e.left.Round(time.Second))
}

// check refuses a hook that is suspended.
func (s *strikes) check(hook string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.look(hook)
	return err
}

// enter refuses a hook that is suspended when its call begins. When its time is over
// one call is let through, as a trial.
func (s *strikes) enter(hook string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.look(hook)
	if err == nil && h != nil && !h.until.IsZero() {
		h.until = time.Now().Add(firstSuspended) // for the others, while the trial lasts
	}
	return err
}

func (s *strikes) look(hook string) (*struck, error) {
	h := s.hooks[hook]
	if h == nil {
		return nil, nil
	}
	if left := time.Until(h.until); left > 0 {
		return h, &suspendedError{left: left}
	}
	return h, nil
}

// stopped adds a strike and returns for how long the hook is suspended now, 0 for not.
// Calls that ran beside each other count once.
func (s *strikes) stopped(hook string, began time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks[hook]
	if h == nil {
		h = &struck{}
		if s.hooks == nil {
			s.hooks = map[string]*struck{}
		}
		s.hooks[hook] = h
	}
	if began.Before(h.last) {
		return 0
	}
	h.last = time.Now()
	h.count++
	if h.count < maxStrikes {
		return 0
	}
	wait := min(firstSuspended<<min(h.count-maxStrikes, 10), maxSuspended)
	h.until = time.Now().Add(wait)
	return wait
}

// clear forgets the strikes of a hook that ended well.
func (s *strikes) clear(hook string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.hooks, hook)
}
