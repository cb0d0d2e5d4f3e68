package access

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/picobase/picobase/internal/config"
	"golang.org/x/time/rate"
)

const (
	defaultMaxBuckets = 49_152
	shardCount        = 32
)

// buckets holds the token buckets of the clients that were seen last, at most
// a fixed number of them.
//
// A bucket that falls out comes back full, so what eviction can cost is that a
// client's debt is forgotten; it never refuses anyone. Someone with a million
// addresses may make a million bursts anyway, one per address, and gains no
// more by flooding the table than a new burst for each address on each round.
// The seed is secret, so that nobody can aim at the shard of another client.
type buckets[K comparable] struct {
	seed   maphash.Seed
	shards [shardCount]shard[K]
}

// shard is a part of the buckets under one lock, which also guards what is done
// with a bucket that it returned.
type shard[K comparable] struct {
	sync.Mutex
	lru *simplelru.LRU[K, *rate.Limiter]
}

func newBuckets[K comparable](size int) *buckets[K] {
	b := &buckets[K]{seed: maphash.MakeSeed()}
	for i := range b.shards {
		// The error is for a size below 1, which Config.validate excludes.
		b.shards[i].lru, _ = simplelru.NewLRU[K, *rate.Limiter](size/shardCount, nil)
	}
	return b
}

// shard returns the part that holds key.
func (b *buckets[K]) shard(key K) *shard[K] {
	return &b.shards[maphash.Comparable(b.seed, key)%shardCount]
}

// bucket returns the bucket of key, full when it is new. A bucket from before a
// change of the limit keeps its tokens and goes on with the new rate.
func (s *shard[K]) bucket(key K, limit config.RateLimit, now time.Time) *rate.Limiter {
	bucket, ok := s.lru.Get(key)
	if !ok {
		s.forgetFull(now)
		bucket = rate.NewLimiter(rate.Limit(limit.Rate), limit.Burst)
		s.lru.Add(key, bucket)
		return bucket
	}
	if bucket.Limit() != rate.Limit(limit.Rate) || bucket.Burst() != limit.Burst {
		bucket.SetLimitAt(now, rate.Limit(limit.Rate))
		bucket.SetBurstAt(now, limit.Burst)
	}
	return bucket
}

// forgetFull drops up to two of the oldest buckets if they are full again, since
// a new one would be the same. Two for each that comes make the table shrink to
// the clients of the moment after a rush, without a timer.
func (s *shard[K]) forgetFull(now time.Time) {
	for range 2 {
		_, oldest, ok := s.lru.GetOldest()
		if !ok || oldest.TokensAt(now) < float64(oldest.Burst()) {
			return
		}
		s.lru.RemoveOldest()
	}
}
