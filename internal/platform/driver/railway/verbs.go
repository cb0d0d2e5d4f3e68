package railway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
)

// Start implements driver.Driver with a new deployment, which wakes a service that
// Railway has put to sleep, too.
func (d *Driver) Start(ctx context.Context, id string) error {
	release, instance, err := d.take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	defer d.changed(id)
	switch d.status(id, instance).State {
	case driver.Running, driver.Starting:
		return nil
	case driver.Stopping:
		return &driver.RetryError{After: d.config.Poll, Err: fmt.Errorf("railway: %s is still stopping", id)}
	}
	_, err = deploy(ctx, d.api, d.config.EnvironmentID, instance.ServiceId, d.config.Image, d.config.StartCommand)
	return err
}

// Stop implements driver.Driver. Railway sends SIGTERM, and kills the tenant after
// Config.Drain. A Stop that ended early is finished by Railway, and waited for by
// the next one.
func (d *Driver) Stop(ctx context.Context, id string) error {
	release, instance, err := d.take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	defer d.changed(id)
	return d.end(ctx, id, instance)
}

// Delete implements driver.Driver. The tenant is stopped first, so that it can sync
// its last write: its replica may outlive it. The service is deleted last, since
// its volume is found by it.
func (d *Driver) Delete(ctx context.Context, id string) error {
	release, instance, err := d.take(ctx, id)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	defer release()
	defer d.changed(id)
	if err := d.end(ctx, id, instance); err != nil {
		return err
	}
	volumes, err := d.volumes(ctx, instance.ServiceId)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if _, err := deleteVolume(ctx, d.api, v.id); err != nil && !errors.Is(err, errMissing) {
			return err
		}
	}
	if _, err := deleteService(ctx, d.api, d.config.EnvironmentID, instance.ServiceId); err != nil && !errors.Is(err, errMissing) {
		return err
	}
	d.forget(id)
	return nil
}

// take waits for the turn with a tenant and looks at it.
func (d *Driver) take(ctx context.Context, id string) (release func(), instance *InstanceFields, err error) {
	if err := driver.CheckID(id); err != nil {
		return nil, nil, err
	}
	if release, err = d.locks.acquire(ctx, id); err != nil {
		return nil, nil, err
	}
	if instance, err = d.find(ctx, id); err != nil {
		release()
		return nil, nil, err
	}
	return release, instance, nil
}

// grace is what Railway may take to end a tenant after it was asked to, beyond Config.Drain.
const grace = 2 * time.Minute

// end removes all deployments that run or will, and returns when they are gone.
func (d *Driver) end(ctx context.Context, id string, instance *InstanceFields) error {
	asked := map[string]bool{}
	deadline := time.Now().Add(d.config.Drain + grace)
	for {
		waiting := false
		for _, deployment := range deployments(instance) {
			if !alive(deployment) {
				continue
			}
			waiting = true
			if deployment.Status == DeploymentStatusRemoving || asked[deployment.Id] {
				continue
			}
			d.changed(id)
			if err := d.remove(ctx, deployment); err != nil {
				return err
			}
			asked[deployment.Id] = true
		}
		if !waiting {
			return nil
		}
		if time.Now().After(deadline) {
			return &driver.RetryError{After: later, Err: fmt.Errorf("railway: %s has not ended %v after it was asked to", id, d.config.Drain+grace)}
		}
		if err := sleep(ctx, d.config.Poll); err != nil {
			return fmt.Errorf("railway: wait for the end of %s: %w", id, err)
		}
		answer, err := getInstance(ctx, d.api, d.config.EnvironmentID, instance.ServiceId)
		if errors.Is(err, errMissing) {
			return nil
		} else if err != nil {
			return err
		}
		instance = &answer.ServiceInstance
	}
}

// deployments are the latest one and those before it that still run, each once.
func deployments(instance *InstanceFields) (found []*DeploymentFields) {
	seen := map[string]bool{}
	if instance.LatestDeployment != nil {
		found = append(found, instance.LatestDeployment)
		seen[instance.LatestDeployment.Id] = true
	}
	for i := range instance.ActiveDeployments {
		if active := &instance.ActiveDeployments[i]; !seen[active.Id] {
			found = append(found, active)
			seen[active.Id] = true
		}
	}
	return found
}

// alive reports whether there is something to end: a process, or one to come. A
// deployment that sleeps, or whose process has ended while it was ready, is
// removed as well, since Railway would start it again for traffic.
func alive(deployment *DeploymentFields) bool {
	switch deployment.Status {
	case DeploymentStatusRemoved, DeploymentStatusSkipped, DeploymentStatusFailed, DeploymentStatusCrashed:
		return false
	}
	return true
}

// remove ends one deployment: one that is placed by now is removed, one that is not
// is cancelled. Railway may have got further than we know, so the other is tried too.
func (d *Driver) remove(ctx context.Context, deployment *DeploymentFields) error {
	byRemoving := func() error {
		_, err := removeDeployment(ctx, d.api, deployment.Id)
		return err
	}
	byCancelling := func() error {
		_, err := cancelDeployment(ctx, d.api, deployment.Id)
		return err
	}
	first, second := byRemoving, byCancelling
	switch deployment.Status {
	case DeploymentStatusQueued, DeploymentStatusWaiting, DeploymentStatusInitializing, DeploymentStatusBuilding, DeploymentStatusNeedsApproval:
		first, second = byCancelling, byRemoving
	}
	err := first()
	if refused(err) {
		if err2 := second(); err2 == nil || errors.Is(err2, errMissing) {
			return nil
		}
	}
	if errors.Is(err, errMissing) {
		return nil
	}
	return err
}

// refused reports whether Railway understood and would not.
func refused(err error) bool {
	return err != nil && !errors.Is(err, driver.ErrBusy) && !errors.Is(err, errMissing) && !errors.Is(err, errUnauthorized) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
