package engine

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

// Hooks that were slow wait for each other, the others for nobody.
func TestShares(t *testing.T) {
	t.Parallel()
	s := newShares(8, 50*time.Millisecond)
	s.waited("GET /network")
	s.computed("GET /loop")
	s.waited("GET /both")
	s.computed("GET /both")
	for hook, places := range map[string]int{"GET /loop": max(min(8, runtime.NumCPU())/2, 1), "GET /network": 6} {
		var leave func()
		for range places {
			var err error
			if leave, _, err = s.enter(context.Background(), hook, false); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := s.enter(context.Background(), hook, false); !errors.Is(err, ErrBusy) {
			t.Errorf("one more %s: %v, want %v", hook, err, ErrBusy)
		}
		if _, _, err := s.enter(context.Background(), "GET /quick", false); err != nil {
			t.Errorf("a quick hook: %v", err)
		}
		leave()
		if _, _, err := s.enter(context.Background(), hook, false); err != nil {
			t.Errorf("%s after one has left: %v", hook, err)
		}
	}
	if _, _, err := s.enter(context.Background(), "GET /new", true); !errors.Is(err, ErrBusy) {
		t.Errorf("one that nobody knows: %v, want %v", err, ErrBusy)
	}
	if _, _, err := s.enter(context.Background(), "GET /both", false); !errors.Is(err, ErrBusy) {
		t.Errorf("one that waits and computes: %v, want %v", err, ErrBusy)
	}
	s.seen["GET /loop"] = slowness{computed: time.Now().Add(-slowMemory)}
	if _, _, err := s.enter(context.Background(), "GET /loop", false); err != nil {
		t.Errorf("after a while: %v", err)
	}
}
