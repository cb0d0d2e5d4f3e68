package usage

import (
	"math"
	"slices"
	"time"
)

// The buckets of a latency histogram grow by √2 from 0.25 ms to 65.5 s; the
// last one takes everything slower. The table has a column for each: changing
// the buckets needs a migration.
const bucketCount = 38

// bucketBounds holds the inclusive upper bounds of all buckets but the last.
var bucketBounds = makeBucketBounds()

func makeBucketBounds() (bounds [bucketCount - 1]time.Duration) {
	for i := range bounds {
		bounds[i] = time.Duration(float64(250*time.Microsecond) * math.Pow(2, float64(i)/2))
	}
	return bounds
}

// histogram counts latencies by bucket.
type histogram [bucketCount]int64

func (h *histogram) observe(latency time.Duration) {
	i, _ := slices.BinarySearch(bucketBounds[:], latency)
	h[i]++
}

func (h *histogram) add(other *histogram) {
	for i, n := range other {
		h[i] += n
	}
}

// quantile returns the latency in milliseconds that the share q of all requests
// did not exceed; 0 without requests. It is the geometric middle of a bucket,
// which is never more than 20 % off for latencies between the outermost bounds.
// Interpolation would look smoother and be up to 41 % off at the slow end, where
// the tail rarely fills its bucket. What is slower than the last bound counts as
// that bound.
func (h *histogram) quantile(q float64) float64 {
	var total int64
	for _, n := range h {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	var seen int64
	for i, upper := range bucketBounds {
		seen += h[i]
		if h[i] > 0 && float64(seen) >= rank {
			return milliseconds(time.Duration(float64(upper) / math.Pow(2, 0.25)))
		}
	}
	return milliseconds(bucketBounds[bucketCount-2])
}

// milliseconds converts d, rounded to the microsecond.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
