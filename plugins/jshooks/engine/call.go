package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/dop251/goja"
	"github.com/petermattis/goid"
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

// target says what a call is for.
type target struct {
	gen       *Generation
	hook      string
	about     string // the collection that the event is about
	app       core.App
	ctx       context.Context
	requestID string
	timeout   time.Duration
}

// name tells hooks apart that are suspended each for itself.
func (t target) name() string { return t.hook + " " + t.about }

// do runs fn with a VM: the one of the call that the goroutine is in already, or one of the
// pool. Its errors are those of the hooks, fit for a response.
func (e *Engine) do(t target, fn func(c *call) error) error {
	if t.ctx == nil {
		t.ctx = context.Background()
	}
	if t.timeout == 0 {
		t.timeout = e.callTimeout()
	}
	id := goroutine()
	if request, ok := e.requests.Load(id); ok && t.requestID == "" {
		t.requestID = request.(string)
	}
	if v, ok := e.running.Load(id); ok {
		m := v.(*machine)
		if t.requestID == "" {
			t.requestID = m.call.requestID // the call has a goroutine of its own
		}
		return m.run(t, m.call, fn)
	}
	if err := t.gen.strikes.check(t.name()); err != nil {
		return e.refuse(t, err)
	}
	// Whoever holds a database transaction goes first: the others wait for it.
	urgent := t.app != nil && t.app.IsTransactional()
	slow := false
	_, known := t.gen.quick.Load(t.hook)
	if !urgent {
		var leave func()
		var err error
		leave, slow, err = e.shares().enter(t.ctx, t.hook, !known)
		if err != nil {
			return e.refuse(t, err)
		}
		defer leave()
	}
	m, release, err := e.pool.get(t.ctx, urgent, slow)
	if err != nil {
		return e.refuse(t, err)
	}
	defer func() {
		broken := m.broken
		release()
		if broken && e.pool.short() {
			go e.replace()
		}
	}()
	run := func(own *lane) {
		id := goroutine()
		e.running.Store(id, m)
		defer e.running.Delete(id)
		m.lane = own
		err = m.run(t, nil, fn)
	}
	// A thread of its own costs a third of a small hook's throughput, so only those get
	// one that have been long before, or are not known yet.
	if !known || e.shares().computes(t.hook) {
		e.lanes.in(run)
	} else {
		e.lanes.beside(run)
	}
	return err
}

// refuse ends a call before it began.
func (e *Engine) refuse(t target, err error) error {
	e.metrics.observe(t.hook, 0, err)
	return typed(err)
}

// replace makes a VM in the place of a broken one, so that the next quick call need not
// do it, and gives way meanwhile.
func (e *Engine) replace() {
	if !e.replacing.TryLock() {
		return
	}
	defer e.replacing.Unlock()
	for e.pool.short() {
		m, err := e.slowMachine()
		if err != nil {
			return // whoever needs one is told
		}
		e.pool.keep(m)
	}
}

// machine makes a VM for a hook that was slow lately, or for a quick one.
func (e *Engine) machine(slow bool) (*machine, error) {
	if slow {
		return e.slowMachine()
	}
	return newMachine(e)
}

// slowMachine makes a VM while it gives way to everybody else.
func (e *Engine) slowMachine() (m *machine, err error) {
	e.lanes.in(func(own *lane) {
		own.slow()
		m, err = newMachine(e)
	})
	return m, err
}

func (m *machine) run(t target, parent *call, fn func(c *call) error) (err error) {
	// Again, for it may have waited for its turn.
	if err := t.gen.strikes.enter(t.name()); err != nil {
		return m.engine.refuse(t, err)
	}
	ctx, cancel := context.WithCancel(t.ctx)
	if parent != nil && parent.app != nil && parent.app.IsTransactional() && (t.app == nil || !t.app.IsTransactional()) {
		// The same goroutine holds the one writer: another app would wait for it for ever.
		t.app = parent.app
	}
	if parent != nil && t.requestID == "" {
		t.requestID = parent.requestID
	}
	c := &call{
		engine: m.engine, m: m, parent: parent, gen: t.gen, hook: t.hook, requestID: t.requestID,
		app: t.app, ctx: ctx, cancel: cancel, left: t.timeout, scopes: map[string]*scope{},
	}
	depth, joining := m.depth, len(m.joining)
	m.call = c
	c.mu.Lock()
	c.timer = time.AfterFunc(t.timeout, func() { c.interrupt(ErrTimeout) })
	c.since, c.running = time.Now(), true
	c.began = c.since
	c.mu.Unlock()
	m.engine.watch.add(c)
	var aborted *passedPanic
	defer func() {
		if p := recover(); p != nil {
			m.broken = true
			err = fmt.Errorf("%w: %v", ErrCrashed, p)
			c.log("error", "the hook crashed: "+clip(fmt.Sprint(p)), "", 0)
		}
		m.engine.watch.remove(c)
		took := t.timeout - c.end()
		m.call, m.depth, m.joining = parent, depth, m.joining[:min(joining, len(m.joining))]
		m.settle(parent)
		c.judge(t)
		m.engine.metrics.observe(c.hook, took, err)
		err = typed(err)
		if aborted != nil {
			panic(aborted.value)
		}
	}()
	err = fn(c)
	if parent == nil && errors.As(err, &aborted) && aborted.value != http.ErrAbortHandler { //nolint:errorlint // a panic's value, not an error
		aborted = nil
	}
	return err
}

// settle leaves the VM to the outer call, which may have been interrupted meanwhile.
func (m *machine) settle(parent *call) {
	m.vm.ClearInterrupt()
	m.stop.Store(false)
	if parent == nil {
		for o, proto := range m.shared {
			if o.Prototype() != proto && o.SetPrototype(proto) != nil {
				m.broken = true
			}
		}
	}
	for c := parent; c != nil; c = c.parent {
		c.mu.Lock()
		if c.cause != nil {
			m.stop.Store(true)
			m.vm.Interrupt(c.cause)
		}
		c.mu.Unlock()
	}
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

// goroutine returns the id of the goroutine. PocketBase hands no context to many of its
// events (enriching, mails, realtime), and a call that asked the pool for a second VM while it
// holds one could wait for itself. The text of [runtime.Stack] has the id as well, but takes
// the longer the deeper the stack is.
func goroutine() int64 { return goid.Get() }
