package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
)

// Labels that a service has beside those of all. A Swarm forgets tasks in time, and the
// driver all when the platform ends.
const (
	labelNext     = "picobase.next"     // what the next start runs: a nextRun as JSON
	labelExit     = "picobase.exit"     // the exit code of the last task
	labelSince    = "picobase.since"    // when it ended
	labelStopping = "picobase.stopping" // the run that is asked to end
	labelNode     = "picobase.node"     // the node that has the volume
	labelVolume   = "picobase.volume"   // how many volumes were left behind on lost nodes
)

const (
	// updates is how often to try an update that another one overtook.
	updates = 5

	// removal is far longer than a Swarm takes to remove a task that has ended.
	removal = 15 * time.Second
)

// services is the driver of a Swarm. Replicas tell what was asked for: a service with
// one that has no task running has crashed.
type services struct {
	*engine
	node string // the engine's own
}

// nextRun is what a change of the Spec changes at the next start: in the service
// itself it would end the task that runs.
type nextRun struct {
	Task     swarm.TaskSpec
	Endpoint *swarm.EndpointSpec
}

// Create makes the service.
func (s *services) Create(ctx context.Context, spec driver.Spec) error {
	unlock, err := s.exclusive(ctx, spec.ID)
	if err != nil {
		return err
	}
	defer unlock()
	task, hidden, err := s.template(spec)
	if err != nil {
		return err
	}
	service := s.service(spec, task)
	hash, err := fingerprint(service)
	if err != nil {
		return err
	}
	service.Labels[labelSpec] = hash
	found, err := s.find(ctx, spec.ID)
	exists := err == nil
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	if exists && found.Spec.Labels[labelSpec] == hash {
		return nil
	}
	if err := s.ensureSecrets(ctx, spec.ID, &task, hidden); err != nil {
		return err
	}
	if !exists {
		service.TaskTemplate = task
		_, err := s.api.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: service})
		return s.failed("make the service", err)
	}
	next, err := json.Marshal(nextRun{task, service.EndpointSpec})
	if err != nil {
		return err
	}
	err = s.update(ctx, spec.ID, "change the service", func(change *swarm.ServiceSpec) error {
		change.Labels[labelNext], change.Labels[labelSpec], change.Labels[labelName] = string(next), hash, spec.Name
		return nil
	})
	if err != nil {
		return err
	}
	return s.removeSecrets(ctx, spec.ID, &task, &found.Spec.TaskTemplate)
}

// Start scales the service to 1.
func (s *services) Start(ctx context.Context, id string) error {
	unlock, err := s.exclusive(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	service, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	tasks, err := s.tasks(ctx, service)
	if err != nil {
		return err
	}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	if replicas(service) > 0 {
		switch s.summary(service, tasks, nodes).State {
		case driver.Starting, driver.Running:
			return nil
		}
	}
	// Two processes on one volume would be the end of it, so a stop that was lost is
	// finished first.
	if service.Spec.Labels[labelStopping] != "" {
		if err := s.stop(ctx, service); err != nil {
			return err
		}
	} else if _, err := s.ended(ctx, service, nodes); err != nil {
		return err
	}
	var task swarm.TaskSpec
	err = s.update(ctx, id, "start the service", func(change *swarm.ServiceSpec) error {
		count := change.TaskTemplate.ForceUpdate + 1
		if next := change.Labels[labelNext]; next != "" {
			var then nextRun
			if err := json.Unmarshal([]byte(next), &then); err != nil {
				return fmt.Errorf("docker: label %s of the service: %w", labelNext, err)
			}
			change.TaskTemplate, change.EndpointSpec = then.Task, then.Endpoint
		}
		change.TaskTemplate.ForceUpdate = count // which tells this run's tasks from those before
		if err := s.place(change, id, lastNode(tasks, change.Labels), nodes); err != nil {
			return err
		}
		delete(change.Labels, labelNext)
		delete(change.Labels, labelExit)
		delete(change.Labels, labelSince)
		one := uint64(1)
		change.Mode.Replicated.Replicas = &one
		task = change.TaskTemplate
		return nil
	})
	if err != nil || service.Spec.Labels[labelNext] == "" {
		return err
	}
	return s.removeSecrets(ctx, id, &task)
}

// Stop ends the task and scales the service to 0.
func (s *services) Stop(ctx context.Context, id string) error {
	unlock, err := s.exclusive(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	service, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	return s.stop(ctx, service)
}

// stop takes two steps. Scaled to 0 at once, the Swarm would forget the task as it
// ends, and its exit code with it. So the task is replaced first, by one that no node
// may run: one that was replaced is remembered.
func (s *services) stop(ctx context.Context, service swarm.Service) error {
	id := service.Spec.Labels[labelProject]
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	if replicas(service) == 0 {
		_, err := s.ended(ctx, service, nodes) // all but always at once
		return err
	}
	tasks, err := s.tasks(ctx, service)
	if err != nil {
		return err
	}
	last := newest(service, tasks)
	switch {
	case service.Spec.Labels[labelStopping] != "": // a stop that its platform did not see the end of
	case last != nil && last.NodeID != "" && over(*last, nodes):
		return s.rest(ctx, id, last)
	default:
		node := lastNode(tasks, service.Spec.Labels)
		err := s.update(ctx, id, "end the task", func(change *swarm.ServiceSpec) error {
			change.Labels[labelNode], change.Labels[labelStopping] = node, strconv.FormatUint(change.TaskTemplate.ForceUpdate, 10)
			change.TaskTemplate.ForceUpdate++
			change.TaskTemplate.Placement.Constraints = append(change.TaskTemplate.Placement.Constraints, nowhere)
			return nil
		})
		if err != nil {
			return err
		}
		if service, err = s.find(ctx, id); err != nil {
			return err
		}
	}
	if last, err = s.ended(ctx, service, nodes); err != nil {
		return err
	}
	return s.rest(ctx, id, last)
}

// rest scales the service to 0 and keeps how its last task has ended, if it has one.
func (s *services) rest(ctx context.Context, id string, last *swarm.Task) error {
	return s.update(ctx, id, "scale the service to 0", func(change *swarm.ServiceSpec) error {
		none := uint64(0)
		change.Mode.Replicated.Replicas = &none
		delete(change.Labels, labelStopping)
		placement := change.TaskTemplate.Placement
		placement.Constraints = slices.DeleteFunc(placement.Constraints, func(c string) bool { return c == nowhere })
		if last != nil {
			change.Labels[labelNode] = last.NodeID
			change.Labels[labelExit] = strconv.Itoa(taskExit(*last))
			change.Labels[labelSince] = last.Status.Timestamp.UTC().Format(time.RFC3339)
		}
		return nil
	})
}

// ended waits until no task of the run that is stopped can have a process, and returns
// its last one, nil if the Swarm does not remember it.
func (s *services) ended(ctx context.Context, service swarm.Service, nodes nodes) (*swarm.Task, error) {
	for {
		tasks, err := s.tasks(ctx, service)
		if err != nil {
			return nil, err
		}
		tasks = slices.DeleteFunc(tasks, func(t swarm.Task) bool { return t.Spec.ForceUpdate > run(service) })
		if !slices.ContainsFunc(tasks, func(t swarm.Task) bool { return !over(t, nodes) }) {
			return newest(service, tasks), nil
		}
		if err := pause(ctx); err != nil {
			return nil, s.failed("wait for the task to end", err)
		}
	}
}

// Delete removes service, secrets and the volume; on another node it empties it.
func (s *services) Delete(ctx context.Context, id string) error {
	unlock, err := s.exclusive(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	service, err := s.find(ctx, id)
	if err == nil {
		if err := s.stop(ctx, service); err != nil {
			return err
		}
		if err := s.wipe(ctx, id); err != nil {
			return err
		}
		if err := s.forgotten(ctx, service); err != nil {
			return err
		}
		_, err = s.api.ServiceRemove(ctx, service.ID, client.ServiceRemoveOptions{})
		if err != nil && !errdefs.IsNotFound(err) {
			return s.failed("remove the service", err)
		}
	} else if !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	if err := s.removeSecrets(ctx, id); err != nil {
		return err
	}
	for { // the node's own agent removes the container, which holds the volume
		err := s.removeVolumes(ctx, id)
		if !errors.Is(err, driver.ErrBusy) {
			return err
		}
		if pause(ctx) != nil {
			return err
		}
	}
}

// forgotten waits until the Swarm has removed the tasks that it is about to remove, but
// those on lost nodes. A manager of Docker 20.10 ends with a panic when a service is
// removed at the moment that one of its tasks is (SetServiceTasksRemove in swarmkit).
// What has not gone in a while is not about to.
func (s *services) forgotten(ctx context.Context, service swarm.Service) error {
	for began := time.Now(); time.Since(began) < removal; {
		nodes, err := s.nodes(ctx)
		if err != nil {
			return err
		}
		tasks, err := s.tasks(ctx, service)
		if err != nil {
			return err
		}
		going := func(t swarm.Task) bool {
			if t.NodeID == "" {
				return t.DesiredState == swarm.TaskStateRemove || !dead(t.DesiredState)
			}
			return t.DesiredState == swarm.TaskStateRemove && !nodes.lost(t.NodeID)
		}
		if !slices.ContainsFunc(tasks, going) {
			return nil
		}
		if err := pause(ctx); err != nil {
			return s.failed("wait for the tasks to be forgotten", err)
		}
	}
	return nil
}

// Status of one tenant.
func (s *services) Status(ctx context.Context, id string) (driver.Status, error) {
	if err := driver.CheckID(id); err != nil {
		return driver.Status{}, err
	}
	service, err := s.find(ctx, id)
	if err != nil {
		return driver.Status{}, err
	}
	tasks, err := s.tasks(ctx, service)
	if err != nil {
		return driver.Status{}, err
	}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return driver.Status{}, err
	}
	status := s.summary(service, tasks, nodes)
	if status.State == driver.Crashed {
		if last := newest(service, tasks); last != nil && last.Status.ContainerStatus != nil {
			if raw, err := s.taskLogs(ctx, last.ID, driver.LogOptions{Tail: crashLines}); err == nil {
				status.Message += lastLines(plain(ctx, raw))
			}
		}
	}
	return status, nil
}

// List asks for all services, tasks and nodes.
func (s *services) List(ctx context.Context) ([]driver.Status, error) {
	found, err := s.api.ServiceList(ctx, client.ServiceListOptions{Filters: s.ours()})
	if err != nil {
		return nil, s.failed("list services", err)
	}
	tasks, err := s.api.TaskList(ctx, client.TaskListOptions{Filters: s.ours()})
	if err != nil {
		return nil, s.failed("list tasks", err)
	}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string][]swarm.Task{}
	for _, task := range tasks.Items {
		of[task.ServiceID] = append(of[task.ServiceID], task)
	}
	all := make([]driver.Status, 0, len(found.Items))
	for _, service := range found.Items {
		if driver.CheckID(service.Spec.Labels[labelProject]) == nil {
			all = append(all, s.summary(service, of[service.ID], nodes))
		}
	}
	return all, nil
}

// Logs of the last task. The Swarm keeps some of each service: see its task history limit.
func (s *services) Logs(ctx context.Context, id string, options driver.LogOptions) (io.ReadCloser, error) {
	if err := driver.CheckID(id); err != nil {
		return nil, err
	}
	service, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	tasks, err := s.tasks(ctx, service)
	if err != nil {
		return nil, err
	}
	tasks = slices.DeleteFunc(tasks, func(t swarm.Task) bool { return t.Status.ContainerStatus == nil })
	if len(tasks) == 0 {
		return plain(ctx), nil
	}
	raw, err := s.taskLogs(ctx, tasks[len(tasks)-1].ID, options)
	if err != nil {
		return nil, err
	}
	return plain(ctx, raw), nil
}

func (s *services) taskLogs(ctx context.Context, task string, options driver.LogOptions) (io.ReadCloser, error) {
	raw, err := s.api.TaskLogs(ctx, task, client.TaskLogsOptions{
		ShowStdout: true, ShowStderr: true, Follow: options.Follow, Tail: tail(options),
	})
	return raw, s.failed("read the logs", err)
}

func (s *services) find(ctx context.Context, id string) (swarm.Service, error) {
	found, err := s.api.ServiceInspect(ctx, s.name(id), client.ServiceInspectOptions{})
	switch labels := found.Service.Spec.Labels; {
	case errdefs.IsNotFound(err):
		return swarm.Service{}, fmt.Errorf("docker: %s: %w", id, driver.ErrNotFound)
	case err != nil:
		return swarm.Service{}, s.failed("inspect the service", err)
	case labels[labelPlatform] != s.cfg.Platform || labels[labelProject] != id || found.Service.Spec.Mode.Replicated == nil:
		return swarm.Service{}, fmt.Errorf("docker: the service %s is not this platform's: remove it, or give the platform another name", s.name(id))
	}
	return found.Service, nil
}

// update changes the service as it is now.
func (s *services) update(ctx context.Context, id, what string, change func(*swarm.ServiceSpec) error) error {
	for try := 1; ; try++ {
		service, err := s.find(ctx, id)
		if err != nil {
			return err
		}
		if err := change(&service.Spec); err != nil {
			return err
		}
		_, err = s.api.ServiceUpdate(ctx, service.ID, client.ServiceUpdateOptions{Version: service.Version, Spec: service.Spec})
		if err == nil || try == updates || !strings.Contains(err.Error(), "out of sequence") {
			return s.failed(what, err)
		}
	}
}

// tasks of a service, oldest first.
func (s *services) tasks(ctx context.Context, service swarm.Service) ([]swarm.Task, error) {
	found, err := s.api.TaskList(ctx, client.TaskListOptions{Filters: client.Filters{}.Add("service", service.ID)})
	if err != nil {
		return nil, s.failed("list tasks", err)
	}
	slices.SortFunc(found.Items, func(a, b swarm.Task) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return found.Items, nil
}

func replicas(service swarm.Service) uint64 {
	if count := service.Spec.Mode.Replicated.Replicas; count != nil {
		return *count
	}
	return 0
}
