package usage

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// shardCount spreads the counters over locks; a power of two well above
	// the cores that one tenant gets.
	shardCount = 8

	// cellLimit bounds the cells of each shard, and those that wait for a flush
	// while the database refuses writes: some 1.5 MB each.
	cellLimit = 4096

	// overflowKey stands in for the key when cellLimit is reached: the sums
	// stay right, their split by key does not.
	overflowKey = "overflow"
)

// cellKey says what a cell counts.
type cellKey struct {
	hour  int64 // Unix time of its start
	keyID string
	group group
	class uint8 // 2 to 5
}

// cell holds the counts of one cellKey since the last flush.
type cell struct {
	requests int64
	bytesIn  int64
	bytesOut int64
	latency  histogram
	lastUsed time.Time
}

func (c *cell) add(other *cell) {
	c.requests += other.requests
	c.bytesIn += other.bytesIn
	c.bytesOut += other.bytesOut
	c.latency.add(&other.latency)
	if other.lastUsed.After(c.lastUsed) {
		c.lastUsed = other.lastUsed
	}
}

type cells map[cellKey]*cell

// at returns the cell of key and makes it on first use.
func (m cells) at(key cellKey) *cell {
	if c, found := m[key]; found {
		return c
	}
	if len(m) >= cellLimit && key.keyID != overflowKey {
		key.keyID = overflowKey
		return m.at(key)
	}
	c := &cell{}
	m[key] = c
	return c
}

// counters collects counts from all requests. A request locks one shard, picked
// at random, for some nanoseconds.
type counters struct {
	shards [shardCount]shard
}

type shard struct {
	mu    sync.Mutex
	cells cells
	_     [48]byte // keeps neighbours out of this shard's cache line
}

// sample is what one request adds to its cell.
type sample struct {
	at       time.Time
	bytesIn  int64
	bytesOut int64
	latency  time.Duration
	stream   bool // an open-ended response, which has no latency
}

// record counts a request.
func (c *counters) record(key cellKey, s sample) {
	shard := c.lock()
	defer shard.mu.Unlock()
	cell := shard.cells.at(key)
	cell.requests++
	cell.bytesIn += s.bytesIn
	cell.bytesOut += s.bytesOut
	if !s.stream {
		cell.latency.observe(s.latency)
	}
	if s.at.After(cell.lastUsed) {
		cell.lastUsed = s.at
	}
}

// addBytesOut adds to a request that was recorded before.
func (c *counters) addBytesOut(key cellKey, n int64) {
	shard := c.lock()
	defer shard.mu.Unlock()
	shard.cells.at(key).bytesOut += n
}

func (c *counters) lock() *shard {
	shard := &c.shards[rand.Uint32()%shardCount]
	shard.mu.Lock()
	if shard.cells == nil {
		shard.cells = cells{}
	}
	return shard
}

// drain moves everything counted so far into target.
func (c *counters) drain(target cells) {
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.Lock()
		drained := shard.cells
		shard.cells = nil
		shard.mu.Unlock()
		for key, counted := range drained {
			target.at(key).add(counted)
		}
	}
}
