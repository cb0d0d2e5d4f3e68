package access

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/config"
)

func nthAddr(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{20, byte(n >> 16), byte(n >> 8), byte(n)})
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// Not parallel: it measures the heap.
func TestMillionAddressesAreBounded(t *testing.T) {
	limit := newLimit("ip", config.RateLimit{Rate: 100, Burst: 200})
	clock := newClock()
	before := heap()
	l := newLimiter(defaultMaxBuckets, clock.Now)
	for n := range 1_000_000 {
		l.charge(nil, "", &limit, nthAddr(n))
	}
	grown := heap() - before
	if got := l.addresses.len(); got != defaultMaxBuckets {
		t.Errorf("%d buckets, want the cap of %d", got, defaultMaxBuckets)
	}
	t.Logf("%d bytes per bucket", grown/defaultMaxBuckets)
	if grown > 11<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	runtime.KeepAlive(l)
}

func TestMillionKeysAreBounded(t *testing.T) {
	t.Parallel()
	limit := newLimit("key", config.RateLimit{Rate: 100, Burst: 200})
	l := newLimiter(shardCount, newClock().Now)
	for n := range 100_000 {
		l.charge(&limit, nthAddr(n).String(), nil, netip.Addr{})
	}
	if got := l.keys.len(); got != shardCount {
		t.Errorf("%d buckets, want the cap of %d", got, shardCount)
	}
}

// After a rush, the table shrinks to the clients that are still there.
func TestFullBucketsAreForgotten(t *testing.T) {
	t.Parallel()
	limit := newLimit("ip", config.RateLimit{Rate: 1, Burst: 2})
	clock := newClock()
	l := newLimiter(defaultMaxBuckets, clock.Now)
	for n := range 10_000 {
		l.charge(nil, "", &limit, nthAddr(n))
	}
	if got := l.addresses.len(); got != 10_000 {
		t.Fatalf("%d buckets during the rush, want 10000", got)
	}
	for n := range 20_000 {
		clock.advance(time.Second)
		l.charge(nil, "", &limit, nthAddr(10_000+n))
	}
	if got := l.addresses.len(); got > 4*shardCount {
		t.Errorf("%d buckets are kept for clients that have no debt", got)
	}
}

func TestEvictionForgetsOnlyDebt(t *testing.T) {
	t.Parallel()
	limit := newLimit("ip", config.RateLimit{Rate: 1, Burst: 2})
	l := newLimiter(shardCount, newClock().Now) // one bucket in each shard
	for n := range 10_000 {
		if v := l.charge(nil, "", &limit, nthAddr(n)); v.wait != 0 {
			t.Fatalf("address %d was refused its first request", n)
		}
	}
}

// len counts the buckets.
func (b *buckets[K]) len() int {
	total := 0
	for i := range b.shards {
		shard := &b.shards[i]
		shard.Lock()
		total += shard.lru.Len()
		shard.Unlock()
	}
	return total
}
