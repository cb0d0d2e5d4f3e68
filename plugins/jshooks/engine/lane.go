package engine

import (
	"runtime"
	"sync"
)

// slowAfter is how long a call computes before it makes way for everybody else, in
// samples of the watchdog. Most hooks are done long before.
const slowAfter = 4 * sampleInterval

// lanes keep the server quick while hooks compute for long. Go shares its processors in
// turns of 10 ms: eight hooks that loop would have every other request wait through
// many such turns. So a call has a thread of its own; one that runs long gets the lowest
// share of the machine that the system gives, and Go one more processor for as long.
type lanes struct {
	mu    sync.Mutex
	slow  int // calls that run long
	usual int // processors, when there are none
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

// lane is the thread of one call.
type lane struct {
	lanes  *lanes
	thread int

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
	giveWay(l.thread)
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

// more adds a processor for a call that runs long.
func (l *lanes) more() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slow == 0 {
		l.usual = runtime.GOMAXPROCS(0)
	}
	l.slow++
	if want := l.usual + l.slow; runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
}

// less takes them all back when no call runs long any more: each change stops the world.
func (l *lanes) less() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slow--; l.slow == 0 {
		runtime.GOMAXPROCS(l.usual)
	}
}
