package feed

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

func route(id string, state routes.State) routes.Route {
	return routes.Route{Project: id, Hosts: []string{id + ".example.com"}, State: state}
}

// reader follows a table in the background.
func reader(t *testing.T, table *Table, hold <-chan struct{}) (lines <-chan string) {
	t.Helper()
	out := make(chan string, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- table.Follow(ctx, func(m routes.Message) error {
			line := string(m.Op)
			if m.Route != nil {
				line += " " + m.Route.Project + " " + string(m.Route.State)
			}
			out <- line
			if hold != nil {
				<-hold
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow: %v", err)
		}
		if len(table.followers) != 0 {
			t.Error("a follower is left behind")
		}
	})
	return out
}

func expect(t *testing.T, lines <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-lines:
			if got != w {
				t.Fatalf("got %q, want %q", got, w)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("nothing came, want %q", w)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	table := New()
	table.Put(route("a", routes.Asleep))
	lines := reader(t, table, nil)
	expect(t, lines, "begin", "put a asleep", "end")
	table.Put(route("a", routes.Running))
	expect(t, lines, "put a running")
	table.Put(route("a", routes.Running)) // as it is: nothing to say
	table.Put(route("b", routes.Off))
	expect(t, lines, "put b off")
	table.Remove("a")
	table.Remove("a")
	expect(t, lines, "remove a ")
}

func TestASlowFollowerGetsTheLastStateOnly(t *testing.T) {
	t.Parallel()
	table := New()
	hold := make(chan struct{}, 1000)
	lines := reader(t, table, hold)
	expect(t, lines, "begin")
	for i := range 1000 {
		table.Put(routes.Route{Project: "a", State: routes.Running, URL: fmt.Sprint(i)})
	}
	table.Put(route("a", routes.Asleep))
	for range 1000 {
		hold <- struct{}{}
	}
	expect(t, lines, "end", "put a asleep")
}

func TestSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table := New()
		table.Settle(t.Context()) // nobody to wait for
		hold := make(chan struct{}, 1000)
		lines := reader(t, table, hold)
		expect(t, lines, "begin")
		table.Put(route("a", routes.Asleep))

		settled := make(chan struct{})
		go func() {
			table.Settle(t.Context())
			close(settled)
		}()
		waits := func(when string) {
			t.Helper()
			synctest.Wait()
			select {
			case <-settled:
				t.Fatalf("settled %s", when)
			default:
			}
		}
		waits("before the table was sent")
		hold <- struct{}{} // begin is sent
		expect(t, lines, "end")
		hold <- struct{}{}
		expect(t, lines, "put a asleep")
		waits("while the change is being sent")
		hold <- struct{}{}
		<-settled

		// Who follows no more is not waited for, nor longer than one likes.
		table.Put(route("b", routes.Asleep))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		table.Settle(ctx)
		if ctx.Err() == nil {
			t.Error("settled while a change is being sent")
		}
		close(hold)
		table.Settle(t.Context())
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*routes.PingInterval+time.Second)
		defer cancel()
		var pings int
		_ = New().Follow(ctx, func(m routes.Message) error {
			if m.Op == routes.Ping {
				pings++
			}
			return nil
		})
		if pings != 2 {
			t.Errorf("%d pings, want 2", pings)
		}
	})
}
