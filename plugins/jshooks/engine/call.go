package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// nagInterval is how often an interrupt is repeated until it has worked.
const nagInterval = 20 * time.Millisecond

// call is one run of hooks: all handlers of one event, or of one request.
type call struct {
	engine    *Engine
	m         *machine
	parent    *call // the call that this one happens in
	gen       *Generation
	hook      string
	requestID string
	app       core.App
	ctx       context.Context
	cancel    context.CancelFunc

	mu      sync.Mutex
	left    time.Duration // of the budget, at since
	since   time.Time
	timer   *time.Timer
	running bool // the clock runs
	began   time.Time
	cause   error
	struck  bool          // it was stopped for what it cost everybody
	waits   time.Time     // since when it waits, for the network or for time to pass; zero for not
	waited  time.Duration // since the clock runs, before that

	computed time.Duration // when the clock ran last

	done        bool
	registering *scope // set while the top level of a file runs
	logged      int
	stored      int           // bytes, put into records
	mails       int           // sent
	mailing     time.Duration // that they took
	errs        map[*goja.Object]error
	scopes      map[string]*scope
	shapes      map[*goja.Object]shape
}

// interrupt stops the call unless its clock stands still.
func (c *call) interrupt(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done || !c.running {
		return
	}
	if c.cause == nil {
		c.cause = cause
		c.m.broken = true
		c.struck = c.waits.IsZero() || errors.Is(cause, ErrMemory)
	}
	c.m.stop.Store(true)
	c.m.vm.Interrupt(c.cause)
	c.cancel()
	// Code that runs while the stack unwinds may have used the interrupt up.
	c.timer.Reset(nagInterval)
}

// suspect reports whether the call may be what allocates now.
func (c *call) suspect() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running && c.waits.IsZero() && c.cause == nil
}

// times are for how long the call has computed and waited since its clock runs.
func (c *call) times() (computed, waited time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running {
		return 0, 0
	}
	waited = c.waited
	if !c.waits.IsZero() {
		waited += time.Since(c.waits)
	}
	return time.Since(c.since) - waited, waited
}

// wait marks the call while it does nothing but wait.
func (c *call) wait() (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = time.Now()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waited += time.Since(c.waits)
		c.waits = time.Time{}
	}
}

// judge adds a strike if the call was stopped for what it cost, or clears them.
func (c *call) judge(t target) {
	c.mu.Lock()
	struck, began, computed := c.struck, c.began, c.computed
	c.mu.Unlock()
	if !struck {
		if computed < slowAfter {
			t.gen.quick.Store(t.hook, true)
		}
		t.gen.strikes.clear(t.name())
		return
	}
	if wait := t.gen.strikes.stopped(t.name(), began); wait > 0 {
		c.log("error", fmt.Sprintf("the hook was stopped %d times in a row: its calls are refused for %v", maxStrikes, wait), "", 0)
	}
}

// pause stops the clock.
func (c *call) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		c.running = false
		c.timer.Stop()
		ran := time.Since(c.since)
		c.left -= ran
		c.computed = ran - c.waited
	}
}

func (c *call) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done && !c.running {
		c.running = true
		c.since, c.waited = time.Now(), 0
		c.timer.Reset(max(c.left, 0))
	}
}

// end stops the clock for good and returns what is left of the budget.
func (c *call) end() time.Duration {
	c.pause()
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	return c.left
}

// outside runs fn, which belongs to somebody else, with the clock stopped.
func (c *call) outside(fn func() error) (err error) {
	c.pause()
	defer c.resume()
	defer func() {
		// A panic must not unwind through the VM.
		if p := recover(); p != nil {
			buf := make([]byte, 4096)
			c.engine.app.Logger().Error("panic inside e.next() of a hook", "panic", fmt.Sprint(p), "stack", string(buf[:runtime.Stack(buf, false)]))
			err = &passedPanic{value: p}
		}
	}()
	return fn()
}

type passedPanic struct{ value any }

func (p *passedPanic) Error() string { return fmt.Sprint("panic: ", p.value) }

// invoke calls a handler and turns what comes out of it into an error.
func (c *call) invoke(fn goja.Callable, args ...goja.Value) error {
	v, err := fn(goja.Undefined(), args...)
	if err != nil {
		return c.failure(err)
	}
	o, ok := v.(*goja.Object)
	if !ok {
		return nil
	}
	if err, ok := c.m.goError(o); ok {
		return err
	}
	if o.ClassName() == "Promise" {
		c.log("warn", "the handler must not be async: what happens after its first await isn't waited for", "", 0)
		if p, ok := o.Export().(*goja.Promise); ok && p.State() == goja.PromiseStateRejected {
			return c.rejection(p.Result())
		}
	}
	return nil
}

func (c *call) rejection(v goja.Value) error {
	if o, ok := v.(*goja.Object); ok {
		if err, ok := c.m.goError(o); ok {
			return err
		}
	}
	err := &thrownError{message: c.m.thrown(v)}
	c.log("error", err.message, "", 0)
	return err
}

// failure turns what goja returned into an error and logs it.
func (c *call) failure(err error) error {
	var passed *router.ApiError
	var exception *goja.Exception
	if errors.As(err, &exception) {
		if o, ok := exception.Value().(*goja.Object); ok {
			if own, ok := c.m.goError(o); ok {
				var next *passedError
				if errors.As(own, &next) {
					return next.error
				}
				if errors.As(own, &passed) {
					return own
				}
				err = &linkedError{error: own, exception: exception}
			}
		}
	}
	message, file, line, _ := c.m.describe(err)
	var result error
	var linked *linkedError
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	switch {
	case errors.As(err, &linked):
		result, message = linked.error, linked.error.Error()
	case errors.As(err, &interrupted):
		result = c.cause
		if result == nil {
			// An outer call was stopped; it says so itself.
			return errCanceled
		}
		message = result.Error()
	case errors.As(err, &overflow):
		c.m.broken = true
		result = ErrTooDeep
	default:
		result = &thrownError{message: message}
	}
	c.log("error", message, file, line)
	return result
}

// linkedError is an exception that stands for a Go error.
type linkedError struct {
	error
	exception *goja.Exception
}

func (e *linkedError) Unwrap() []error { return []error{e.exception, e.error} }
