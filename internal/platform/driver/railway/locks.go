package railway

import (
	"context"
	"sync"
)

// locks keep two verbs from changing one tenant at once.
type locks struct {
	mu     sync.Mutex
	queues map[string]*queue
}

type queue struct {
	turn  chan struct{} // holds one value while the tenant is taken
	users int
}

// acquire waits for its turn with the tenant. Call release when it returns no error.
func (l *locks) acquire(ctx context.Context, id string) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	if l.queues == nil {
		l.queues = map[string]*queue{}
	}
	q := l.queues[id]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
		l.queues[id] = q
	}
	q.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if q.users--; q.users == 0 {
			delete(l.queues, id)
		}
	}
	select {
	case q.turn <- struct{}{}:
		return func() {
			<-q.turn
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
