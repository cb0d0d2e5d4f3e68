package httpapi

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// A slow listener loses entries and is told how many; nobody waits for it.
func TestTailTellsOfDroppedEntries(t *testing.T) {
	t.Parallel()
	var tail Tail[int]
	slow := tail.listen(func(*int) bool { return true })
	for i := range tailBuffer + 3 {
		tail.Publish(i)
	}
	if lost := slow.dropped.Load(); lost != 3 {
		t.Fatalf("%d entries dropped, want 3", lost)
	}
	tail.leave(slow)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = tail.Serve(&core.RequestEvent{Event: router.Event{Response: w, Request: r}}, func(n *int) bool { return *n > 0 })
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	next := func() string {
		for lines.Scan() {
			if lines.Text() != "" {
				return lines.Text()
			}
		}
		return ""
	}
	if got := next(); got != ": listening" {
		t.Fatalf("got %q", got)
	}
	(*tail.listeners.Load())[0].dropped.Store(3)
	tail.Publish(0)
	tail.Publish(7)
	for _, want := range []string{"event: dropped", `data: {"count":3}`, "event: log", "data: 7"} {
		if got := next(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	tail.Close()
	if got := next(); got != "" {
		t.Errorf("after Close: %q", got)
	}
	if tail.HasListeners() {
		t.Error("listeners are left")
	}
}

// Every entry is offered to every listener, so there cannot be any number of them.
func TestTailBoundsListeners(t *testing.T) {
	t.Parallel()
	var tail Tail[int]
	all := func(*int) bool { return true }
	for range maxListeners - 1 {
		tail.listen(all)
	}
	last := tail.listen(all)
	recorder := httptest.NewRecorder()
	e := &core.RequestEvent{Event: router.Event{Response: recorder, Request: httptest.NewRequest(http.MethodGet, "/", nil)}}
	var refused *router.ApiError
	if err := tail.Serve(e, all); !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests {
		t.Fatalf("one too many: %v", err)
	}
	tail.leave(last)
	if tail.listen(all) == nil {
		t.Error("the place of one that left is not free")
	}
}
