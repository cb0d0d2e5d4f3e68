package usage

import (
	"math"
	"testing"
	"time"
)

func TestQuantiles(t *testing.T) {
	t.Parallel()
	// Each distribution is its inverse: the latency at quantile q.
	distributions := map[string]func(q float64) time.Duration{
		"uniform to 100 ms": func(q float64) time.Duration { return time.Duration(q * float64(100*time.Millisecond)) },
		"exponential around 8 ms": func(q float64) time.Duration {
			return time.Duration(-math.Log(1-q) * float64(8*time.Millisecond))
		},
		"mostly 1 ms, one in twenty 2 s": func(q float64) time.Duration {
			if q >= 0.95 {
				return 2 * time.Second
			}
			return time.Millisecond
		},
	}
	for name, inverse := range distributions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 10_000
			var h histogram
			for i := range n {
				h.observe(inverse((float64(i) + 0.5) / n))
			}
			for _, q := range []float64{0.5, 0.9, 0.99} {
				got, want := h.quantile(q), milliseconds(inverse(q))
				if got < want*0.8 || got > want*1.2 {
					t.Errorf("p%g = %.3f ms, want %.3f ms within 20 %%", q*100, got, want)
				}
			}
		})
	}
}

func TestQuantileEdges(t *testing.T) {
	t.Parallel()
	var empty histogram
	if got := empty.quantile(0.5); got != 0 {
		t.Errorf("without requests: %v, want 0", got)
	}
	var slow histogram
	slow.observe(time.Hour)
	if got := slow.quantile(0.5); got < 60_000 || got > 66_000 {
		t.Errorf("an hour = %v ms, want the last bound", got)
	}
	var quick histogram
	quick.observe(0)
	if got := quick.quantile(0.99); got <= 0 || got > 0.25 {
		t.Errorf("0 s = %v ms, want within the first bucket", got)
	}
}

func TestBucketBoundsAreInclusive(t *testing.T) {
	t.Parallel()
	for i, bound := range bucketBounds {
		var h histogram
		h.observe(bound)
		h.observe(bound + 1)
		if h[i] != 1 || h[i+1] != 1 {
			t.Errorf("bucket %d does not end at %v", i, bound)
		}
	}
}
