package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/routes"
)

func TestAThousandCallersCauseOneStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	w.slow = make(chan struct{})
	f := w.platform()
	var callers, entering sync.WaitGroup
	entering.Add(1000)
	for range 1000 {
		callers.Go(func() {
			entering.Done()
			route, err := f.Wake(context.Background(), "a")
			if err != nil || route.State != routes.Running || route.URL != "http://a" {
				t.Errorf("%+v, %v", route, err)
			}
		})
	}
	entering.Wait()
	time.Sleep(10 * time.Millisecond) // for the last of them to get into Wake; too short fails nothing
	close(w.slow)
	callers.Wait()
	if w.calls != 1 {
		t.Errorf("%d starts", w.calls)
	}
}

func TestStartsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slow = make(chan struct{})
	var callers sync.WaitGroup
	for i := range 20 {
		w.add(fmt.Sprint("p", i), Asleep)
	}
	f := w.platform(func(c *Config) { c.Starts = 3 })
	for i := range 20 {
		callers.Go(func() {
			if _, err := f.Wake(context.Background(), fmt.Sprint("p", i)); err != nil {
				t.Error(err)
			}
		})
	}
	go func() {
		for range 20 {
			w.slow <- struct{}{}
		}
	}()
	callers.Wait()
	if w.most > 3 {
		t.Errorf("%d started at once", w.most)
	}
}

func TestStartsThatHangKeepNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ready := engine{w}.ready
	f := w.platform(func(c *Config) {
		c.Starts, c.StartBurst = 1, 10*time.Millisecond
		c.WaitReady = func(ctx context.Context, d driver.Driver, id string) (driver.Status, error) {
			if id == "hangs" {
				<-ctx.Done()
				return driver.Status{}, ctx.Err()
			}
			return ready(ctx, d, id)
		}
	})
	for _, id := range []string{"hangs", "other"} {
		w.add(id, Asleep)
		f.Add(w.project(id))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go func() { _, _ = f.Wake(ctx, "hangs") }()
	for w.started("hangs") == 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if _, err := f.Wake(ctx, "other"); err != nil {
		t.Errorf("the other: %v", err)
	}
}

func TestWhoMayNotBeWoken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, want := range map[string]Want{"off": Off, "parked": Parked, "deleted": Deleted} {
		w.add(id, want)
	}
	w.add("full", Asleep)
	full := errors.New("quota")
	f := w.platform(func(c *Config) {
		c.MayWake = func(context.Context, Project, int) error { return full }
	})
	for id, want := range map[string]error{"off": ErrOff, "parked": ErrParked, "deleted": ErrDeleted, "none": ErrUnknown, "full": full} {
		if _, err := f.Wake(context.Background(), id); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	if len(w.starts) > 0 {
		t.Errorf("started %v", w.starts)
	}
}

func TestWhoIsWokenAtOnceSharesTheQuota(t *testing.T) {
	t.Parallel()
	const quota, all = 2, 20
	w := newWorld(t)
	for i := range all {
		w.add(fmt.Sprint("p", i), Asleep)
	}
	full := errors.New("quota")
	f := w.platform(func(c *Config) {
		c.MayWake = func(_ context.Context, _ Project, running int) error {
			time.Sleep(time.Millisecond) // as long as a look at the registry takes
			if running >= quota {
				return full
			}
			return nil
		}
	})
	var callers sync.WaitGroup
	for i := range all {
		callers.Go(func() { _, _ = f.Wake(context.Background(), fmt.Sprint("p", i)) })
	}
	callers.Wait()
	if running := f.Running("o"); running != quota {
		t.Errorf("%d run, want %d", running, quota)
	}
}

func TestIdleSleeps(t *testing.T) {
	t.Parallel()
	type step struct {
		name   string
		after  time.Duration
		answer func(now time.Time) Answer
		open   int // as a router told at first
		still  int // and tells again
		want   Want
		asked  int
	}
	idle := func(now time.Time) Answer { return Answer{IdleSince: now.Add(-time.Hour), Synced: true} }
	for _, c := range []step{
		{"used a moment ago", time.Minute, idle, 0, 0, Awake, 0},
		{"idle", 20 * time.Minute, idle, 0, 0, Asleep, 1},
		{"a stream is open", 20 * time.Minute, idle, 1, 1, Awake, 0},
		{"a stream was open, and its router is gone", 20 * time.Minute, idle, 1, 0, Asleep, 1},
		{"a router counts below nothing", 20 * time.Minute, idle, -1, -1, Asleep, 1},
		{"used past the router", 20 * time.Minute, func(now time.Time) Answer {
			return Answer{IdleSince: now.Add(-time.Minute), Synced: true}
		}, 0, 0, Awake, 1},
		{"a backup is open", 20 * time.Minute, func(now time.Time) Answer {
			a := idle(now)
			a.Busy = "1 backup"
			return a
		}, 0, 0, Awake, 1},
		{"not synced", 20 * time.Minute, func(now time.Time) Answer {
			a := idle(now)
			a.Synced = false
			return a
		}, 0, 0, Awake, 1},
		{"due in half a minute", 20 * time.Minute, func(now time.Time) Answer {
			a := idle(now)
			a.Due = now.Add(30 * time.Second)
			return a
		}, 0, 0, Awake, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.add("a", Asleep)
			f := w.platform(func(c *Config) { c.HealthInterval = -1 })
			if _, err := f.Wake(context.Background(), "a"); err != nil {
				t.Fatal(err)
			}
			began := w.clock()
			f.Used("a", began, c.open)
			w.pass(c.after)
			if c.still != 0 {
				f.Used("a", began, c.still)
			}
			answer := c.answer(w.clock())
			w.set(func() { w.answer = answer })
			f.mustPass(t)
			if w.want("a") != c.want || w.timesAsked() != c.asked {
				t.Errorf("it is %s and was asked %d times, want %s and %d", w.want("a"), w.timesAsked(), c.want, c.asked)
			}
			if c.want == Asleep && (w.state("a") != driver.Stopped || f.routeState("a") != "asleep") {
				t.Errorf("it is %s, its route %s", w.state("a"), f.routeState("a"))
			}
			// Not asked again at once: that would keep it awake on some engines.
			f.mustPass(t)
			if w.timesAsked() != c.asked {
				t.Error("it was asked again at once")
			}
		})
	}
}

// A tenant that says that it was used in a far future is asked again no more often,
// and no later, than one that is in use.
func TestATenantThatLiesOfItsUse(t *testing.T) {
	t.Parallel()
	for _, since := range []time.Time{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)} {
		w := newWorld(t)
		w.add("a", Asleep)
		f := w.platform(func(c *Config) { c.HealthInterval = -1 })
		if _, err := f.Wake(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		w.set(func() { w.answer = Answer{Synced: true, IdleSince: since} })
		for range 46 {
			w.pass(time.Minute)
			f.mustPass(t)
		}
		if asked := w.timesAsked(); asked != 3 {
			t.Errorf("asked %d times in 46 minutes, want each 15", asked)
		}
	}
}

func TestAStrangerIsWarnedOfOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenants["stranger"] = &tenant{driver.Status{ID: "stranger", State: driver.Running}}
	var log strings.Builder
	f := w.platform(func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 3 {
		f.mustPass(t)
	}
	if told := strings.Count(log.String(), "stranger"); told != 1 || w.state("stranger") != driver.Running {
		t.Errorf("told %d times, it is %s: %s", told, w.state("stranger"), log.String())
	}
}

func TestDueTenantsAreWoken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("due", Asleep)
	f := w.platform(func(c *Config) { c.HealthInterval = -1 })
	if _, err := f.Wake(context.Background(), "due"); err != nil {
		t.Fatal(err)
	}
	w.pass(20 * time.Minute)
	due := w.clock().Add(time.Hour)
	w.set(func() { w.answer = Answer{Synced: true, Due: due} })
	f.mustPass(t)
	if w.want("due") != Asleep || !w.project("due").Due.Equal(due) {
		t.Fatalf("%+v", w.project("due"))
	}
	// A platform that starts anew knows it too.
	f = w.platform()
	w.pass(59 * time.Minute)
	f.mustPass(t)
	if w.state("due") != driver.Stopped {
		t.Fatal("woken too early")
	}
	w.pass(55 * time.Second)
	f.mustPass(t)
	if w.state("due") != driver.Running || f.routeState("due") != "running" {
		t.Errorf("it is %s, its route %s", w.state("due"), f.routeState("due"))
	}
}

func TestADueTenantThatMayNotWakeIsNotTriedAllTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	p := w.project("a")
	p.Due = w.clock()
	w.set(func() { w.projects["a"] = p })
	tries, full := 0, true
	f := w.platform(func(c *Config) {
		c.MayWake = func(context.Context, Project, int) error {
			if tries++; full {
				return errors.New("quota")
			}
			return nil
		}
	})
	for range 60 {
		f.mustPass(t)
		w.pass(2 * time.Second)
	}
	if tries < 2 || tries > 3 {
		t.Errorf("tried %d times in 2 minutes", tries)
	}
	full = false
	if _, err := f.Wake(context.Background(), "a"); err != nil {
		t.Errorf("its people must wait: %v", err)
	}
}

func TestACrashIsMendedAtOnceAndALoopIsParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	f := w.platform()
	if _, err := f.Wake(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	w.crash("a")
	f.mustPass(t)
	if w.started("a") != 2 || f.routeState("a") != "running" {
		t.Fatalf("%d starts, its route is %s", w.started("a"), f.routeState("a"))
	}

	w.set(func() { w.crashes["a"] = true })
	w.crash("a")
	for range 60 {
		f.mustPass(t)
		w.pass(time.Second)
	}
	if w.want("a") != Parked || f.routeState("a") != "parked" {
		t.Fatalf("it is %s, its route %s", w.want("a"), f.routeState("a"))
	}
	if starts := w.started("a"); starts != 5 {
		t.Errorf("%d starts in all, want 5: two that worked, three in vain", starts)
	}
	if message := w.project("a").Message; !strings.Contains(message, "last words of a: **") || strings.Contains(message, "correct horse") {
		t.Errorf("no last log lines, or with the environment, in %q", message)
	}
	if w.incidents()["a crash_loop"] == "" {
		t.Error("no incident")
	}

	w.set(func() { w.crashes["a"] = false })
	if err := f.StartProject(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	if f.routeState("a") != "running" || len(w.incidents()) != 0 {
		t.Errorf("its route is %s, incidents %v", f.routeState("a"), w.incidents())
	}
}

func TestAnEngineThatFailsParksNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	full := true
	tries := 0
	f := w.platform(func(c *Config) {
		c.Spec = func(_ context.Context, id string) (driver.Spec, error) {
			tries++
			if full {
				return driver.Spec{}, errors.New("the disk is full")
			}
			return driver.Spec{ID: id}, nil
		}
	})
	var later *LaterError
	if _, err := f.Wake(context.Background(), "a"); !errors.As(err, &later) {
		t.Errorf("a wake: %v", err)
	}
	for range 300 {
		f.mustPass(t)
		w.pass(time.Second)
	}
	if w.want("a") != Awake || w.incidents()["a down"] == "" {
		t.Errorf("it is %s, incidents %v", w.want("a"), w.incidents())
	}
	if tries > 12 {
		t.Errorf("tried %d times in 5 minutes", tries)
	}
	full = false
	w.pass(longestWait)
	f.mustPass(t)
	if f.routeState("a") != "running" || len(w.incidents()) != 0 {
		t.Errorf("its route is %s, incidents %v", f.routeState("a"), w.incidents())
	}
}

func TestARouterThatCannotReachItHasItLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	f := w.platform()
	if _, err := f.Wake(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	w.crash("a")
	w.pass(2 * time.Second)
	route, err := f.Wake(context.Background(), "a")
	if err != nil || route.State != routes.Running || w.started("a") != 2 {
		t.Errorf("%+v, %v, %d starts", route, err, w.started("a"))
	}
}

func TestATenantThatHangsIsRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	f := w.platform()
	if _, err := f.Wake(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	w.set(func() { w.hung = true })
	for range 3 {
		w.pass(31 * time.Second)
		f.mustPass(t)
	}
	if w.incidents()["a down"] == "" || w.state("a") == driver.Running {
		t.Fatalf("incidents %v, it is %s", w.incident, w.state("a"))
	}
	w.set(func() { w.hung = false })
	w.pass(2 * time.Second)
	f.mustPass(t)
	if f.routeState("a") != "running" || len(w.incidents()) > 0 {
		t.Errorf("its route is %s, incidents %v", f.routeState("a"), w.incidents())
	}
}

func TestATenantThatRestoresIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	f := w.platform()
	if _, err := f.Wake(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	w.set(func() { w.restoring = true })
	for range 5 {
		w.pass(31 * time.Second)
		f.mustPass(t)
	}
	if w.incidents()["a down"] == "" || w.started("a") != 1 || w.state("a") != driver.Running {
		t.Errorf("incidents %v, %d starts, it is %s", w.incidents(), w.started("a"), w.state("a"))
	}
}

func TestAnOldListIsNoCrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	f := w.platform()
	if _, err := f.Wake(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := f.RestartProject(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	w.set(func() {
		w.tenants["a"].status = driver.Status{ID: "a", State: driver.Stopped}
		// It was stopped when the engine looked, and runs when the answer comes.
		w.beforeList = func() {
			if err := f.RestartProject(context.Background(), "a"); err != nil {
				t.Error(err)
			}
		}
	})
	f.mustPass(t)
	if f.get("a").failures != nil || f.routeState("a") != "running" {
		t.Errorf("its route is %s, failures %v", f.routeState("a"), f.get("a").failures)
	}
}

func TestAStopUnderWayIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	f := w.platform()
	if _, err := f.Wake(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	p := f.get("a")
	_ = p.work.Lock(context.Background()) // as a stop under way has it
	if err := f.setState(context.Background(), p, State{Want: Asleep}, notDeleted); err != nil {
		t.Fatal(err)
	}
	woken := make(chan error)
	go func() {
		_, err := f.Wake(context.Background(), "a")
		woken <- err
	}()
	select {
	case err := <-woken:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := f.bringDown(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	p.work.Unlock()
	if err := <-woken; err != nil || w.started("a") != 2 {
		t.Errorf("%v, %d starts", err, w.started("a"))
	}
}

func TestStopEndsAStartUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	f := w.platform(func(c *Config) {
		c.WaitReady = func(ctx context.Context, _ driver.Driver, _ string) (driver.Status, error) {
			<-ctx.Done() // a long restore
			return driver.Status{}, ctx.Err()
		}
	})
	woken := make(chan error)
	go func() {
		_, err := f.Wake(context.Background(), "a")
		woken <- err
	}()
	for w.state("a") != driver.Running {
		runtime.Gosched()
	}
	if err := f.StopProject(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	var later *LaterError
	if err := <-woken; !errors.As(err, &later) && !errors.Is(err, ErrOff) {
		t.Errorf("the waiting caller got %v", err)
	}
	if w.state("a") != driver.Stopped || f.routeState("a") != "off" {
		t.Errorf("it is %s, its route %s", w.state("a"), f.routeState("a"))
	}
}

func TestAStopThatComesLastWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	var f *Fleet
	f = w.platform(func(c *Config) {
		c.WaitReady = func(ctx context.Context, d driver.Driver, id string) (driver.Status, error) {
			// It became ready, and was stopped in the same moment.
			if err := f.setState(ctx, f.get(id), State{Want: Off}, notDeleted); err != nil {
				return driver.Status{}, err
			}
			return d.Status(context.WithoutCancel(ctx), id)
		}
	})
	if _, err := f.Wake(context.Background(), "a"); err == nil || f.routeState("a") != "off" || f.get("a").url != "" {
		t.Errorf("%v, its route is %s", err, f.routeState("a"))
	}
	f.mustPass(t)
	if w.state("a") != driver.Stopped {
		t.Errorf("it is %s", w.state("a"))
	}
}

func TestWhatWasWokenMeanwhileIsNotStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	f := w.platform()
	if _, err := f.Wake(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	// As a pass does that saw it before.
	if err := f.bringDown(context.Background(), f.get("a")); err != nil || w.state("a") != driver.Running {
		t.Errorf("%v, it is %s", err, w.state("a"))
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	for _, replicated := range []bool{false, true} {
		w := newWorld(t)
		w.add("a", Asleep)
		f := w.platform(func(c *Config) { c.Replicated = replicated })
		if err := errors.Join(f.StartProject(context.Background(), "a"), f.Delete(context.Background(), "a")); err != nil {
			t.Fatal(err)
		}
		if f.routeState("a") != "" {
			t.Error("it is still routed")
		}
		f.mustPass(t)
		f.mustPass(t)
		if want := map[bool]driver.State{false: driver.Stopped, true: ""}[replicated]; w.state("a") != want {
			t.Errorf("replicated %v: it is %q, want %q", replicated, w.state("a"), want)
		}
		if err := f.Undelete(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Wake(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		_ = f.Delete(context.Background(), "a")
		f.mustPass(t)
		w.pass(7*24*time.Hour - time.Minute)
		f.mustPass(t)
		if w.purged["a"] {
			t.Fatal("purged within the grace time")
		}
		w.pass(time.Minute)
		f.mustPass(t)
		if !w.purged["a"] || w.state("a") != "" || len(w.projects) != 0 || f.get("a") != nil {
			t.Errorf("left: %v %q %v", w.purged, w.state("a"), w.projects)
		}
	}
}

// What is taken apart half is not given back: it would begin anew, empty.
func TestNobodyGetsBackWhatIsBeingPurged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Asleep)
	away := true
	f := w.platform(func(c *Config) {
		c.Purge = func(context.Context, string) error {
			if away {
				return errors.New("the bucket is away")
			}
			return nil
		}
	})
	if err := errors.Join(f.StartProject(context.Background(), "a"), f.Delete(context.Background(), "a")); err != nil {
		t.Fatal(err)
	}
	w.pass(7 * 24 * time.Hour)
	f.mustPass(t)
	if w.state("a") != "" || len(w.projects) != 1 {
		t.Fatalf("it is not half taken apart: %q %v", w.state("a"), w.projects)
	}
	if err := f.Undelete(context.Background(), "a"); !errors.Is(err, ErrGone) || w.want("a") != Deleted {
		t.Errorf("given back: %v, it is %s", err, w.want("a"))
	}
	away = false
	f.mustPass(t)
	if len(w.projects) != 0 {
		t.Errorf("left: %v", w.projects)
	}
}

// TestKilledAnywhere kills the platform before and after each of its steps in the
// life of a project, and lets another one go on.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	// Each act is repeated by its caller until it is done, as people do.
	acts := []struct {
		name string
		do   func(f *Fleet) error
		want Want
		is   driver.State
	}{
		{"wake", func(f *Fleet) error { _, err := f.Wake(ctx, "a"); return err }, Awake, driver.Running},
		{"idle", func(f *Fleet) error { return f.Pass(ctx) }, Asleep, driver.Stopped},
		{"start", func(f *Fleet) error { return f.StartProject(ctx, "a") }, Awake, driver.Running},
		{"restart", func(f *Fleet) error { return f.RestartProject(ctx, "a") }, Awake, driver.Running},
		{"stop", func(f *Fleet) error { return f.StopProject(ctx, "a") }, Off, driver.Stopped},
		{"start again", func(f *Fleet) error { return f.StartProject(ctx, "a") }, Awake, driver.Running},
		{"delete", func(f *Fleet) error { return errors.Join(f.Delete(ctx, "a"), f.Pass(ctx)) }, Deleted, driver.Stopped},
		{"undelete", func(f *Fleet) error { return f.Undelete(ctx, "a") }, Asleep, driver.Stopped},
		{"delete for good", func(f *Fleet) error {
			err := f.Delete(ctx, "a")
			f.cfg.Store.(*world).pass(8 * 24 * time.Hour)
			return errors.Join(err, f.Pass(ctx))
		}, "", ""},
	}
	for _, after := range []bool{false, true} {
		for dieAt := 1; ; dieAt++ {
			w := newWorld(t)
			w.add("a", Asleep)
			w.dieAt, w.dieAfter = dieAt, after
			f := w.platform()
			died := false
			for _, act := range acts {
				if act.name == "idle" {
					w.pass(time.Hour)
				}
				err := act.do(f)
				w.mu.Lock()
				dead := w.dieAt > 0 && w.steps >= w.dieAt
				w.dieAt = 0
				w.mu.Unlock()
				if dead {
					died = true
					f = w.platform() // adopts
					f.mustPass(t)    // heals
					if route := f.routeState("a"); (route == "running") != (w.state("a") == driver.Running) {
						t.Fatalf("step %d (%v), %s: the route is %s, it is %s", dieAt, after, act.name, route, w.state("a"))
					}
					if act.name == "idle" {
						w.pass(time.Hour)
					}
					err = act.do(f)
					if errors.Is(err, ErrUnknown) {
						err = nil // it was done
					}
				} else if !died {
					w.mu.Lock()
					w.dieAt = dieAt
					w.mu.Unlock()
				}
				f.mustPass(t)
				if err != nil || w.want("a") != act.want || w.state("a") != act.is {
					t.Fatalf("step %d (%v), %s: it is wanted %q and is %q, want %q and %q; %v",
						dieAt, after, act.name, w.want("a"), w.state("a"), act.want, act.is, err)
				}
				if act.name == "delete for good" && !w.purged["a"] {
					t.Fatalf("step %d (%v): it is forgotten, and its replica is not deleted", dieAt, after)
				}
				if act.name != "delete for good" && w.purged["a"] {
					t.Fatalf("step %d (%v), %s: its replica was deleted", dieAt, after, act.name)
				}
			}
			if !died {
				break // it has fewer steps
			}
		}
	}
}

func TestTenantsGoOnWhenThePlatformStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("kept", Asleep)
	if _, err := w.platform().Wake(context.Background(), "kept"); err != nil {
		t.Fatal(err)
	}
	f := w.platform()
	if f.routeState("kept") != "running" {
		t.Errorf("before the first pass its route is %s", f.routeState("kept"))
	}
	f.mustPass(t)
	if w.started("kept") != 1 {
		t.Errorf("%d starts", w.started("kept"))
	}
}

func TestNobodyActsWhoDoesNotLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a", Awake)
	lost := errors.New("another platform leads")
	f := w.platform(func(c *Config) { c.Lead = func() error { return lost } })
	if err := f.Pass(context.Background()); !errors.Is(err, lost) {
		t.Error(err)
	}
	if _, err := f.Wake(context.Background(), "a"); !errors.Is(err, lost) {
		t.Error(err)
	}
	if w.steps > 0 {
		t.Errorf("%d steps", w.steps)
	}
}

// TestMemory holds the promise of 5 KB for a sleeping project.
func TestMemory(t *testing.T) {
	const n = 20_000
	w := newWorld(t)
	for i := range n {
		w.add(fmt.Sprintf("%015d", i), Asleep)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	f := w.platform()
	f.mustPass(t)
	each := (heap() - before) / n
	t.Logf("%d bytes for each sleeping project", each)
	if each > 5<<10 {
		t.Errorf("a sleeping project takes %d bytes", each)
	}
	runtime.KeepAlive(f)
}
