package engine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestStrikes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s strikes
		refused := func() bool {
			var suspended *suspendedError
			return errors.As(s.enter("hook"), &suspended)
		}
		strike := func() time.Duration {
			began := time.Now()
			time.Sleep(time.Second)
			return s.stopped("hook", began)
		}
		for range maxStrikes - 1 {
			if wait := strike(); wait != 0 || refused() {
				t.Fatalf("suspended for %v after fewer than %d strikes", wait, maxStrikes)
			}
		}
		s.clear("hook")
		for range maxStrikes - 1 {
			strike()
		}
		if refused() {
			t.Fatal("a call that ended well does not count")
		}

		// Those that ran beside each other count once.
		began := time.Now()
		time.Sleep(time.Second)
		first, second := s.stopped("hook", began), s.stopped("hook", began)
		if first != firstSuspended || second != 0 || !refused() {
			t.Fatalf("suspended for %v and %v, want %v and 0", first, second, firstSuspended)
		}
		if s.enter("another") != nil {
			t.Error("another hook is refused as well")
		}

		if s.check("hook") == nil {
			t.Error("it may wait for its turn")
		}

		// One is tried, the others still refused, and it takes longer each time.
		time.Sleep(firstSuspended)
		if s.check("hook") != nil {
			t.Error("it may not wait for its turn")
		}
		if refused() {
			t.Fatal("refused after its time")
		}
		if !refused() {
			t.Fatal("a second one is let through beside the trial")
		}
		if wait := strike(); wait != 2*firstSuspended {
			t.Errorf("suspended for %v after a trial, want %v", wait, 2*firstSuspended)
		}
		for range 20 {
			strike()
		}
		if wait := strike(); wait != maxSuspended {
			t.Errorf("suspended for %v at most, want %v", wait, maxSuspended)
		}
		s.clear("hook")
		if refused() {
			t.Error("refused after a trial that ended well")
		}
	})
}
