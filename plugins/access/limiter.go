package access

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/picobase/picobase/internal/config"
	"golang.org/x/time/rate"
)

// limits is a config.RateLimits in the form that requests need.
type limits struct {
	enabled       bool
	perKey, perIP limit
	both          string // the RateLimit-Policy of a request that both apply to
}

// limit is a token bucket's size with the name that clients know it by.
type limit struct {
	config.RateLimit
	name   string // "key" or "ip"
	policy string // its item in the RateLimit-Policy header
}

func compileLimits(settings config.RateLimits) limits {
	l := limits{
		enabled: settings.Enabled,
		perKey:  newLimit("key", settings.PerKey),
		perIP:   newLimit("ip", settings.PerIP),
	}
	l.both = l.perKey.policy + ", " + l.perIP.policy
	return l
}

// newLimit describes a bucket as the quota that it grants from full, and the
// time in which it is full again.
func newLimit(name string, size config.RateLimit) limit {
	window := max(seconds(refill(float64(size.Burst), size.Rate)), 1)
	item := make([]byte, 0, 48)
	item = append(item, '"')
	item = append(item, name...)
	item = append(item, `";q=`...)
	item = strconv.AppendInt(item, int64(size.Burst), 10)
	item = append(item, ";w="...)
	item = strconv.AppendInt(item, window, 10)
	return limit{RateLimit: size, name: name, policy: string(item)}
}

// refill returns how long a bucket takes to gain the tokens.
func refill(tokens, perSecond float64) time.Duration {
	nanoseconds := tokens / perSecond * 1e9
	if nanoseconds >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(nanoseconds)
}

// seconds rounds up.
func seconds(d time.Duration) int64 {
	whole := int64(d / time.Second)
	if d%time.Second > 0 {
		whole++
	}
	return whole
}

// limiter charges requests to the buckets of keys and addresses.
type limiter struct {
	now       func() time.Time
	keys      *buckets[string]
	addresses *buckets[uint64]
}

func newLimiter(size int, now func() time.Time) *limiter {
	return &limiter{now: now, keys: newBuckets[string](size), addresses: newBuckets[uint64](size)}
}

// addressKey returns what an address is counted by. A client with IPv6 commands
// at least a /64, so that is what counts, as the number of its 8 bytes. IPv4
// takes the numbers of ::/32, which nobody is given.
func addressKey(addr netip.Addr) uint64 {
	if addr.Is4() {
		bytes := addr.As4()
		return uint64(binary.BigEndian.Uint32(bytes[:]))
	}
	bytes := addr.As16()
	return binary.BigEndian.Uint64(bytes[:8])
}

// verdict is the answer to one request: the limit that binds, what is left of
// it, and how long to wait if the request is refused.
type verdict struct {
	limit *limit
	left  float64
	wait  time.Duration // 0 for a request that may pass
}

// charge takes one token from the bucket of each limit that is not nil, or from
// none when one of them is empty. At least one limit must be given. Both
// buckets' locks are held together, always the key's first.
func (l *limiter) charge(perKey *limit, key string, perIP *limit, addr netip.Addr) verdict {
	var keys *shard[string]
	var addresses *shard[uint64]
	address := addressKey(addr)
	if perKey != nil {
		keys = l.keys.shard(key)
		keys.Lock()
		defer keys.Unlock()
	}
	if perIP != nil {
		addresses = l.addresses.shard(address)
		addresses.Lock()
		defer addresses.Unlock()
	}

	now := l.now() // under the locks, so that a bucket's time never goes back
	var keyBucket, addressBucket *rate.Limiter
	var result verdict
	if perKey != nil {
		keyBucket = keys.bucket(key, perKey.RateLimit, now)
		result = ask(keyBucket, perKey, now)
	}
	if perIP != nil {
		addressBucket = addresses.bucket(address, perIP.RateLimit, now)
		if other := ask(addressBucket, perIP, now); perKey == nil || other.binds(result) {
			result = other
		}
	}
	if result.wait > 0 {
		return result
	}
	if keyBucket != nil {
		keyBucket.AllowN(now, 1)
	}
	if addressBucket != nil {
		addressBucket.AllowN(now, 1)
	}
	result.left--
	return result
}

// ask looks into a bucket without taking anything.
func ask(bucket *rate.Limiter, limit *limit, now time.Time) verdict {
	left := bucket.TokensAt(now)
	return verdict{limit: limit, left: left, wait: refill(max(1-left, 0), limit.Rate)}
}

// binds reports whether v says more to a client than other does: the longer
// wait, and without one the fewer requests left.
func (v verdict) binds(other verdict) bool {
	if v.wait != other.wait {
		return v.wait > other.wait
	}
	return v.left < other.left
}

// header returns the RateLimit header: the requests left, and the seconds until
// the bucket is full.
func (v verdict) header() string {
	left := max(v.left, 0)
	item := make([]byte, 0, 48)
	item = append(item, '"')
	item = append(item, v.limit.name...)
	item = append(item, `";r=`...)
	item = strconv.AppendInt(item, int64(left), 10)
	item = append(item, ";t="...)
	item = strconv.AppendInt(item, seconds(refill(float64(v.limit.Burst)-left, v.limit.Rate)), 10)
	return string(item)
}
