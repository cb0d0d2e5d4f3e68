package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/api/types/swarm"

	"github.com/picobase/picobase/internal/platform/driver"
)

// wipeArgs is the command of the image that empties the volume.
var wipeArgs = []string{"wipe", "--dir", dataPath, "--yes"}

// wipe empties the volume of a stopped tenant on another node, where only a task can
// reach it: the empty volume stays. What is on a lost node stays as it is.
func (s *services) wipe(ctx context.Context, id string) error {
	service, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	node := service.Spec.Labels[labelNode]
	if node == "" || node == s.node || nodes.lost(node) {
		return nil
	}
	err = s.update(ctx, id, "empty the volume", func(change *swarm.ServiceSpec) error {
		one := uint64(1)
		change.Mode.Replicated.Replicas = &one
		change.EndpointSpec = nil
		task := &change.TaskTemplate
		task.ForceUpdate++
		task.Networks = nil
		task.Placement = &swarm.Placement{Constraints: []string{pin + node}}
		task.ContainerSpec.Args, task.ContainerSpec.Env, task.ContainerSpec.Secrets = wipeArgs, nil, nil
		return nil
	})
	if err != nil {
		return err
	}
	for {
		if service, err = s.find(ctx, id); err != nil {
			return err
		}
		tasks, err := s.tasks(ctx, service)
		if err != nil {
			return err
		}
		if nodes, err = s.nodes(ctx); err != nil {
			return err
		}
		task := newest(service, tasks)
		switch {
		case nodes.lost(node):
			return s.rest(ctx, id, nil)
		case task == nil || !terminal(task.Status.State):
			if err := pause(ctx); err != nil {
				return s.failed("wait for the volume to be emptied", err)
			}
		case task.Status.State != swarm.TaskStateComplete:
			return &driver.RetryError{After: engineAway, Err: fmt.Errorf(
				"docker: the volume on the node %s could not be emptied: %s", nodes.name(node), task.Status.Err)}
		default:
			return s.rest(ctx, id, task)
		}
	}
}
