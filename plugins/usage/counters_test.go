package usage

import (
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestCountersAddUp(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 2000
	var c counters
	counted := cells{}
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				key := cellKey{keyID: strconv.Itoa((w + i) % 5), class: 2}
				c.record(key, sample{bytesIn: 1, bytesOut: 2, latency: time.Millisecond})
				c.addBytesOut(key, 3)
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	for running := true; running; { // drains while others write
		select {
		case <-done:
			running = false
		default:
		}
		c.drain(counted)
	}
	c.drain(counted)

	var sum cell
	for _, part := range counted {
		sum.add(part)
	}
	const total = writers * each
	if sum.requests != total || sum.bytesIn != total || sum.bytesOut != 5*total {
		t.Errorf("counted %d requests, %d in, %d out; want %d, %d, %d",
			sum.requests, sum.bytesIn, sum.bytesOut, total, total, 5*total)
	}
	var latencies int64
	for _, n := range sum.latency {
		latencies += n
	}
	if latencies != total {
		t.Errorf("counted %d latencies, want %d", latencies, total)
	}
}

func TestCountersAreBounded(t *testing.T) {
	t.Parallel()
	m := cells{}
	const keys = 3 * cellLimit
	for i := range keys {
		m.at(cellKey{keyID: strconv.Itoa(i), class: 2}).requests++
	}
	if len(m) > cellLimit+1 {
		t.Errorf("%d cells, want at most %d", len(m), cellLimit+1)
	}
	var sum cell
	for _, part := range m {
		sum.add(part)
	}
	if sum.requests != keys {
		t.Errorf("%d requests, want %d: the bound must not lose any", sum.requests, keys)
	}
	if got := m.at(cellKey{keyID: overflowKey, class: 2}).requests; got != keys-cellLimit {
		t.Errorf("%d requests in the overflow, want %d", got, keys-cellLimit)
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	var c counters
	key := cellKey{keyID: "k", class: 2}
	for range 1000 { // every shard has its cell by then, but for odds of 1e-57
		c.record(key, sample{})
	}
	if got := testing.AllocsPerRun(1000, func() { c.record(key, sample{latency: time.Second}) }); got != 0 {
		t.Errorf("%v allocations per request, want none", got)
	}
}
