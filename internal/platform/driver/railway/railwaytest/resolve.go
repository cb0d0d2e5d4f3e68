package railwaytest

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// refusal is a message of Railway's, in its words as far as they are known.
type refusal string

func (r refusal) Error() string { return string(r) }

// It says "Not Authorized" of things that are not there, too.
const (
	errServiceMissing    = refusal("ServiceInstance not found")
	errDeploymentMissing = refusal("Deployment not found")
	errNotAuthorized     = refusal("Not Authorized")
)

func text(value any) string {
	t, _ := value.(string)
	return t
}

func (s *Server) queries() map[string]resolver {
	return map[string]resolver{
		"environment": func(a map[string]any) (any, error) {
			if text(a["id"]) != EnvironmentID || text(a["projectId"]) != ProjectID {
				return nil, refusal("Environment not found")
			}
			var instances, volumes []object
			var instanceIDs, volumeIDs []string
			for _, of := range s.model.sortedServices() {
				instances, instanceIDs = append(instances, s.instanceObject(of)), append(instanceIDs, of.id)
			}
			for _, id := range sortedKeys(s.model.volumes) {
				volumes, volumeIDs = append(volumes, s.model.volumes[id].instanceObject()), append(volumeIDs, id)
			}
			return object{
				"serviceInstances": s.connection(instances, instanceIDs), "volumeInstances": s.connection(volumes, volumeIDs),
			}, nil
		},
		"serviceInstance": func(a map[string]any) (any, error) {
			of, err := s.serviceFor(a)
			if err != nil {
				return nil, err
			}
			return s.instanceObject(of), nil
		},
		"deployments": func(a map[string]any) (any, error) {
			input, _ := a["input"].(map[string]any)
			of, err := s.serviceFor(input)
			if err != nil {
				return nil, err
			}
			var nodes []object
			var ids []string
			for _, run := range slices.Backward(of.runs) {
				if includeDeleted, _ := input["includeDeleted"].(bool); includeDeleted || run.status != removed {
					nodes, ids = append(nodes, run.object()), append(ids, run.id)
				}
			}
			return s.connection(nodes, ids)(a)
		},
		"deploymentLogs": func(a map[string]any) (any, error) {
			run := s.model.deployments[text(a["deploymentId"])]
			if run == nil {
				return nil, errDeploymentMissing
			}
			limit, ok := number(a["limit"])
			if !ok {
				limit = 100
			}
			if limit > 5000 {
				return nil, refusal("limit must not be more than 5000")
			}
			since, _ := time.Parse(time.RFC3339Nano, text(a["startDate"])) // zero without one
			lines := []object{}
			for _, line := range run.logs {
				if !line.at.Before(since) {
					lines = append(lines, line.object())
				}
			}
			return lines[max(0, len(lines)-limit):], nil
		},
		"deploymentEvents": func(a map[string]any) (any, error) {
			run := s.model.deployments[text(a["id"])]
			if run == nil {
				return nil, errDeploymentMissing
			}
			var events []object
			var ids []string
			for i, event := range run.events {
				events, ids = append(events, event), append(ids, fmt.Sprint(i))
			}
			return s.connection(events, ids)(a)
		},
	}
}

func (s *Server) mutations() map[string]resolver {
	return map[string]resolver{
		"serviceCreate":               s.serviceCreate,
		"serviceDelete":               s.serviceDelete,
		"serviceInstanceUpdate":       s.serviceInstanceUpdate,
		"serviceInstanceLimitsUpdate": s.serviceInstanceLimitsUpdate,
		"serviceInstanceDeployV2":     s.serviceInstanceDeploy,
		"variableCollectionUpsert":    s.variableCollectionUpsert,
		"volumeCreate":                s.volumeCreate,
		"volumeUpdate":                s.volumeUpdate,
		"volumeDelete":                s.volumeDelete,
		"deploymentRemove":            s.deploymentRemove,
		"deploymentCancel":            s.deploymentCancel,
	}
}

// serviceFor finds the service that arguments or an input name.
func (s *Server) serviceFor(a map[string]any) (*service, error) {
	if environment := text(a["environmentId"]); environment != EnvironmentID {
		return nil, errNotAuthorized
	}
	of := s.model.services[text(a["serviceId"])]
	if of == nil {
		return nil, errServiceMissing
	}
	return of, nil
}

func (s *Server) serviceCreate(a map[string]any) (any, error) {
	input, _ := a["input"].(map[string]any)
	if text(input["projectId"]) != ProjectID || text(input["environmentId"]) != EnvironmentID {
		return nil, errNotAuthorized
	}
	name := text(input["name"])
	if s.model.byName(name) != nil {
		return nil, refusal(fmt.Sprintf("A service named %q already exists in this project", name))
	}
	if s.config.RenameServices {
		name += "-1"
	}
	of := s.newService(name)
	if source, _ := input["source"].(map[string]any); source != nil { // such a service is deployed at once
		of.settings["source"] = source
		s.deploy(of)
	}
	return object{"id": of.id, "name": of.name}, nil
}

func (s *Server) serviceDelete(a map[string]any) (any, error) {
	of := s.model.services[text(a["id"])]
	if of == nil {
		return nil, refusal("Service not found")
	}
	for _, run := range of.runs {
		run.kill()
	}
	for _, v := range s.model.volumes { // they stay
		if v.serviceID == of.id {
			v.serviceID = ""
		}
	}
	delete(s.model.services, of.id)
	return true, nil
}

func (s *Server) serviceInstanceUpdate(a map[string]any) (any, error) {
	of, err := s.serviceFor(a)
	if err != nil {
		return nil, err
	}
	input, _ := a["input"].(map[string]any)
	for name, value := range input {
		of.settings[name] = value
	}
	return true, nil
}

func (s *Server) serviceInstanceLimitsUpdate(a map[string]any) (any, error) {
	input, _ := a["input"].(map[string]any)
	of, err := s.serviceFor(input)
	if err != nil {
		return nil, err
	}
	of.limits = map[string]any{"memoryGB": input["memoryGB"], "vCPUs": input["vCPUs"]}
	return true, nil
}

func (s *Server) serviceInstanceDeploy(a map[string]any) (any, error) {
	of, err := s.serviceFor(a)
	if err != nil {
		return nil, err
	}
	if of.settings["source"] == nil {
		return nil, refusal("Service has no source to deploy")
	}
	return s.deploy(of).id, nil
}

func (s *Server) variableCollectionUpsert(a map[string]any) (any, error) {
	input, _ := a["input"].(map[string]any)
	of, err := s.serviceFor(input)
	if err != nil {
		return nil, err
	}
	if replace, _ := input["replace"].(bool); replace {
		of.variables = map[string]string{}
	}
	variables, ok := input["variables"].(map[string]any)
	if !ok {
		return nil, &invalidError{fmt.Errorf("variables are a %T", input["variables"])}
	}
	for name, value := range variables {
		if of.variables[name], ok = value.(string); !ok {
			return nil, &invalidError{fmt.Errorf("the variable %s is a %T", name, value)}
		}
	}
	if skip, _ := input["skipDeploys"].(bool); !skip && len(of.runs) > 0 {
		s.deploy(of)
	}
	return true, nil
}

func (s *Server) volumeCreate(a map[string]any) (any, error) {
	input, _ := a["input"].(map[string]any)
	of, err := s.serviceFor(input)
	if err != nil {
		return nil, err
	}
	if s.model.volumeOf(of.id) != nil {
		return nil, refusal("Service already has a volume")
	}
	if limit := s.config.MaxVolumes; limit > 0 && len(s.model.volumes) >= limit {
		return nil, refusal("You have reached the maximum number of volumes for this project")
	}
	made, err := s.newVolume(of.id, text(input["mountPath"]), text(input["region"]))
	if err != nil {
		return nil, err
	}
	if len(of.runs) > 0 {
		s.deploy(of)
	}
	return object{"id": made.id, "name": made.name}, nil
}

func (s *Server) volumeUpdate(a map[string]any) (any, error) {
	v := s.model.volumes[text(a["volumeId"])]
	if v == nil {
		return nil, refusal("Volume not found")
	}
	input, _ := a["input"].(map[string]any)
	v.name = text(input["name"])
	return object{"id": v.id}, nil
}

func (s *Server) volumeDelete(a map[string]any) (any, error) {
	v := s.model.volumes[text(a["volumeId"])]
	if v == nil {
		return nil, refusal("Volume not found")
	}
	v.pendingDeletion = true // it is listed for two days more
	return true, os.RemoveAll(v.dir)
}

func (s *Server) deploymentRemove(a map[string]any) (any, error) {
	run := s.model.deployments[text(a["id"])]
	if run == nil {
		return nil, errDeploymentMissing
	}
	if run.early() {
		return nil, refusal("Cannot remove a deployment that is not deployed yet")
	}
	s.end(run)
	return true, nil
}

func (s *Server) deploymentCancel(a map[string]any) (any, error) {
	run := s.model.deployments[text(a["id"])]
	if run == nil {
		return nil, errDeploymentMissing
	}
	if !run.early() {
		return nil, refusal("Cannot cancel a deployment that is deployed")
	}
	s.end(run)
	return true, nil
}
