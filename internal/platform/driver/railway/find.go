package railway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
)

// pageSize is how many services or volumes one request lists.
const pageSize = 100

// known is what the driver remembers of a tenant, to ask for one service instead
// of listing all.
type known struct {
	serviceID string

	// changes counts what the driver did to it: an answer to a question from before
	// is not kept.
	changes int

	status driver.Status
	at     time.Time // of the status; zero is none
}

// List implements driver.Driver, with one request for every hundred services.
func (d *Driver) List(ctx context.Context) ([]driver.Status, error) {
	instances, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	statuses := make([]driver.Status, 0, len(instances))
	for id, instance := range instances {
		statuses = append(statuses, d.status(id, instance))
	}
	return statuses, nil
}

// Status implements driver.Driver. An answer is believed for Config.Poll, so that
// who waits for a tenant does not use up the rate limit.
func (d *Driver) Status(ctx context.Context, id string) (driver.Status, error) {
	if err := driver.CheckID(id); err != nil {
		return driver.Status{}, err
	}
	before := d.recall(id)
	if !before.at.IsZero() && time.Since(before.at) < d.config.Poll {
		return before.status, ctx.Err()
	}
	instance, err := d.find(ctx, id)
	if err != nil {
		return driver.Status{}, err
	}
	status := d.status(id, instance)
	if latest := instance.LatestDeployment; latest != nil && latest.Status == DeploymentStatusFailed && status.State == driver.Crashed {
		status.Message = d.whyFailed(ctx, latest.Id, status.Message)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.known[id]; ok && k.changes == before.changes {
		k.status, k.at = status, time.Now()
		d.known[id] = k
	}
	return status, nil
}

// whyFailed adds the error of the step that failed, such as an image that cannot be pulled.
func (d *Driver) whyFailed(ctx context.Context, deploymentID, message string) string {
	events, err := listEvents(ctx, d.api, deploymentID, 10)
	if err != nil {
		return message // it is only an explanation
	}
	for _, edge := range events.DeploymentEvents.Edges {
		if payload := edge.Node.Payload; payload != nil && payload.Error != nil && *payload.Error != "" {
			message = fmt.Sprintf("the deployment failed at %s: %s", strings.ToLower(string(edge.Node.Step)), *payload.Error)
		}
	}
	return message
}

// find returns the service of one tenant, or ErrNotFound.
func (d *Driver) find(ctx context.Context, id string) (*InstanceFields, error) {
	if serviceID := d.recall(id).serviceID; serviceID != "" {
		answer, err := getInstance(ctx, d.api, d.config.EnvironmentID, serviceID)
		switch {
		case err == nil && answer.ServiceInstance.DeletedAt == nil:
			return &answer.ServiceInstance, nil
		case err == nil, errors.Is(err, errMissing):
		case errors.Is(err, errUnauthorized):
			// Railway says so of what was deleted, too. The list tells.
		default:
			return nil, err
		}
		d.forget(id)
	}
	instances, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	if instance := instances[id]; instance != nil {
		return instance, nil
	}
	return nil, fmt.Errorf("railway: %w: %s", driver.ErrNotFound, id)
}

// list returns the services of all tenants, by tenant's id.
func (d *Driver) list(ctx context.Context) (map[string]*InstanceFields, error) {
	instances := map[string]*InstanceFields{}
	for after := (*string)(nil); ; {
		answer, err := listInstances(ctx, d.api, d.config.ProjectID, d.config.EnvironmentID, pageSize, after)
		if err != nil {
			return nil, d.explain(err)
		}
		page := answer.Environment.ServiceInstances
		for _, edge := range page.Edges {
			instance := edge.Node
			id, ours := strings.CutPrefix(instance.ServiceName, prefix)
			if ours && driver.CheckID(id) == nil && instance.DeletedAt == nil {
				instances[id] = &instance
			}
		}
		if !page.PageInfo.HasNextPage || page.PageInfo.EndCursor == nil {
			break
		}
		after = page.PageInfo.EndCursor
	}
	for id, instance := range instances {
		d.remember(id, instance.ServiceId)
	}
	return instances, nil
}

// volumes returns the volumes of a service, as a rule one.
func (d *Driver) volumes(ctx context.Context, serviceID string) (found []volume, err error) {
	for after := (*string)(nil); ; {
		answer, err := listVolumes(ctx, d.api, d.config.ProjectID, d.config.EnvironmentID, pageSize, after)
		if err != nil {
			return nil, d.explain(err)
		}
		page := answer.Environment.VolumeInstances
		for _, edge := range page.Edges {
			v := edge.Node
			if v.ServiceId != nil && *v.ServiceId == serviceID && v.DeletedAt == nil && !v.IsPendingDeletion {
				found = append(found, volume{id: v.Volume.Id, name: v.Volume.Name})
			}
		}
		if !page.PageInfo.HasNextPage || page.PageInfo.EndCursor == nil {
			return found, nil
		}
		after = page.PageInfo.EndCursor
	}
}

type volume struct{ id, name string }

// explain says what is missing when it is the environment itself.
func (d *Driver) explain(err error) error {
	if errors.Is(err, errMissing) {
		return fmt.Errorf("%w: check PICOBASE_RAILWAY_PROJECT_ID (%s) and PICOBASE_RAILWAY_ENVIRONMENT_ID (%s)",
			err, d.config.ProjectID, d.config.EnvironmentID)
	}
	return err
}

func (d *Driver) recall(id string) known {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[id]
}

func (d *Driver) remember(id, serviceID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.known[id]; k.serviceID != serviceID {
		d.known[id] = known{serviceID: serviceID, changes: k.changes}
	}
}

// changed forgets the status, since the driver is about to change it or just has.
func (d *Driver) changed(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.known[id]; ok {
		k.changes++
		k.status, k.at = driver.Status{}, time.Time{}
		d.known[id] = k
	}
}

func (d *Driver) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, id)
}
