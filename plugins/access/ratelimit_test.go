package access

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/config"
)

// limiting sets both limits, apart so that a test can tell which one it met.
func limiting(perKey, perIP config.RateLimit) func(*config.Settings) {
	return func(s *config.Settings) {
		s.RateLimits = config.RateLimits{Enabled: true, PerKey: perKey, PerIP: perIP}
	}
}

func withKey(id string, peer string) testRequest {
	return testRequest{peer: peer, header: http.Header{"Test-Key": {id}}}
}

// passes sends the request n times and returns how many were let through.
func (tn *tenant) passes(n int, r testRequest) int {
	passed := 0
	for range n {
		if tn.do(r).Code == http.StatusOK {
			passed++
		}
	}
	return passed
}

func TestRateLimitBurstRefusalRecovery(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, limiting(config.RateLimit{Rate: 1000, Burst: 1000}, config.RateLimit{Rate: 10, Burst: 20}))
	request := testRequest{peer: "203.0.113.9:1"}
	if got := tn.passes(25, request); got != 20 {
		t.Fatalf("burst: %d of 25 passed, want 20", got)
	}
	tn.clock.advance(99 * time.Millisecond)
	if got := tn.passes(1, request); got != 0 {
		t.Error("a token came before its time")
	}
	tn.clock.advance(time.Millisecond)
	if got := tn.passes(2, request); got != 1 {
		t.Errorf("after 100 ms: %d of 2 passed, want 1", got)
	}
	tn.clock.advance(time.Hour)
	if got := tn.passes(25, request); got != 20 {
		t.Errorf("after an hour: %d of 25 passed, want the burst of 20", got)
	}
	if got := tn.counter(t, "picobase_rate_limited_total", "ip"); got != 5+1+1+5 {
		t.Errorf("picobase_rate_limited_total{limit=ip} is %v, want 12", got)
	}
}

func TestRateLimitWhoPays(t *testing.T) {
	t.Parallel()
	const a, b = "203.0.113.1:1", "203.0.113.2:1"
	large, small := config.RateLimit{Rate: 1, Burst: 100}, config.RateLimit{Rate: 1, Burst: 5}
	own := func(id, peer string) testRequest {
		r := withKey(id, peer)
		r.header.Set("Test-Own-Limit", "10")
		return r
	}
	type step struct {
		request testRequest
		want    int // of 20 that pass
	}
	cases := []struct {
		name  string
		limit func(*config.Settings)
		steps []step
	}{
		{"keys are apart", limiting(small, large), []step{{withKey("k1", a), 5}, {withKey("k2", a), 5}}},
		{"a key pays from every address", limiting(small, large), []step{{withKey("k1", a), 5}, {withKey("k1", b), 0}}},
		{"an address pays for every key", limiting(large, small), []step{{withKey("k1", a), 5}, {withKey("k2", a), 0}, {withKey("k2", b), 5}}},
		{"an address pays without a key", limiting(large, small), []step{{testRequest{peer: a}, 5}, {withKey("k1", a), 0}, {testRequest{peer: b}, 5}}},
		{"own limit, not the address's", limiting(small, small), []step{{own("k1", a), 10}, {own("k2", a), 10}, {own("k1", b), 0}, {testRequest{peer: a}, 5}}},
		{"IPv6 by /64", limiting(large, small), []step{{testRequest{peer: "[2001:db8::1]:1"}, 5}, {testRequest{peer: "[2001:db8::2:0:0:1]:1"}, 0},
			{testRequest{peer: "[2001:db8:0:1::1]:1"}, 5}}},
		{"mapped IPv6 is IPv4", limiting(large, small), []step{{testRequest{peer: a}, 5}, {testRequest{peer: "[::ffff:203.0.113.1]:1"}, 0}}},
		{"zones are no clients", limiting(large, small), []step{{testRequest{peer: "[fe80::1%a]:1"}, 5}, {testRequest{peer: "[fe80::1%b]:1"}, 0}}},
		{"probes are free", limiting(small, small), []step{{testRequest{peer: a, path: "/api/v1/health"}, 20}, {testRequest{peer: a, path: "/api/v1/ready"}, 20},
			{testRequest{peer: a, path: "/api/v1/live"}, 20}, {testRequest{peer: a}, 5}}},
		{"command line is free", limiting(small, small), []step{{testRequest{peer: a, commandLine: true}, 20}, {testRequest{peer: a}, 5}}},
		{"off", func(s *config.Settings) { limiting(small, small)(s); s.RateLimits.Enabled = false }, []step{{withKey("k1", a), 20}, {own("k2", a), 20}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t, c.limit)
			for i, step := range c.steps {
				if got := tn.passes(20, step.request); got != step.want {
					t.Errorf("step %d: %d of 20 passed, want %d", i+1, got, step.want)
				}
			}
		})
	}
}

func TestPreflightsAreFree(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, limiting(config.RateLimit{Rate: 1, Burst: 1}, config.RateLimit{Rate: 1, Burst: 1}))
	for range 10 {
		response := tn.do(testRequest{method: "OPTIONS", header: http.Header{"Origin": {"https://x.test"}}})
		if response.Code != 204 || response.Header().Get("RateLimit") != "" {
			t.Fatalf("preflight: %d with %v", response.Code, response.Header())
		}
	}
	if got := tn.passes(2, testRequest{}); got != 1 {
		t.Errorf("%d of 2 passed after the preflights, want 1", got)
	}
}

// A request that one limit refuses must cost nothing under the other.
func TestRateLimitTakesFromBothOrNeither(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, limiting(config.RateLimit{Rate: 1, Burst: 2}, config.RateLimit{Rate: 1, Burst: 4}))
	const a, b = "203.0.113.1:1", "203.0.113.2:1"
	if got := tn.passes(10, withKey("k1", a)); got != 2 {
		t.Fatalf("%d passed, want the key's 2", got)
	}
	if got := tn.passes(10, testRequest{peer: a}); got != 2 {
		t.Errorf("%d passed, want the 2 that the address has left", got)
	}
	if got := tn.passes(10, withKey("k2", a)); got != 0 {
		t.Fatalf("%d passed, want none from this address", got)
	}
	if got := tn.passes(10, withKey("k2", b)); got != 2 {
		t.Errorf("%d passed, want the key's 2", got)
	}
}

func TestRateLimitHeaders(t *testing.T) {
	t.Parallel()
	keyed, plain := withKey("k1", "203.0.113.1:1"), testRequest{peer: "203.0.113.1:1"}
	own := withKey("k2", "203.0.113.1:1")
	own.header.Set("Test-Own-Limit", "5/s, 10 at once")
	type want struct {
		request           testRequest
		before            time.Duration
		policy, rateLimit string
	}
	cases := []struct {
		name  string
		limit func(*config.Settings)
		steps []want
	}{
		{"defaults", nil, []want{
			{keyed, 0, `"key";q=200;w=2, "ip";q=200;w=2`, `"key";r=199;t=1`},
			{plain, 0, `"ip";q=200;w=2`, `"ip";r=198;t=1`},
			{keyed, 0, `"key";q=200;w=2, "ip";q=200;w=2`, `"ip";r=197;t=1`},
			{keyed, time.Hour, `"key";q=200;w=2, "ip";q=200;w=2`, `"key";r=199;t=1`},
			{own, 0, `"key";q=10;w=2`, `"key";r=9;t=1`},
		}},
		{"least remaining binds", limiting(config.RateLimit{Rate: 1, Burst: 10}, config.RateLimit{Rate: 100, Burst: 5}), []want{
			{keyed, 0, `"key";q=10;w=10, "ip";q=5;w=1`, `"ip";r=4;t=1`},
			{keyed, 0, `"key";q=10;w=10, "ip";q=5;w=1`, `"ip";r=3;t=1`},
			{withKey("k1", "203.0.113.2:1"), 0, `"key";q=10;w=10, "ip";q=5;w=1`, `"ip";r=4;t=1`},
		}},
		{"uneven and refused", limiting(config.RateLimit{Rate: 3, Burst: 2}, config.RateLimit{Rate: 0.5, Burst: 1}), []want{
			{plain, 0, `"ip";q=1;w=2`, `"ip";r=0;t=2`},
			{plain, 0, `"ip";q=1;w=2`, `"ip";r=0;t=2`},
			{plain, 1500 * time.Millisecond, `"ip";q=1;w=2`, `"ip";r=0;t=1`},
		}},
		{"slow beyond reason", limiting(config.RateLimit{Rate: 1, Burst: 1}, config.RateLimit{Rate: 1e-300, Burst: 1}), []want{
			{plain, 0, `"ip";q=1;w=9223372037`, `"ip";r=0;t=9223372037`},
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t, c.limit)
			for i, step := range c.steps {
				tn.clock.advance(step.before)
				header := tn.do(step.request).Header()
				if got := header.Values("RateLimit-Policy"); len(got) != 1 || got[0] != step.policy {
					t.Errorf("step %d: RateLimit-Policy %q, want %q", i+1, got, step.policy)
				}
				if got := header.Values("RateLimit"); len(got) != 1 || got[0] != step.rateLimit {
					t.Errorf("step %d: RateLimit %q, want %q", i+1, got, step.rateLimit)
				}
			}
		})
	}
}

func TestRateLimitRefusal(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, limiting(config.RateLimit{Rate: 0.4, Burst: 1}, config.RateLimit{Rate: 50, Burst: 100}))
	url := tn.serve(t).URL + "/ip"
	header := http.Header{"Test-Key": {"k1"}}
	if response, _ := fetch(t, "GET", url, header); response.StatusCode != 200 {
		t.Fatalf("first request: %d", response.StatusCode)
	}
	response, body := fetch(t, "GET", url, header)
	if response.StatusCode != 429 || response.Header.Get("Retry-After") != "3" || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		t.Errorf("status %d with %v, want 429 in JSON with Retry-After: 3", response.StatusCode, response.Header)
	}
	var document apierr.Body
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatal(err)
	}
	if document.Error.Code != "rate_limited" || !strings.Contains(document.Error.Message, "this API key may make 0.4 per second, and 1 at once. Try again in 3 s.") {
		t.Errorf("error: %+v", document.Error)
	}
	if got := fmt.Sprint(document.Error.Details); got != "map[burst:1 limit:key rate:0.4]" {
		t.Errorf("details: %s", got)
	}
	if got := tn.counter(t, "picobase_rate_limited_total", "key"); got != 1 {
		t.Errorf("picobase_rate_limited_total{limit=key} is %v, want 1", got)
	}
}

func TestRateLimitChangesAtOnce(t *testing.T) {
	t.Parallel()
	large := config.RateLimit{Rate: 1, Burst: 100}
	tn := newTenant(t, limiting(large, config.RateLimit{Rate: 1, Burst: 10}))
	request := testRequest{peer: "203.0.113.9:1"}
	if got := tn.passes(20, request); got != 10 {
		t.Fatalf("%d of 20 passed, want 10", got)
	}
	tn.configure(limiting(large, config.RateLimit{Rate: 5, Burst: 3}))
	if got := tn.passes(1, request); got != 0 {
		t.Error("the change forgot what the address had spent")
	}
	tn.clock.advance(time.Minute)
	if got := tn.passes(20, request); got != 3 {
		t.Errorf("%d of 20 passed, want the new burst of 3", got)
	}
	tn.clock.advance(400 * time.Millisecond)
	if got := tn.passes(20, request); got != 2 {
		t.Errorf("%d of 20 passed after 400 ms, want 2 at the new rate", got)
	}
}

func TestRateLimitConcurrent(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, limiting(config.RateLimit{Rate: 1, Burst: 100}, config.RateLimit{Rate: 1, Burst: 150}))
	url := tn.serve(t).URL + "/ip"
	var passed, refused atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				key := fmt.Sprintf("k%d", (worker+i)%2)
				request, err := http.NewRequest("GET", url, nil)
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Test-Key", key)
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				response.Body.Close()
				if response.StatusCode == 200 {
					passed.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	// Two keys with 100 each share an address with 150, and the clock stands still.
	if passed.Load() != 150 || refused.Load() != 250 {
		t.Errorf("%d passed and %d were refused, want 150 and 250", passed.Load(), refused.Load())
	}
}
