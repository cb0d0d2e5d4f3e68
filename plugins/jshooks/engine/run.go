package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/petermattis/goid"
	"github.com/pocketbase/pocketbase/core"
)

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
	depth, floor, joining := m.depth, m.floor, len(m.joining)
	m.floor = depth
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
		m.call, m.depth, m.floor, m.joining = parent, depth, floor, m.joining[:min(joining, len(m.joining))]
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

// goroutine returns the id of the goroutine. PocketBase hands no context to many of its
// events (enriching, mails, realtime), and a call that asked the pool for a second VM while it
// holds one could wait for itself. The text of [runtime.Stack] has the id as well, but takes
// the longer the deeper the stack is.
func goroutine() int64 { return goid.Get() }
