package fleet

import "time"

// A project that fails this often within that time is parked.
const (
	maxFailures   = 5
	failureWindow = 10 * time.Minute
	longestWait   = time.Minute
)

// failures are the recent crashes of a project. Nil is none.
type failures struct {
	at    []time.Time
	retry time.Time     // not before
	pause time.Duration // before retry, while it is not the tenant that fails
}

func (c *failures) add(now time.Time) *failures {
	next := &failures{}
	if c != nil {
		for _, at := range c.at {
			if now.Sub(at) < failureWindow {
				next.at = append(next.at, at)
			}
		}
	}
	next.at = append(next.at, now)
	next.retry = now.Add(backOff(len(next.at)))
	return next
}

// backOff is the time before the next start: none after the first failure, then
// one second, doubled each time.
func backOff(n int) time.Duration {
	if n <= 1 {
		return 0
	}
	return min(time.Second<<min(n-2, 10), longestWait)
}

// until waits without counting a failure.
func (c *failures) until(at time.Time) *failures {
	next := &failures{retry: at}
	if c != nil {
		next.at = c.at
	}
	return next
}

// slower waits twice as long as the last time, without counting a failure.
func (c *failures) slower(now time.Time) *failures {
	next := &failures{pause: time.Second}
	if c != nil {
		next.at = c.at
		next.pause = min(max(2*c.pause, time.Second), longestWait)
	}
	next.retry = now.Add(next.pause)
	return next
}

func (c *failures) wait(now time.Time) time.Duration {
	if c == nil {
		return 0
	}
	return max(c.retry.Sub(now), 0)
}

func (c *failures) tooMany() bool { return c != nil && len(c.at) >= maxFailures }
