package docker

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
)

// nodes of the Swarm by their ids.
type nodes map[string]swarm.Node

func (s *services) nodes(ctx context.Context) (nodes, error) {
	found, err := s.api.NodeList(ctx, client.NodeListOptions{})
	if err != nil {
		return nil, s.failed("list nodes", err)
	}
	all := nodes{}
	for _, node := range found.Items {
		all[node.ID] = node
	}
	return all, nil
}

// lost reports whether the node is gone: nothing on it counts any more.
func (n nodes) lost(id string) bool {
	node, ok := n[id]
	return !ok || node.Status.State == swarm.NodeStateDown
}

func (n nodes) name(id string) string {
	return cmp.Or(n[id].Description.Hostname, id)
}

// terminal states are never left.
func terminal(state swarm.TaskState) bool {
	switch state {
	case swarm.TaskStateComplete, swarm.TaskStateShutdown, swarm.TaskStateFailed, swarm.TaskStateRejected, swarm.TaskStateOrphaned:
		return true
	}
	return false
}

// over reports whether no process of the task can be there: none has been, or it has
// ended, or its node is lost, which never tells.
func over(task swarm.Task, nodes nodes) bool {
	return task.NodeID == "" || terminal(task.Status.State) || nodes.lost(task.NodeID)
}

// dead are the states that a task is told to end in.
func dead(desired swarm.TaskState) bool {
	return desired == swarm.TaskStateRemove || terminal(desired)
}

// run is the number of the service's present run, or of the one that is asked to end.
// It is in every task's Spec: each start makes a new one.
func run(service swarm.Service) uint64 {
	if stopping, err := strconv.ParseUint(service.Spec.Labels[labelStopping], 10, 64); err == nil {
		return stopping
	}
	return service.Spec.TaskTemplate.ForceUpdate
}

// newest is the task of the run, nil before it is made.
func newest(service swarm.Service, tasks []swarm.Task) *swarm.Task {
	var found *swarm.Task
	for i, task := range tasks {
		if task.Spec.ForceUpdate == run(service) && (found == nil || task.CreatedAt.After(found.CreatedAt)) {
			found = &tasks[i]
		}
	}
	return found
}

func taskExit(task swarm.Task) int {
	if task.Status.ContainerStatus == nil || task.Status.State == swarm.TaskStateRejected || task.Status.State == swarm.TaskStateOrphaned {
		return -1
	}
	return exitCode(task.Status.ContainerStatus.ExitCode)
}

// summary is the status as services, tasks and nodes tell it.
func (s *services) summary(service swarm.Service, tasks []swarm.Task, nodes nodes) driver.Status {
	labels := service.Spec.Labels
	status := driver.Status{ID: labels[labelProject], State: driver.Stopped, ExitCode: -1, Since: service.UpdatedAt}
	if replicas(service) == 0 {
		if code, err := strconv.Atoi(labels[labelExit]); err == nil {
			status.ExitCode = code
		}
		if at, err := time.Parse(time.RFC3339, labels[labelSince]); err == nil {
			status.Since = at
		}
		for _, task := range tasks {
			if !over(task, nodes) {
				status.State = driver.Stopping
			}
		}
		return status
	}
	if labels[labelStopping] != "" {
		status.State = driver.Stopping
		return status
	}
	task := newest(service, tasks)
	if task == nil {
		status.State, status.URL = driver.Starting, s.url(status.ID, nil, nodes)
		return status
	}
	status.Since = task.Status.Timestamp
	switch state := task.Status.State; {
	case terminal(state):
		status.State, status.ExitCode = driver.Crashed, taskExit(*task)
		status.Message = cmp.Or(task.Status.Err, task.Status.Message, string(state))
	case task.NodeID != "" && nodes.lost(task.NodeID):
		status.State = driver.Crashed
		status.Message = fmt.Sprintf("its node %s is lost", nodes.name(task.NodeID))
	case dead(task.DesiredState):
		status.State = driver.Stopping
		status.Message = fmt.Sprintf("the Swarm ends it, as it does when the node %s is drained", nodes.name(task.NodeID))
	case state == swarm.TaskStateRunning:
		status.State, status.URL = driver.Running, s.url(status.ID, task, nodes)
	default:
		status.State, status.URL = driver.Starting, s.url(status.ID, task, nodes)
		status.Message = task.Status.Err // no suitable node, and why
	}
	return status
}

// url of a running tenant. A published port is known when the task runs.
func (s *services) url(id string, task *swarm.Task, nodes nodes) string {
	if !s.cfg.Publish {
		return s.address(id)
	}
	if task == nil {
		return ""
	}
	host := "127.0.0.1"
	if task.NodeID != s.node {
		host = nodes[task.NodeID].Status.Addr
	}
	for _, port := range task.Status.PortStatus.Ports {
		if port.TargetPort == uint32(s.cfg.Port) && port.PublishedPort != 0 && host != "" {
			return fmt.Sprintf("http://%s:%d", host, port.PublishedPort)
		}
	}
	return ""
}
