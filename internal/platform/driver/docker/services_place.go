package docker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"

	"github.com/picobase/picobase/internal/platform/driver"
)

// bucketVariable in a tenant's environment says that it has a replica to be restored
// from when its volume is lost.
const bucketVariable = "PICOBASE_S3_BUCKET="

// lastNode is the node that has the tenant's volume, empty if none has.
func lastNode(tasks []swarm.Task, labels map[string]string) string {
	for _, task := range slices.Backward(tasks) {
		if task.NodeID != "" {
			return task.NodeID
		}
	}
	return labels[labelNode]
}

// place keeps a tenant on the node that has its volume. When that node is lost or may
// not run it any more, the tenant gets a new volume on a node of the Swarm's choice,
// and restores itself from its replica. The old volume is never used again: if its
// node came back, it would hold an old state.
func (s *services) place(change *swarm.ServiceSpec, id, node string, nodes nodes) error {
	task := &change.TaskTemplate
	if task.Placement == nil {
		task.Placement = &swarm.Placement{}
	}
	task.Placement.Constraints = slices.DeleteFunc(slices.Clone(task.Placement.Constraints), func(c string) bool {
		return strings.HasPrefix(c, pin) && !slices.Contains(s.cfg.Constraints, c)
	})
	if node != "" {
		if why := s.unusable(node, nodes, task.Placement.Constraints); why == "" {
			task.Placement.Constraints = append(task.Placement.Constraints, pin+node)
		} else {
			if !slices.ContainsFunc(task.ContainerSpec.Env, func(e string) bool { return strings.HasPrefix(e, bucketVariable) }) {
				return &driver.RetryError{After: engineAway, Err: fmt.Errorf(
					"docker: the data is on the node %s, which %s, and there is no bucket to restore it from: bring the node back", nodes.name(node), why)}
			}
			left, _ := strconv.Atoi(change.Labels[labelVolume]) // none yet
			change.Labels[labelVolume] = strconv.Itoa(left + 1)
			node = ""
		}
	}
	if change.Labels[labelNode] = node; node == "" {
		delete(change.Labels, labelNode)
	}
	for i := range task.ContainerSpec.Mounts {
		if m := &task.ContainerSpec.Mounts[i]; m.Type == mount.TypeVolume {
			m.Source = s.name(id)
			if left := change.Labels[labelVolume]; left != "" {
				m.Source += "-" + left
			}
		}
	}
	return nil
}

// pin is the constraint for one node, and nowhere the one for none.
const (
	pin     = "node.id=="
	nowhere = pin + "none"
)

// unusable says why the node cannot run the task.
func (s *services) unusable(id string, nodes nodes, constraints []string) string {
	node, ok := nodes[id]
	switch {
	case !ok:
		return "has left the Swarm"
	case node.Status.State != swarm.NodeStateReady:
		return "is " + string(node.Status.State)
	case node.Spec.Availability != swarm.NodeAvailabilityActive:
		return "is set to " + string(node.Spec.Availability)
	}
	prefix := s.regionConstraint("")
	for _, constraint := range constraints {
		if region, ok := strings.CutPrefix(constraint, prefix); ok && node.Spec.Labels[s.cfg.RegionLabel] != region {
			return "is not in the region " + region
		}
	}
	return ""
}
