package engine

import (
	"runtime"
	"sync"
	"time"
)

// slowAfter is how long a call computes before it makes way for everybody else, in
// samples of the watchdog. Most hooks are done long before.
const slowAfter = 4 * sampleInterval

// slowForQuick is how long a hook computes that was quick before until it counts as slow.
const slowForQuick = 5 * slowAfter

// quietAfter is how long no call has run long before the processors are taken back.
const quietAfter = 30 * time.Second

// lanes keep the server quick while hooks compute for long. Go shares its processors in
// turns of 10 ms: eight hooks that loop would have every other request wait through
// many such turns. So Go gets more processors while calls run long; and hooks that are
// known for it have threads of their own, to which the system gives a small share.
type lanes struct {
	most func() int // calls at once

	mu     sync.Mutex
	slow   int // calls that run long
	usual  int // processors, when there are none
	shrink *time.Timer
}

// in runs fn on a thread of its own and waits for it. A panic of fn is the caller's.
func (l *lanes) in(fn func(*lane)) {
	done := make(chan any, 1)
	go func() {
		runtime.LockOSThread()
		own := &lane{lanes: l, thread: threadID()}
		defer func() {
			p := recover()
			if !own.end() {
				// The thread that was slowed down cannot be quick again: it ends with the goroutine.
				runtime.UnlockOSThread()
			}
			done <- p
		}()
		fn(own)
	}()
	if p := <-done; p != nil {
		panic(p)
	}
}

// beside runs fn where it is called.
func (l *lanes) beside(fn func(*lane)) {
	own := &lane{lanes: l}
	defer own.end()
	fn(own)
}

// lane is where one call runs.
type lane struct {
	lanes  *lanes
	thread int // its own; 0 for none

	mu     sync.Mutex
	slowed bool
	ended  bool
}

// slow makes the call give way to everything else, until it ends.
func (l *lane) slow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slowed || l.ended {
		return
	}
	l.slowed = true
	if l.thread != 0 {
		giveWay(l.thread)
	}
	l.lanes.more()
}

// end reports whether the lane was slowed down.
func (l *lane) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.slowed {
		l.lanes.less()
	}
	return l.slowed
}

// more adds processors while calls run long. Each change stops the world, which waits for
// those very calls; so all are added at once, and taken back when none has run long for a while.
func (l *lanes) more() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow++
	if l.usual == 0 {
		l.usual = runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(l.usual + l.most())
	}
	if l.shrink != nil {
		l.shrink.Stop()
	}
}

func (l *lanes) less() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slow--; l.slow > 0 {
		return
	}
	l.shrink = time.AfterFunc(quietAfter, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.slow == 0 && l.usual > 0 {
			runtime.GOMAXPROCS(l.usual)
			l.usual = 0
		}
	})
}
