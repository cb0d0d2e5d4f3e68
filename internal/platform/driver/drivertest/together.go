package drivertest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/picobase/picobase/internal/platform/driver"
)

// Each tenant is started, stopped and deleted as if it were alone.
func testMany(r *rig) {
	var group sync.WaitGroup
	ids, instances := make([]string, r.h.Many), make([]string, r.h.Many)
	problems := make([]error, r.h.Many)
	for i := range ids {
		ids[i] = r.create(Normal)
	}
	each := func(what string, do func(i int) error) {
		r.Helper()
		for i := range ids {
			group.Go(func() { problems[i] = insist(r.ctx(), func() error { return do(i) }) })
		}
		group.Wait()
		if err := errors.Join(problems...); err != nil {
			r.Fatalf("%s: %v", what, err)
		}
	}
	each("start", func(i int) error { return r.d.Start(r.ctx(), ids[i]) })
	each("wait ready", func(i int) error {
		_, err := driver.WaitReady(r.ctx(), r.d, ids[i])
		return err
	})
	seen := map[string]bool{}
	for i, id := range ids {
		instances[i] = r.who(id).Instance
		if seen[instances[i]] && !r.h.NoURL {
			r.Errorf("two tenants are one process")
		}
		seen[instances[i]] = true
	}
	// Half of them end; the others do not notice.
	each("stop", func(i int) error {
		if i%2 == 1 {
			return nil
		}
		return r.d.Stop(r.ctx(), ids[i])
	})
	for i, id := range ids {
		if i%2 == 1 {
			if r.who(id).Instance != instances[i] {
				r.Errorf("%s was started again", id)
			}
			continue
		}
		r.exitCode(r.stopped(id), 0)
	}
	each("delete", func(i int) error { return r.d.Delete(r.ctx(), ids[i]) })
	all := r.listed()
	for _, id := range ids {
		if _, ok := all[id]; ok {
			r.Errorf("%s is still listed", id)
		}
	}
}

// All verbs on one tenant at once: one process, no failure but that it is gone.
func testOneAtOnce(r *rig) {
	id := r.create(Normal)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := insist(r.ctx(), func() error { return r.d.Start(r.ctx(), id) }); err != nil {
				r.Errorf("start: %v", err)
			}
		})
	}
	group.Wait()
	r.ready(id)
	if w := r.who(id); !r.h.NoURL && !r.h.NoData && w.Starts != 1 {
		r.Errorf("8 starts at once have started %d processes", w.Starts)
	}
	verbs := []func(context.Context) error{
		func(ctx context.Context) error { return r.d.Create(ctx, r.spec(id, Normal)) },
		func(ctx context.Context) error { return r.d.Start(ctx, id) },
		func(ctx context.Context) error { return r.d.Stop(ctx, id) },
		func(ctx context.Context) error { return r.d.Delete(ctx, id) },
		func(ctx context.Context) error {
			_, err := r.d.Status(ctx, id)
			return err
		},
	}
	for range 24 {
		verb := verbs[rand.IntN(len(verbs))]
		group.Go(func() {
			if err := insist(r.ctx(), func() error { return verb(r.ctx()) }); err != nil && !errors.Is(err, driver.ErrNotFound) {
				r.Errorf("all verbs at once: %v", err)
			}
		})
	}
	group.Wait()
	// Whatever the order was: it can be put right.
	r.must("create", func() error { return r.d.Create(r.ctx(), r.spec(id, Normal)) })
	r.start(id)
	r.ready(id)
	r.stop(id)
	r.exitCode(r.stopped(id), 0)
	r.delete(id)
	r.gone(id)
}

// A platform that is started again finds everything, and nobody noticed.
func testRestart(r *rig) {
	running, stopped, crashed := r.started(Normal), r.create(Normal), r.create(Crash)
	drained := r.started(Drains)
	r.stop(drained)
	r.start(crashed)
	r.until(crashed, driver.Crashed)
	r.until(running, driver.Running)
	before, instance := r.listed(), r.who(running)
	r.reopen()
	after := r.listed()
	for _, id := range []string{running, stopped, crashed, drained} {
		was, is := before[id], after[id]
		if was.State != is.State || was.URL != is.URL || was.ExitCode != is.ExitCode || was.Message != is.Message {
			r.Errorf("the restart changed\n%+v to\n%+v", was, is)
		}
	}
	r.ready(running)
	if again := r.who(running); again != instance {
		r.Errorf("the restart touched the tenant: %+v was %+v", again, instance)
	}
	r.start(running)
	if again := r.who(running); again != instance {
		r.Error("start after the restart has started the running tenant again")
	}
	// All verbs work on what another one began, exit codes too.
	r.stop(running)
	r.exitCode(r.stopped(running), 0)
	r.start(stopped)
	r.ready(stopped)
	first := r.who(stopped)
	r.reopen()
	if again := r.who(stopped); again != first {
		r.Errorf("the second restart touched the tenant: %+v was %+v", again, first)
	}
	if !r.h.NoURL {
		if err := r.get(stopped, "/crash", new(any)); err == nil {
			r.Error("the tenant answered while it crashed")
		}
		r.exitCode(r.until(stopped, driver.Crashed), CrashCode)
	}
	if !r.h.NoLogsAfterStop {
		r.untilLogged(running, "fixture got terminated")
	}
	for _, id := range []string{running, stopped, crashed, drained} {
		r.delete(id)
		r.gone(id)
	}
}

// A stop that the platform did not see the end of is finished by the next one.
func testRestartWhileStopping(r *rig) {
	id := r.started(Stubborn)
	short, cancel := context.WithTimeout(context.Background(), r.h.StopTimeout/4)
	defer cancel()
	if err := r.d.Stop(short, id); err == nil {
		r.Error("stop returned without an error before the tenant ended")
	}
	r.reopen()
	r.stop(id)
	r.exitCode(r.stopped(id), -1)
	r.delete(id)
	r.gone(id)
}

// reopen is a restart of the platform.
func (r *rig) reopen() {
	r.Helper()
	r.close()
	r.d = r.h.New(r.T)
}
