package drivertest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
)

func testLife(r *rig) {
	id := r.create(Normal)
	r.exitCode(r.stopped(id), -1)
	r.start(id)
	if s := r.status(id); s.State != driver.Starting && s.State != driver.Running {
		r.Errorf("after start the state is %q: %s", s.State, s.Message)
	}
	status := r.ready(id)
	if !r.h.NoURL && status.URL == "" {
		r.Error("a running tenant has no URL")
	}
	r.until(id, driver.Running)
	first := r.who(id)
	r.stop(id)
	r.exitCode(r.stopped(id), 0)
	r.start(id)
	r.ready(id)
	if second := r.who(id); !r.h.NoURL && second.Instance == first.Instance {
		r.Error("after stop and start the same process answers")
	}
	r.stop(id)
	r.delete(id)
	r.gone(id)
}

func testTwice(r *rig) {
	id := r.create(Normal)
	r.must("create again", func() error { return r.d.Create(r.ctx(), r.spec(id, Normal)) })
	r.stop(id) // it never ran
	r.stopped(id)
	r.start(id)
	r.start(id)
	r.ready(id)
	first := r.who(id)
	r.start(id)
	r.must("create while it runs", func() error { return r.d.Create(r.ctx(), r.spec(id, Normal)) })
	r.ready(id)
	if again := r.who(id); again.Instance != first.Instance {
		r.Error("start or create of a running tenant has started it again")
	}
	r.stop(id)
	r.stop(id)
	r.exitCode(r.stopped(id), 0)
	r.delete(id)
	r.delete(id)
	r.gone(id)
}

func testUnknown(r *rig) {
	id := r.newID()
	_, statusErr := r.d.Status(r.ctx(), id)
	_, logsErr := r.d.Logs(r.ctx(), id, driver.LogOptions{})
	_, readyErr := driver.WaitReady(r.ctx(), r.d, id)
	for name, err := range map[string]error{
		"start": r.d.Start(r.ctx(), id), "stop": r.d.Stop(r.ctx(), id), "status": statusErr, "logs": logsErr, "wait ready": readyErr,
	} {
		if !errors.Is(err, driver.ErrNotFound) {
			r.Errorf("%s of an unknown tenant: %v, want ErrNotFound", name, err)
		}
	}
	if err := r.d.Delete(r.ctx(), id); err != nil {
		r.Errorf("delete of an unknown tenant: %v", err)
	}
}

func testInvalid(r *rig) {
	for _, id := range []string{"", "A", "a-b", "a_b", "../a", "a/b", ".", "ä", "a b", "a\x00", strings.Repeat("a", 33)} {
		if err := driver.CheckID(id); err == nil {
			r.Errorf("CheckID accepts %q", id)
		}
		spec := r.spec("a", Normal)
		spec.ID = id
		if err := r.d.Create(r.ctx(), spec); err == nil {
			r.Errorf("create accepts the id %q", id)
		}
		_, statusErr := r.d.Status(r.ctx(), id)
		for name, err := range map[string]error{"start": r.d.Start(r.ctx(), id), "stop": r.d.Stop(r.ctx(), id), "status": statusErr} {
			if err == nil {
				r.Errorf("%s accepts the id %q", name, id)
			}
		}
	}
	for _, id := range []string{"a", "0", strings.Repeat("z", 32)} {
		if err := driver.CheckID(id); err != nil {
			r.Error(err)
		}
	}
}

func testList(r *rig) {
	stopped, running, crashed := r.create(Normal), r.started(Normal), r.create(Crash)
	r.start(crashed)
	r.until(crashed, driver.Crashed)
	r.until(running, driver.Running)
	all := r.listed()
	for id, want := range map[string]driver.State{stopped: driver.Stopped, running: driver.Running, crashed: driver.Crashed} {
		got, ok := all[id]
		if !ok || got.State != want {
			r.Errorf("the list has %+v, want the state %q", got, want)
		}
		if one := r.status(id); one.State != got.State || one.URL != got.URL || one.ExitCode != got.ExitCode {
			r.Errorf("the list and the status differ:\n%+v\n%+v", got, one)
		}
	}
	r.exitCode(all[crashed], CrashCode)
}

func testData(r *rig) {
	if r.h.NoData || r.h.NoURL {
		r.Skip("the engine keeps no data, or it cannot be seen")
	}
	id := r.started(Normal)
	r.stop(id)
	r.start(id)
	r.ready(id)
	if starts := r.who(id).Starts; starts != 2 {
		r.Errorf("after two starts the folder has seen %d", starts)
	}
	r.delete(id)
	r.must("create again", func() error { return r.d.Create(r.ctx(), r.spec(id, Normal)) })
	r.start(id)
	r.ready(id)
	if starts := r.who(id).Starts; starts != 1 {
		r.Errorf("a deleted tenant's data is still there: start %d", starts)
	}
}

func testChangedSpec(r *rig) {
	id := r.started(Normal, "COLOUR=red")
	first := r.who(id)
	spec := r.spec(id, Normal, "COLOUR=blue", "SHADE=dark")
	spec.Name = "Another name"
	r.must("change", func() error { return r.d.Create(r.ctx(), spec) })
	if again := r.who(id); again.Instance != first.Instance {
		r.Error("a change has started the tenant again")
	}
	if !r.h.NoURL && r.env(id)["COLOUR"] != "red" {
		r.Error("a change reached the running tenant")
	}
	r.stop(id)
	r.start(id)
	r.ready(id)
	if env := r.env(id); !r.h.NoURL && (env["COLOUR"] != "blue" || env["SHADE"] != "dark") {
		r.Errorf("the change is not there after a start: %q", env)
	}
	r.stop(id)
	r.must("change back", func() error { return r.d.Create(r.ctx(), r.spec(id, Normal, "COLOUR=green")) })
	r.stopped(id)
	r.start(id)
	r.ready(id)
	env := r.env(id)
	if _, left := env["SHADE"]; !r.h.NoURL && (env["COLOUR"] != "green" || left) {
		r.Errorf("the second change is not there after a start: %q", env)
	}
}

func testCrashAtStart(r *rig) {
	id := r.create(Crash)
	for range 2 { // a crashed one is started again
		r.start(id)
		status, err := driver.WaitReady(r.ctx(), r.d, id)
		if !errors.Is(err, driver.ErrCrashed) || status.State != driver.Crashed {
			r.Fatalf("wait ready: %v in the state %q, want ErrCrashed", err, status.State)
		}
		r.exitCode(status, CrashCode)
		if !r.h.NoCrashMessage && (!strings.Contains(status.Message, CrashMessage) || !strings.Contains(err.Error(), CrashMessage)) {
			r.Errorf("the message %q does not hold the last line", status.Message)
		}
	}
	r.stop(id)
	if s := r.status(id); s.State != driver.Stopped && s.State != driver.Crashed {
		r.Errorf("after a stop the state is %q", s.State)
	}
	r.must("mend", func() error { return r.d.Create(r.ctx(), r.spec(id, Normal)) })
	r.start(id)
	r.ready(id)
	if s := r.status(id); s.Message != "" {
		r.Errorf("the message of an old crash is still there: %q", s.Message)
	}
}

func testCrashLater(r *rig) {
	if r.h.NoURL {
		r.Skip("the tenant cannot be told to crash")
	}
	id := r.started(Normal)
	first := r.who(id)
	if err := r.get(id, "/crash", new(any)); err == nil {
		r.Error("the tenant answered while it crashed")
	}
	status := r.until(id, driver.Crashed)
	r.exitCode(status, CrashCode)
	if !r.h.NoCrashMessage && !strings.Contains(status.Message, "asked for it") {
		r.Errorf("the message %q does not hold the last line", status.Message)
	}
	r.start(id)
	r.ready(id)
	if r.who(id).Instance == first.Instance {
		r.Error("the same process answers after a crash")
	}
}

func testSlowStart(r *rig) {
	id := r.create(Slow)
	began := time.Now()
	r.start(id)
	short, cancel := context.WithTimeout(r.ctx(), SlowDelay/5)
	defer cancel()
	if _, err := driver.WaitReady(short, r.d, id); !errors.Is(err, context.DeadlineExceeded) {
		r.Errorf("wait ready, for too short: %v", err)
	}
	r.ready(id)
	if took := time.Since(began); took < SlowDelay {
		r.Errorf("ready after %v, the tenant takes %v", took, SlowDelay)
	}
}

func testDrains(r *rig) {
	id := r.started(Drains)
	began := time.Now()
	r.stop(id)
	if took := time.Since(began); took < DrainTime {
		r.Errorf("stop returned after %v, the tenant takes %v", took, DrainTime)
	}
	r.exitCode(r.stopped(id), 0)
}

func testDirty(r *rig) {
	id := r.started(Dirty)
	r.stop(id)
	r.exitCode(r.stopped(id), 1)
}

func testStubborn(r *rig) {
	id := r.started(Stubborn)
	began := time.Now()
	r.stop(id)
	if took := time.Since(began); took < r.h.StopTimeout/2 {
		r.Errorf("stop used force after %v, it should wait for %v", took, r.h.StopTimeout)
	}
	r.exitCode(r.stopped(id), -1)
}

func testDeleteRunning(r *rig) {
	id := r.started(Normal)
	client, base, err := driver.Client(r.status(id).URL)
	if err != nil && !r.h.NoURL {
		r.Fatal(err)
	}
	r.delete(id)
	r.gone(id)
	if r.h.NoURL {
		return
	}
	defer client.CloseIdleConnections()
	if response, err := client.Get(base + driver.ReadyPath); err == nil { //nolint:noctx // a closed port
		_ = response.Body.Close()
		r.Error("a deleted tenant still answers")
	}
}

func testCancelled(r *rig) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	id := r.newID()
	if err := r.d.Create(cancelled, r.spec(id, Normal)); err == nil {
		r.Error("create with a cancelled context is no error")
	}
	r.must("create", func() error { return r.d.Create(r.ctx(), r.spec(id, Stubborn)) })
	if err := r.d.Start(cancelled, id); err == nil {
		r.Error("start with a cancelled context is no error")
	}
	r.start(id)
	r.ready(id)
	if err := r.d.Stop(cancelled, id); err == nil {
		r.Error("stop with a cancelled context is no error")
	}
	short, cancelShort := context.WithTimeout(context.Background(), r.h.StopTimeout/4)
	defer cancelShort()
	began := time.Now()
	if err := r.d.Stop(short, id); err == nil {
		r.Error("stop returned without an error before the tenant ended")
	}
	if took := time.Since(began); took > r.h.StopTimeout*3/4 {
		r.Errorf("stop returned %v after its context ended", took-r.h.StopTimeout/4)
	}
	r.stop(id)
	r.stopped(id)
	if err := r.d.Delete(cancelled, id); err == nil {
		r.Error("delete with a cancelled context is no error")
	}
	if _, err := driver.WaitReady(cancelled, r.d, id); err == nil {
		r.Error("wait ready with a cancelled context is no error")
	}
}
