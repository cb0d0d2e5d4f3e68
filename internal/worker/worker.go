// Package worker runs one function again and again in the background.
//
// Start and Stop can be called any number of times and in any order, because
// PocketBase may end an app more than once and may start it again after that.
//
//	w := worker.New(2*time.Second, flush, logError)
//	w.Start()
//	defer w.Stop(ctx)
package worker

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Worker calls a function at a fixed interval until it is stopped.
type Worker struct {
	interval time.Duration
	run      func(context.Context) error
	onError  func(error)

	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// New returns a stopped worker that calls run every interval. An error or a
// panic of run goes to onError and does not end the worker.
func New(interval time.Duration, run func(context.Context) error, onError func(error)) *Worker {
	return &Worker{interval: interval, run: run, onError: onError}
}

// Start begins to call the function, the first time after one interval.
// It does nothing when the worker runs already.
func (w *Worker) Start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.cancel, w.done = cancel, done
	go func() {
		defer close(done)
		w.loop(ctx)
	}()
}

// Stop cancels the context of a call under way and waits for it to return, but
// no longer than ctx allows. It returns ctx's error if the call had to be left
// behind.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	cancel, done := w.cancel, w.done
	w.cancel, w.done = nil, nil
	w.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Worker) loop(ctx context.Context) {
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := w.call(ctx); err != nil && ctx.Err() == nil {
				w.onError(err)
			}
		}
	}
}

func (w *Worker) call(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return w.run(ctx)
}
