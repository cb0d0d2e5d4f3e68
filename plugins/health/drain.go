package health

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/subscriptions"
)

// TopicShutdown is the name of the last message that realtime clients get when
// the tenant drains. Its data is {"reconnect":true}.
const TopicShutdown = "pico_shutdown"

const (
	tellTimeout  = 500 * time.Millisecond // for a realtime client to take its last message
	pollInterval = 5 * time.Millisecond   // of the number of requests in flight
)

// Drain refuses new requests, ends the realtime streams and waits for the
// requests in flight, no longer than ctx and DrainTimeout allow. Call it before
// PocketBase's graceful shutdown, which cancels every request. It returns an
// error that wraps ctx's when requests had to be left behind. It can be called
// any number of times, also at once; Start ends it.
func (p *Plugin) Drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DrainTimeout)
	defer cancel()
	p.draining.Store(true)

	// Polling, as net/http's own Shutdown does: the request path stays one
	// atomic addition.
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		// Every time, for a client may still have been connecting.
		p.endRealtime(ctx)
		left := p.inFlight.Load()
		if left == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("drain: %d requests still in flight: %w", left, ctx.Err())
		}
	}
}

// endRealtime tells every realtime client to come back later and ends its
// stream. Each has a goroutine for the moment, as it has one for its connection
// already: so none waits for another that does not read.
func (p *Plugin) endRealtime(ctx context.Context) {
	p.telling.Lock()
	defer p.telling.Unlock()
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, client := range p.app.SubscriptionsBroker().Clients() {
		wg.Go(func() { endClient(ctx, p.app, client) })
	}
	wg.Wait()
}

func endClient(ctx context.Context, app core.App, client subscriptions.Client) {
	// Closes the channel, upon which the stream's handler returns.
	defer app.SubscriptionsBroker().Unregister(client.Id())
	// The client may hang up at the same time, and its channel be closed.
	defer func() { _ = recover() }()
	// Not client.Send, which would block for as long as the client does not read.
	select {
	case client.Channel() <- subscriptions.Message{Name: TopicShutdown, Data: []byte(`{"reconnect":true}`)}:
	case <-ctx.Done():
	}
}
