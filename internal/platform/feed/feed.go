// Package feed is the platform's table of routes and the way it reaches the
// routers: whoever follows gets the whole table and then what changes.
//
// A slow follower costs no memory: what it has not read yet is kept as the ids of
// the projects that changed, and it gets their last state only.
//
//	table.Put(routes.Route{Project: "k3x9", Hosts: []string{"shop.example.com"}, State: routes.Asleep})
//	err := table.Follow(ctx, func(m routes.Message) error { return encoder.Encode(m) })
package feed

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

// Table holds a route for every project. The zero value is not usable, see New.
type Table struct {
	ping time.Duration

	mu        sync.Mutex
	routes    map[string]routes.Route
	followers map[*follower]struct{}
	changes   uint64        // how many there were
	sent      chan struct{} // closed, and made anew, when a follower has sent some
}

// follower is one Follow call: what it has still to send.
type follower struct {
	changed map[string]struct{}
	wake    chan struct{} // holds one token while changed is not empty
	sent    uint64        // of the table's changes
}

// New returns an empty table.
func New() *Table {
	return &Table{ping: routes.PingInterval, routes: map[string]routes.Route{}, followers: map[*follower]struct{}{}, sent: make(chan struct{})}
}

// Put adds the route of a project or replaces it. The caller no longer changes
// its hosts.
func (t *Table) Put(route routes.Route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if present, ok := t.routes[route.Project]; ok && reflect.DeepEqual(present, route) {
		return
	}
	t.routes[route.Project] = route
	t.tell(route.Project)
}

// Remove takes a project out of the table.
func (t *Table) Remove(project string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.routes[project]; !ok {
		return
	}
	delete(t.routes, project)
	t.tell(project)
}

// Get returns the route of a project.
func (t *Table) Get(project string) (routes.Route, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	route, ok := t.routes[project]
	return route, ok
}

// Settle waits until everyone who follows has been sent all that was put until now,
// or ctx ends. Who is told of a new route at once would else be told by a router
// that there is none.
func (t *Table) Settle(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	until := t.changes
	for t.behind(until) {
		sent := t.sent
		t.mu.Unlock()
		select {
		case <-sent:
		case <-ctx.Done():
		}
		t.mu.Lock()
		if ctx.Err() != nil {
			return
		}
	}
}

func (t *Table) behind(until uint64) bool {
	for f := range t.followers {
		if f.sent < until {
			return true
		}
	}
	return false
}

// progress notes that f has sent the changes until then, or is gone. The caller
// holds t.mu.
func (t *Table) progress(f *follower, until uint64) {
	f.sent = until
	close(t.sent)
	t.sent = make(chan struct{})
}

func (t *Table) tell(project string) {
	t.changes++
	for f := range t.followers {
		f.changed[project] = struct{}{}
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// Follow sends the whole table, then every change, until ctx ends or send fails.
// It returns the reason.
func (t *Table) Follow(ctx context.Context, send func(routes.Message) error) error {
	f := &follower{changed: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	t.mu.Lock()
	t.followers[f] = struct{}{}
	until := t.changes
	all := make([]string, 0, len(t.routes))
	for id := range t.routes {
		all = append(all, id)
	}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.followers, f)
		t.progress(f, until)
	}()

	if err := send(routes.Message{Op: routes.Begin}); err != nil {
		return err
	}
	for _, id := range all {
		// One that is gone by now is among the changes.
		if route, ok := t.Get(id); ok {
			if err := send(routes.Message{Op: routes.Put, Route: &route}); err != nil {
				return err
			}
		}
	}
	if err := send(routes.Message{Op: routes.End}); err != nil {
		return err
	}
	t.mu.Lock()
	t.progress(f, until)
	t.mu.Unlock()
	return t.followChanges(ctx, f, send)
}

func (t *Table) followChanges(ctx context.Context, f *follower, send func(routes.Message) error) error {
	ping := time.NewTicker(t.ping)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ping.C:
			if err := send(routes.Message{Op: routes.Ping}); err != nil {
				return err
			}
		case <-f.wake:
			messages, until := t.take(f)
			for _, message := range messages {
				if err := send(message); err != nil {
					return err
				}
			}
			t.mu.Lock()
			t.progress(f, until)
			t.mu.Unlock()
			ping.Reset(t.ping)
		}
	}
}

// take returns what has changed for f until now, and forgets it.
func (t *Table) take(f *follower) (messages []routes.Message, until uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	messages = make([]routes.Message, 0, len(f.changed))
	for id := range f.changed {
		if route, ok := t.routes[id]; ok {
			messages = append(messages, routes.Message{Op: routes.Put, Route: &route})
		} else {
			messages = append(messages, routes.Message{Op: routes.Remove, Route: &routes.Route{Project: id}})
		}
	}
	clear(f.changed)
	return messages, t.changes
}
