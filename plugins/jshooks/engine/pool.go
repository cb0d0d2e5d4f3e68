package engine

import (
	"context"
	"sync"
	"time"
)

// spares is how many idle VMs there are again soon after some were broken.
const spares = 2

// reserve is how many calls may run beyond the cap because they hold a database transaction.
// The others may wait for that transaction, and would never give their VM back. There are two databases
// with one writer each.
const reserve = 2

// pool hands out VMs. They hold nothing of a generation, so swaps don't touch it.
type pool struct {
	make    func(slow bool) (*machine, error)
	timeout time.Duration
	size    func() int
	sized   sync.Once
	slots   chan struct{}
	extra   chan struct{}

	mu   sync.Mutex
	idle []*machine
	gone bool
}

func newPool(size func() int, timeout time.Duration, make_ func(slow bool) (*machine, error)) *pool {
	return &pool{make: make_, timeout: timeout, size: size, extra: make(chan struct{}, reserve)}
}

// start makes the slots, once.
func (p *pool) start() {
	p.sized.Do(func() { p.slots = make(chan struct{}, max(p.size(), 1)) })
}

// open keeps VMs again, after a close.
func (p *pool) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = false
}

// get waits for a VM and returns how to give it back.
func (p *pool) get(ctx context.Context, urgent, slow bool) (*machine, func(), error) {
	p.start()
	var taken chan struct{}
	select {
	case p.slots <- struct{}{}:
		taken = p.slots
	default:
		extra := p.extra
		if !urgent {
			extra = nil
		}
		timer := time.NewTimer(p.timeout)
		defer timer.Stop()
		select {
		case p.slots <- struct{}{}:
			taken = p.slots
		case extra <- struct{}{}:
			taken = p.extra
		case <-timer.C:
			return nil, nil, ErrBusy
		case <-ctx.Done():
			return nil, nil, errCanceled
		}
	}
	m, err := p.take(slow)
	if err != nil {
		<-taken
		return nil, nil, err
	}
	return m, func() {
		p.put(m)
		<-taken
	}, nil
}

// take leaves the last idle VMs to quick hooks.
func (p *pool) take(slow bool) (*machine, error) {
	p.mu.Lock()
	if n := len(p.idle); n > spares || n > 0 && !slow {
		m := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return m, nil
	}
	p.mu.Unlock()
	return p.make(slow)
}

func (p *pool) put(m *machine) {
	m.calls++
	if !m.broken && m.calls < maxCalls {
		p.keep(m)
	}
}

func (p *pool) keep(m *machine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone && len(p.idle) < cap(p.slots) {
		p.idle = append(p.idle, m)
	}
}

// short reports whether there is hardly a VM for the next call.
func (p *pool) short() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.gone && len(p.idle) < min(spares, cap(p.slots))
}

// close waits until no VM is out.
func (p *pool) close(ctx context.Context) error {
	p.start()
	p.mu.Lock()
	p.gone, p.idle = true, nil
	p.mu.Unlock()
	for _, c := range []chan struct{}{p.slots, p.extra} {
		n := 0
		defer func() {
			for range n {
				<-c
			}
		}()
		for range cap(c) {
			select {
			case c <- struct{}{}:
				n++
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}
