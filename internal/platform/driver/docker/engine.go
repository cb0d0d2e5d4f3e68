package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

// Labels of all that is made here.
const (
	labelPlatform = "picobase.platform"
	labelProject  = "picobase.project" // the tenant's id
	labelName     = "picobase.name"    // for people
	labelSpec     = "picobase.spec"    // a hash of what the tenant should be
)

const (
	dataPath  = "/data"
	tmpPath   = "/tmp"
	tmpSize   = 64 << 20 // it counts as the tenant's memory
	nanoCPU   = 1e9
	logDriver = "json-file"

	// poll is how often to look at what takes a while: a task that ends takes a Swarm two
	// seconds at least, since it first tells all nodes that the name is gone.
	poll = 100 * time.Millisecond

	// engineAway is how long to leave an engine alone that did not answer.
	engineAway = 2 * time.Second
)

// engine is what containers and services share.
type engine struct {
	api   *client.Client
	cfg   Config
	locks *locks
}

// Close lets go of the engine.
func (e *engine) Close() error { return e.api.Close() }

// name is the tenant's name on the engine and in its network.
func (e *engine) name(id string) string { return e.cfg.Platform + "-" + id }

// address of the tenant for those in the network.
func (e *engine) address(id string) string {
	return fmt.Sprintf("http://%s:%d", e.name(id), e.cfg.Port)
}

func (e *engine) labels(spec driver.Spec) map[string]string {
	return map[string]string{labelPlatform: e.cfg.Platform, labelProject: spec.ID, labelName: spec.Name}
}

// ours filters for what this platform made, and mine for one tenant's.
func (e *engine) ours() client.Filters {
	return client.Filters{}.Add("label", labelPlatform+"="+e.cfg.Platform)
}

func (e *engine) mine(id string) client.Filters {
	return e.ours().Add("label", labelProject+"="+id)
}

func (e *engine) logOptions() map[string]string {
	return map[string]string{"max-size": e.cfg.LogSize, "max-file": fmt.Sprint(e.cfg.LogFiles)}
}

// exclusive checks the id and waits until nobody else changes the tenant.
func (e *engine) exclusive(ctx context.Context, id string) (unlock func(), err error) {
	if err := driver.CheckID(id); err != nil {
		return nil, err
	}
	return e.locks.lock(ctx, id)
}

// failed says what went wrong, with driver.ErrBusy if it may go right later.
func (e *engine) failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrBusy), errors.Is(err, driver.ErrNotFound):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("docker: %s: %w", what, err)
	case client.IsErrConnectionFailed(err):
		return &driver.RetryError{After: engineAway, Err: fmt.Errorf(
			"docker: %s: no engine answers at %s: is Docker running there, and may this user talk to it? (%w)", what, e.cfg.Host, err)}
	case errdefs.IsUnavailable(err), errdefs.IsResourceExhausted(err), errdefs.IsConflict(err):
		return &driver.RetryError{After: engineAway, Err: fmt.Errorf("docker: %s: %w", what, err)}
	}
	return fmt.Errorf("docker: %s: %w", what, err)
}

// ensureNetwork makes the network if it is not there.
func (e *engine) ensureNetwork(ctx context.Context, swarm bool) error {
	const what = "look for the network"
	kind := "bridge"
	if swarm {
		kind = "overlay"
	}
	found, err := e.api.NetworkInspect(ctx, e.cfg.Network, client.NetworkInspectOptions{})
	if errdefs.IsNotFound(err) {
		_, err = e.api.NetworkCreate(ctx, e.cfg.Network, client.NetworkCreateOptions{
			Driver: kind, Attachable: swarm, Labels: map[string]string{labelPlatform: e.cfg.Platform},
		})
		return e.failed("make the network "+e.cfg.Network, err)
	}
	if err != nil {
		return e.failed(what, err)
	}
	if swarm && found.Network.Scope != "swarm" {
		return fmt.Errorf("docker: the network %s is a %s of this engine only, and a Swarm needs an overlay: name another network, or remove it",
			e.cfg.Network, found.Network.Driver)
	}
	return nil
}

// environment as the engine wants it, in an order that does not change. It
// refuses what no environment can hold, without the value in the error.
func environment(env map[string]secret.String) ([]string, error) {
	list := make([]string, 0, len(env))
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return nil, fmt.Errorf("docker: variable %q: a name is not empty and has neither = nor a zero byte", name)
		}
		if strings.Contains(value.Reveal(), "\x00") {
			return nil, fmt.Errorf("docker: variable %s: its value has a zero byte", name)
		}
		list = append(list, name+"="+value.Reveal())
	}
	slices.Sort(list)
	return list, nil
}

// fingerprint of what the tenant should be.
func fingerprint(parts ...any) (string, error) {
	encoded, err := json.Marshal(parts)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:16]), nil
}

// exitCode is the contract's: -1 for a process that a signal ended, which engines
// report as 128 and more.
func exitCode(code int) int {
	if code > 128 {
		return -1
	}
	return code
}

// removeVolumes of this engine that are the tenant's. A volume stays in use for a
// moment after its container has gone.
func (e *engine) removeVolumes(ctx context.Context, id string) error {
	found, err := e.api.VolumeList(ctx, client.VolumeListOptions{Filters: e.mine(id)})
	if err != nil {
		return e.failed("list volumes", err)
	}
	for _, volume := range found.Items {
		_, err := e.api.VolumeRemove(ctx, volume.Name, client.VolumeRemoveOptions{})
		if err != nil && !errdefs.IsNotFound(err) {
			return e.failed("remove the volume", err)
		}
	}
	return nil
}

// pause waits between two looks at the engine.
func pause(ctx context.Context) error {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// locks are one per tenant, for as long as somebody wants it.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct {
	token chan struct{}
	users int
}

func newLocks() *locks { return &locks{held: map[string]*lock{}} }

func (l *locks) lock(ctx context.Context, id string) (unlock func(), err error) {
	l.mu.Lock()
	one, ok := l.held[id]
	if !ok {
		one = &lock{token: make(chan struct{}, 1)}
		l.held[id] = one
	}
	one.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.held, id)
		}
	}
	if err := ctx.Err(); err != nil {
		leave()
		return nil, err
	}
	select {
	case one.token <- struct{}{}:
		return func() { <-one.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
