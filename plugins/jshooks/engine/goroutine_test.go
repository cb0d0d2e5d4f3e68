package engine

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// The library knows the layout of Go's own structures: a new version of Go may change it.
func TestGoroutine(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			buf := make([]byte, 64)
			var want int64
			if _, err := fmt.Sscanf(string(buf[:runtime.Stack(buf, false)]), "goroutine %d ", &want); err != nil || goroutine() != want {
				t.Errorf("goroutine %d takes itself for %d (%v)", want, goroutine(), err)
			}
		})
	}
	all.Wait()
}
