package jshooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/core"
)

// retryInterval is how soon a version that could not be loaded is tried again.
const retryInterval = 10 * time.Second

// state is what says which hooks are to run. It changes whenever somebody,
// perhaps another process, wants others.
type state struct {
	enabled   bool
	active    int64  // 0 for none
	activated string // when, so that a version that is activated again counts
	secrets   string // changes with the secrets
}

// status is what runs, and what is wrong. It is replaced, never changed.
type status struct {
	version string // whose hooks run; empty for none
	since   time.Time
	hooks   []engine.HookInfo

	problems []loadProblem // of the last load
}

// loadProblem is why something that should run does not.
type loadProblem struct {
	Source  string `json:"source"`            // folder or version
	Version string `json:"version,omitempty"` // of source version
	problem
}

// readState reads what is wanted. It costs two lookups, twice a second.
func (p *Plugin) readState() (state, error) {
	s := state{enabled: p.cfg.Settings().JSHooks.Enabled}
	err := p.app.ConcurrentDB().NewQuery("SELECT id, activated FROM _pico_hooks WHERE active = 1").Row(&s.active, &s.activated)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("read the active version of hooks: %w", err)
	}
	s.secrets, err = secretsVersion(p.app)
	return s, err
}

func (p *Plugin) poll(ctx context.Context) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.apply(ctx)
}

// apply puts in force what is wanted, if it is something else than before. A
// version that cannot be loaded leaves the one before it in force. The caller
// holds changing.
func (p *Plugin) apply(ctx context.Context) error {
	if !p.serving {
		return nil
	}
	want, err := p.readState()
	if err != nil {
		return err
	}
	if want.secrets != p.applied.secrets {
		if err := p.loadSecrets(); err != nil {
			return err
		}
		p.applied.secrets = want.secrets
	}
	failing := len(p.status.Load().of(sourceVersion)) > 0
	if want == p.applied && (!failing || time.Now().Before(p.retry)) {
		return nil
	}
	if !want.enabled || want.active == 0 {
		p.run(nil, "")
		p.applied = want
		return nil
	}
	files, err := readFiles(p.app, want.active)
	var unreadable *unreadableError
	if err != nil && !errors.As(err, &unreadable) {
		return err
	}
	id := strconv.FormatInt(want.active, 10)
	var generation *engine.Generation
	var found []engine.Problem
	if unreadable != nil {
		found = []engine.Problem{{Message: unreadable.Error()}}
	} else {
		generation, found = p.compile(ctx, id, files)
	}
	if ctx.Err() != nil {
		return nil // whoever asked is gone: the poller does it, or the next start
	}
	p.applied = want
	if len(found) > 0 {
		// What is busy or short of memory now may load later.
		p.retry = time.Now().Add(retryInterval)
		p.blame(sourceVersion, id, found)
		return nil
	}
	p.run(generation, id)
	return nil
}

// compile loads a bundle aside. It takes loadLimit at most: a start waits for it,
// and so does whoever wants to switch hooks off.
func (p *Plugin) compile(ctx context.Context, version string, files engine.Bundle) (*engine.Generation, []engine.Problem) {
	type outcome struct {
		generation *engine.Generation
		found      []engine.Problem
	}
	ctx, cancel := context.WithTimeout(ctx, p.loadLimit)
	defer cancel()
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if crash := recover(); crash != nil {
				o.found = []engine.Problem{{Message: fmt.Sprintf("the engine crashed: %v", crash)}}
			}
			done <- o
		}()
		o.generation, o.found = p.engine.Compile(ctx, version, files)
	}()
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		o.found = []engine.Problem{{Message: fmt.Sprintf("the files were not loaded within %s; what they do at their top has to be quick", p.loadLimit)}}
	}
	if len(o.found) > 0 {
		p.metrics.loads.WithLabelValues("failed").Inc()
		return nil, o.found
	}
	p.metrics.loads.WithLabelValues("ok").Inc()
	return o.generation, nil
}

// run puts a generation in force, nil for none. Calls under way end on the one
// before. What was wrong with versions is over, what is wrong with the folder not.
func (p *Plugin) run(generation *engine.Generation, version string) {
	p.engine.Activate(generation)
	next := &status{version: version, since: time.Now().UTC(), problems: p.status.Load().of(sourceFolder)}
	if generation != nil {
		next.hooks = listed(generation)
		p.logger().Info("hooks in force", "version", version, "hooks", len(next.hooks))
	}
	p.status.Store(next)
}

// blame notes what is wrong with a version or the folder, in place of what was.
func (p *Plugin) blame(source, version string, found []engine.Problem) {
	present := p.status.Load()
	next := *present
	next.problems = nil
	for _, other := range present.problems {
		if other.Source != source {
			next.problems = append(next.problems, other)
		}
	}
	for _, f := range problemsOf(found) {
		problem := loadProblem{source, version, f}
		next.problems = append(next.problems, problem)
		if slices.Contains(present.problems, problem) {
			continue // the operator knows
		}
		p.logger().Error("hooks not loaded", "source", source, "version", version,
			"at", fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column), "problem", f.Message)
	}
	p.status.Store(&next)
}

// of returns the problems with the folder, or with versions.
func (s *status) of(source string) (problems []loadProblem) {
	for _, found := range s.problems {
		if found.Source == source {
			problems = append(problems, found)
		}
	}
	return problems
}

// upload is what somebody wants to make a version of.
type upload struct {
	files    engine.Bundle
	label    string
	source   string
	by       string
	activate bool
}

// tries is how often a number is asked for that another process may take.
const tries = 5

// store makes a version out of what compiles, and activates it if that is
// wanted. What is active already is not stored again: fresh is false. The caller
// holds changing.
func (p *Plugin) store(ctx context.Context, e *core.RequestEvent, u upload) (v Version, fresh bool, err error) {
	content, sum, err := pack(u.files)
	if err != nil {
		return v, false, err
	}
	present, err := findVersion(p.app, "active = 1", nil)
	if err != nil && !errors.Is(err, errNotFound) {
		return v, false, err
	}
	if err == nil && present.SHA256 == sum && u.source == sourceUpload {
		return present, false, nil
	}
	for range tries {
		if v, err = p.storeOnce(ctx, e, u, content, sum); !errors.Is(err, errTaken) {
			return v, true, err
		}
	}
	return v, false, errSomebodyQuicker.WithCause(err)
}

func (p *Plugin) storeOnce(ctx context.Context, e *core.RequestEvent, u upload, content []byte, sum string) (Version, error) {
	// Compiled before it is stored, under the number that it will have: nothing
	// waits for the database's one writer meanwhile.
	number, err := nextNumber(p.app)
	if err != nil {
		return Version{}, err
	}
	id := strconv.FormatInt(number, 10)
	generation, found := p.compile(ctx, id, u.files)
	if len(found) > 0 {
		return Version{}, &problemsError{found}
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	v := Version{
		ID: id, number: number, Label: u.label, Source: u.source, Created: now, CreatedBy: u.by,
		SHA256: sum, Files: len(u.files), Size: sizeOf(u.files), Active: u.activate,
	}
	err = p.transact(e, func(tx core.App) error {
		if err := insertVersion(tx, v, content); err != nil {
			return err
		}
		uploaded := Act{Action: "hook.uploaded", Type: "hook", ID: id, Name: v.Label,
			After: map[string]any{"source": v.Source, "files": v.Files, "size": v.Size, "sha256": sum}}
		if err := p.cfg.Record(tx, e, uploaded); err != nil {
			return err
		}
		if u.activate {
			if err := p.activate(tx, e, v, now); err != nil {
				return err
			}
		}
		return pruneVersions(tx)
	})
	if err != nil {
		return Version{}, err
	}
	if u.activate {
		v.Activated = &now
		p.inForce(generation, v, now)
	}
	return v, nil
}

// activate marks v as the active version, and records it.
func (p *Plugin) activate(tx core.App, e *core.RequestEvent, v Version, at time.Time) error {
	if err := activate(tx, v.number, at); err != nil {
		return err
	}
	return p.cfg.Record(tx, e, Act{Action: "hook.activated", Type: "hook", ID: v.ID, Name: v.Label, After: map[string]any{"sha256": v.SHA256}})
}

// inForce runs what was just activated, without compiling it a second time.
func (p *Plugin) inForce(generation *engine.Generation, v Version, at time.Time) {
	enabled := p.cfg.Settings().JSHooks.Enabled
	if !p.serving || !enabled {
		return // apply sees to it, if ever
	}
	p.applied = state{enabled: enabled, active: v.number, activated: stamp(at), secrets: p.applied.secrets}
	p.run(generation, v.ID)
}

// transact runs a change on behalf of a request, or of nobody.
func (p *Plugin) transact(e *core.RequestEvent, change func(tx core.App) error) error {
	if e == nil {
		return p.app.RunInTransaction(change)
	}
	return p.cfg.Transact(e, change)
}

// problemsError says that a bundle does not load.
type problemsError struct{ found []engine.Problem }

func (e *problemsError) Error() string {
	first := e.found[0]
	return fmt.Sprintf("%s:%d:%d: %s", first.File, first.Line, first.Column, first.Message)
}
