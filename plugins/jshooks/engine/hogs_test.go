package engine

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

// Hooks that ran long wait for each other, the others for nobody.
func TestHogsShare(t *testing.T) {
	t.Parallel()
	h := newHogs(8, 50*time.Millisecond)
	h.saw("GET /slow")
	places := max(min(8, runtime.NumCPU())/2, 1)
	var leave func()
	for range places {
		var err error
		if leave, err = h.enter(context.Background(), "GET /slow"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.enter(context.Background(), "GET /slow"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more hook that ran long: %v, want %v", err, ErrBusy)
	}
	if _, err := h.enter(context.Background(), "GET /quick"); err != nil {
		t.Errorf("a quick hook: %v", err)
	}
	leave()
	if _, err := h.enter(context.Background(), "GET /slow"); err != nil {
		t.Errorf("after one has left: %v", err)
	}
	h.last["GET /slow"] = time.Now().Add(-hogMemory)
	if _, err := h.enter(context.Background(), "GET /slow"); err != nil {
		t.Errorf("after a while: %v", err)
	}
}
