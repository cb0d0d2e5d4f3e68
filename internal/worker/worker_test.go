package worker

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

const patience = 10 * time.Second

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatal(what + " did not happen in time")
		}
		runtime.Gosched()
	}
}

func TestStartStop(t *testing.T) {
	before := runtime.NumGoroutine()
	var calls, failures atomic.Int64
	w := New(time.Millisecond, func(context.Context) error {
		switch calls.Add(1) {
		case 1:
			return errors.New("first")
		case 2:
			panic("second")
		}
		return nil
	}, func(error) { failures.Add(1) })

	ctx := context.Background()
	if err := w.Stop(ctx); err != nil {
		t.Errorf("stop before start: %v", err)
	}
	for range 2 { // start after stop works, starting twice is one worker
		w.Start()
		w.Start()
		seen := calls.Load()
		eventually(t, "a call", func() bool { return calls.Load() > seen+2 })
		for range 2 {
			if err := w.Stop(ctx); err != nil {
				t.Errorf("stop: %v", err)
			}
		}
	}
	if failures.Load() != 2 {
		t.Errorf("%d failures reported, want the error and the panic", failures.Load())
	}
	stopped := calls.Load()
	eventually(t, "the end of the goroutine", func() bool { return runtime.NumGoroutine() <= before })
	if calls.Load() != stopped {
		t.Error("called after Stop")
	}
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	w := New(time.Millisecond, func(context.Context) error { close(started); <-release; return nil }, func(error) {})
	w.Start()
	<-started
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stop of a stuck worker: %v", err)
	}
	close(release)
}
