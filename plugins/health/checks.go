package health

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pocketbase/pocketbase/core"
)

// Status is how one part of the tenant, or the whole, is doing.
type Status string

// The statuses, the best first. Unknown says that the platform cannot tell; it
// does not make the whole worse.
const (
	OK       Status = "ok"
	Unknown  Status = "unknown"
	Degraded Status = "degraded"
	Failing  Status = "failing"
)

// Result is the outcome of one check. Everyone can read it: only Err may hold
// a secret, a path or an address.
type Result struct {
	// Status is how the part is doing (default OK).
	Status Status

	// Message says what is wrong, in a sentence for people; empty when nothing is.
	Message string

	// Values are figures to show beside the status, for example freeBytes.
	Values map[string]any

	// Err is why; it is logged when the status changes and never shown.
	Err error
}

// MarshalJSON puts the values beside status and message.
func (r Result) MarshalJSON() ([]byte, error) {
	fields := make(map[string]any, len(r.Values)+2)
	maps.Copy(fields, r.Values)
	fields["status"] = r.Status
	if r.Message != "" {
		fields["message"] = r.Message
	}
	return json.Marshal(fields)
}

// Check looks at one part of the tenant for the health route.
type Check struct {
	// Name is the key of the result in the answer.
	Name string

	// Run looks. It has two seconds, after which ctx ends and the check counts
	// as failing. It may run beside other checks, never beside itself.
	Run func(ctx context.Context) Result
}

const (
	checkInterval = time.Second     // the checks run at most this often
	checkTimeout  = 2 * time.Second // and must answer within this
)

// checker runs the checks for all who ask, so that anonymous probes cannot load
// the server: callers wait for the run under way and share its results.
type checker struct {
	app    core.App
	checks []*runningCheck

	mu   sync.Mutex // held during a run
	at   time.Time  // when the last run ended
	last map[string]Result
}

func (c *checker) init(app core.App, checks []Check) error {
	c.app = app
	names := make(map[string]bool, len(checks))
	for _, check := range checks {
		if check.Name == "" || check.Run == nil {
			return fmt.Errorf("check %q must have a Name and a Run function", check.Name)
		}
		if names[check.Name] {
			return fmt.Errorf("there are two checks named %q", check.Name)
		}
		names[check.Name] = true
		c.checks = append(c.checks, &runningCheck{Check: check})
	}
	return nil
}

// results returns results that are at most checkInterval old. The map is never
// changed afterwards.
func (c *checker) results() map[string]Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && time.Since(c.at) < checkInterval {
		return c.last
	}
	results := c.runAll()
	for name, result := range results {
		c.logChange(name, c.last[name].Status, result)
	}
	c.last, c.at = results, time.Now()
	return results
}

func (c *checker) runAll() map[string]Result {
	// The context is nobody's request: others wait for the same results.
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	results := make([]Result, len(c.checks))
	var wg sync.WaitGroup
	for i, check := range c.checks {
		wg.Go(func() { results[i] = check.run(ctx) })
	}
	wg.Wait()

	byName := make(map[string]Result, len(results))
	for i, check := range c.checks {
		byName[check.Name] = results[i]
	}
	return byName
}

func (c *checker) logChange(name string, before Status, now Result) {
	switch {
	case now.Status == before:
	case now.Status == Failing:
		c.app.Logger().Error("health check is failing", "check", name, "message", now.Message, "error", now.Err)
	case now.Status == Degraded:
		c.app.Logger().Warn("health check is degraded", "check", name, "message", now.Message, "error", now.Err)
	case before == Failing || before == Degraded:
		c.app.Logger().Info("health check recovered", "check", name)
	}
}

// runningCheck keeps a check that hangs from being started again and again.
type runningCheck struct {
	Check
	busy atomic.Bool
}

// run returns when the check has answered or ctx ends. The check itself may go
// on after that: SQLite waits for a lock whatever the context says.
func (c *runningCheck) run(ctx context.Context) Result {
	late := Result{
		Status:  Failing,
		Message: fmt.Sprintf("The check did not answer within %v.", checkTimeout),
		Err:     context.DeadlineExceeded,
	}
	if !c.busy.CompareAndSwap(false, true) {
		return late
	}
	done := make(chan Result, 1)
	go func() {
		result := c.call(ctx)
		c.busy.Store(false)
		done <- result
	}()
	select {
	case result := <-done:
		return result
	case <-ctx.Done():
		return late
	}
}

func (c *runningCheck) call(ctx context.Context) (result Result) {
	defer func() {
		if r := recover(); r != nil {
			result = Result{Status: Failing, Message: "The check crashed.", Err: fmt.Errorf("panic: %v", r)}
		}
	}()
	result = c.Run(ctx)
	if result.Status == "" {
		result.Status = OK
	}
	return result
}

// worst returns the status of the whole: ok, degraded or failing.
func worst(results map[string]Result) Status {
	status := OK
	for _, result := range results {
		switch result.Status {
		case Failing:
			return Failing
		case Degraded:
			status = Degraded
		}
	}
	return status
}
