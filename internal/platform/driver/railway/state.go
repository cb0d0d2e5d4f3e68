package railway

import (
	"fmt"
	"strings"

	"github.com/picobase/picobase/internal/platform/driver"
)

// unknownExit is the exit code: Railway tells nobody.
const unknownExit = -1

// status reads a tenant's state from its deployments: the latest one, and those
// that still run when the latest one has failed.
func (d *Driver) status(id string, instance *InstanceFields) driver.Status {
	status := driver.Status{ID: id, State: driver.Stopped, ExitCode: unknownExit}
	if latest := instance.LatestDeployment; latest != nil {
		status.State, status.Message = state(latest)
		status.Since = latest.CreatedAt
		if latest.StatusUpdatedAt != nil {
			status.Since = *latest.StatusUpdatedAt
		}
	}
	if status.State != driver.Running && status.State != driver.Starting {
		for i := range instance.ActiveDeployments {
			active := &instance.ActiveDeployments[i]
			if now, _ := state(active); now == driver.Running {
				status.State, status.Message = now, ""
			}
		}
	}
	if status.State == driver.Running || status.State == driver.Starting {
		status.URL = d.config.Address(serviceName(id))
	}
	return status
}

// state says what a deployment is, in the platform's words.
func state(deployment *DeploymentFields) (now driver.State, message string) {
	switch status := deployment.Status; status {
	case DeploymentStatusQueued, DeploymentStatusWaiting, DeploymentStatusInitializing, DeploymentStatusBuilding, DeploymentStatusDeploying:
		return driver.Starting, ""
	case DeploymentStatusNeedsApproval:
		return driver.Starting, "the deployment waits for an approval in Railway's dashboard"
	case DeploymentStatusSuccess:
		if deployment.DeploymentStopped {
			return driver.Crashed, "the process ended by itself; its logs say why"
		}
		return driver.Running, ""
	case DeploymentStatusSleeping:
		return driver.Stopped, "Railway has put it to sleep"
	case DeploymentStatusRemoving:
		return driver.Stopping, ""
	case DeploymentStatusRemoved, DeploymentStatusSkipped:
		return driver.Stopped, ""
	case DeploymentStatusFailed:
		return driver.Crashed, "the deployment failed; Railway's dashboard and its logs say why"
	case DeploymentStatusCrashed:
		return driver.Crashed, "the process ended with an error; its logs say which"
	default: // newer than this driver
		return driver.Starting, fmt.Sprintf("Railway says %s", strings.ToLower(string(status)))
	}
}
