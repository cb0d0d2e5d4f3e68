package docker

import (
	"context"
	"errors"
	"io"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
)

// What a container is for is the end of its name, since that is all of it that can be
// changed later and is listed.
const (
	// suffixStopped: it was asked to end. Any other that has ended has crashed.
	suffixStopped = ".stopped"
	// suffixNext: it takes the place of the other at the next start.
	suffixNext = ".next"
)

// containers is the driver of a plain engine.
type containers struct{ *engine }

// tenant is one tenant's containers: the one that runs or ran, and the one to come
// if its Spec has changed. Either may be nil, not both.
type tenant struct{ current, next *container.Summary }

// Create makes the volume and the container.
func (c *containers) Create(ctx context.Context, spec driver.Spec) error {
	unlock, err := c.exclusive(ctx, spec.ID)
	if err != nil {
		return err
	}
	defer unlock()
	options, err := c.template(ctx, spec)
	if err != nil {
		return err
	}
	t, err := c.find(ctx, spec.ID)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	want := options.Config.Labels[labelSpec]
	if t.current != nil && t.current.Labels[labelSpec] == want {
		return c.remove(ctx, t.next)
	}
	if t.next != nil && t.next.Labels[labelSpec] == want {
		return nil
	}
	if err := c.remove(ctx, t.next); err != nil {
		return err
	}
	options.Name = c.name(spec.ID)
	if t.current != nil {
		options.Name += suffixNext
	}
	if err := c.ensureVolume(ctx, spec); err != nil {
		return err
	}
	_, err = c.api.ContainerCreate(ctx, options)
	return c.failed("make the container "+options.Name, err)
}

// Start starts the container, a new one if the Spec has changed.
func (c *containers) Start(ctx context.Context, id string) error {
	unlock, err := c.exclusive(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	t, err := c.find(ctx, id)
	if err != nil {
		return err
	}
	if t.current != nil && runs(t.current) {
		if !c.asked(t.current) {
			return nil
		}
		// A stop that its platform did not see the end of. Whether the signal was sent
		// nobody knows, so it is finished first.
		if err := c.end(ctx, t.current.ID); err != nil {
			return err
		}
	}
	start := t.current
	if t.next != nil {
		if err := c.remove(ctx, t.current); err != nil {
			return err
		}
		start = t.next
		if err := c.rename(ctx, start.ID, c.name(id)); err != nil {
			return err
		}
	}
	if _, err := c.api.ContainerStart(ctx, start.ID, client.ContainerStartOptions{}); err != nil {
		return c.failed("start the container", err)
	}
	if t.next == nil && c.asked(start) {
		return c.rename(ctx, start.ID, c.name(id))
	}
	return nil
}

// Stop ends the container.
func (c *containers) Stop(ctx context.Context, id string) error {
	unlock, err := c.exclusive(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	t, err := c.find(ctx, id)
	if err != nil || t.current == nil {
		return err
	}
	return c.stop(ctx, id, t.current)
}

func (c *containers) stop(ctx context.Context, id string, one *container.Summary) error {
	if one.State == container.StateCreated {
		return nil
	}
	if !c.asked(one) {
		if err := c.rename(ctx, one.ID, c.name(id)+suffixStopped); err != nil {
			return err
		}
	}
	if !runs(one) {
		return nil
	}
	return c.end(ctx, one.ID)
}

// end returns when the process has ended: the engine waits as long as the container's
// own stop timeout says, then uses force.
func (c *containers) end(ctx context.Context, container string) error {
	_, err := c.api.ContainerStop(ctx, container, client.ContainerStopOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return c.failed("stop the container", err)
}

// Delete removes containers and volume.
func (c *containers) Delete(ctx context.Context, id string) error {
	unlock, err := c.exclusive(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	t, err := c.find(ctx, id)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	if t.current != nil {
		if err := c.stop(ctx, id, t.current); err != nil {
			return err
		}
	}
	if err := errors.Join(c.remove(ctx, t.current), c.remove(ctx, t.next)); err != nil {
		return err
	}
	return c.removeVolumes(ctx, id)
}

// List asks once for all.
func (c *containers) List(ctx context.Context) ([]driver.Status, error) {
	tenants, err := c.list(ctx, c.ours())
	if err != nil {
		return nil, err
	}
	all := make([]driver.Status, 0, len(tenants))
	for id, t := range tenants {
		all = append(all, c.summary(id, t))
	}
	return all, nil
}

// Logs of the container that runs or ran.
func (c *containers) Logs(ctx context.Context, id string, options driver.LogOptions) (io.ReadCloser, error) {
	if err := driver.CheckID(id); err != nil {
		return nil, err
	}
	t, err := c.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if t.current == nil {
		return plain(ctx), nil
	}
	raw, err := c.containerLogs(ctx, t.current.ID, options)
	if err != nil {
		return nil, err
	}
	return plain(ctx, raw), nil
}

func (c *containers) remove(ctx context.Context, one *container.Summary) error {
	if one == nil {
		return nil
	}
	_, err := c.api.ContainerRemove(ctx, one.ID, client.ContainerRemoveOptions{Force: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return c.failed("remove the container", err)
}

func (c *containers) rename(ctx context.Context, container, name string) error {
	_, err := c.api.ContainerRename(ctx, container, client.ContainerRenameOptions{NewName: name})
	if err != nil && ctx.Err() == nil {
		// The engine may carry out late what a caller before has cancelled, and refuses a name
		// that the container has.
		if found, again := c.api.ContainerInspect(ctx, container, client.ContainerInspectOptions{}); again == nil && found.Container.Name == "/"+name {
			return nil
		}
	}
	return c.failed("rename the container to "+name, err)
}
