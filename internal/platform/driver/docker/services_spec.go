package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

// secretMode is of the file: its owner reads it.
const secretMode os.FileMode = 0o400

// registryPatience bounds the one question to a registry.
const registryPatience = 10 * time.Second

// template is the tenant's task and the secrets that it needs, by their names. What
// depends on the node is added at the start.
func (s *services) template(spec driver.Spec) (swarm.TaskSpec, map[string]secret.String, error) {
	open, hidden := map[string]secret.String{}, map[string]secret.String{}
	var references []*swarm.SecretReference
	uid, gid, _ := strings.Cut(s.cfg.User, ":")
	for name, value := range spec.Env {
		if !slices.Contains(s.cfg.Secrets, name) || value.IsZero() {
			open[name] = value
			continue
		}
		secretName := s.secretName(spec.ID, name, value)
		hidden[secretName] = value
		open[name+"_FILE"] = secret.New("/run/secrets/" + name)
		references = append(references, &swarm.SecretReference{
			SecretName: secretName,
			File:       &swarm.SecretReferenceFileTarget{Name: name, UID: uid, GID: gid, Mode: secretMode},
		})
	}
	slices.SortFunc(references, func(a, b *swarm.SecretReference) int { return strings.Compare(a.File.Name, b.File.Name) })
	env, err := environment(open)
	if err != nil {
		return swarm.TaskSpec{}, nil, err
	}
	grace := s.cfg.StopGrace
	constraints := slices.Clone(s.cfg.Constraints)
	if spec.Region != "" {
		constraints = append(constraints, s.regionConstraint(spec.Region))
	}
	return swarm.TaskSpec{
		ContainerSpec: &swarm.ContainerSpec{
			Image: s.cfg.Image, User: s.cfg.User, Env: env, Labels: s.labels(spec), Secrets: references,
			ReadOnly: true, CapabilityDrop: []string{"ALL"},
			Privileges:      &swarm.Privileges{NoNewPrivileges: true}, // an engine before 27 ignores it
			StopGracePeriod: &grace,
			// A Swarm keeps the name of a task that is not healthy yet out of its DNS, which
			// would put the interval of the check on top of every wake. The platform checks.
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
			Mounts: []mount.Mount{
				{Type: mount.TypeVolume, Source: s.name(spec.ID), Target: dataPath, VolumeOptions: &mount.VolumeOptions{Labels: s.volumeLabels(spec.ID)}},
				{Type: mount.TypeTmpfs, Target: tmpPath, TmpfsOptions: &mount.TmpfsOptions{SizeBytes: tmpSize, Mode: 0o1777}},
			},
		},
		Resources: &swarm.ResourceRequirements{Limits: &swarm.Limit{
			NanoCPUs: int64(spec.CPU * nanoCPU), MemoryBytes: spec.Memory, Pids: s.cfg.PIDs,
		}},
		// The platform starts again what has ended, on another node if its own is lost.
		RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionNone},
		Placement:     &swarm.Placement{Constraints: constraints},
		Networks:      []swarm.NetworkAttachmentConfig{{Target: s.cfg.Network}},
		LogDriver:     &swarm.Driver{Name: logDriver, Options: s.logOptions()},
	}, hidden, nil
}

func (s *services) volumeLabels(id string) map[string]string {
	return map[string]string{labelPlatform: s.cfg.Platform, labelProject: id}
}

// service around a task that is not to run yet.
func (s *services) service(spec driver.Spec, task swarm.TaskSpec) swarm.ServiceSpec {
	none := uint64(0)
	// One task has one address, and one that sleeps none: no virtual IP.
	endpoint := &swarm.EndpointSpec{Mode: swarm.ResolutionModeDNSRR}
	if s.cfg.Publish {
		endpoint.Ports = []swarm.PortConfig{{
			Protocol: network.TCP, TargetPort: uint32(s.cfg.Port), PublishMode: swarm.PortConfigPublishModeHost,
		}}
	}
	return swarm.ServiceSpec{
		Annotations:  swarm.Annotations{Name: s.name(spec.ID), Labels: s.labels(spec)},
		TaskTemplate: task,
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &none}},
		UpdateConfig: &swarm.UpdateConfig{
			Parallelism: 1, Order: swarm.UpdateOrderStopFirst,
			// A tenant that crashes must not pause the update, or its next start would wait.
			FailureAction: swarm.UpdateFailureActionContinue, Monitor: time.Second,
		},
		EndpointSpec: endpoint,
	}
}

func (s *services) regionConstraint(region string) string {
	return "node.labels." + s.cfg.RegionLabel + "==" + region
}

// pinned is the image by its digest, if the registry tells it: nodes that have it do
// not ask the registry at every start then, and all run the same.
func (e *engine) pinned(ctx context.Context, image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil || strings.HasPrefix(image, "sha256:") {
		return image
	}
	if _, ok := named.(reference.Digested); ok {
		return image
	}
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	found, err := e.api.DistributionInspect(ctx, image, client.DistributionInspectOptions{})
	if err != nil {
		return image // built here, or the registry is away: by its name, then
	}
	pinned, err := reference.WithDigest(reference.TagNameOnly(named), found.Descriptor.Digest)
	if err != nil {
		return image
	}
	return reference.FamiliarString(pinned)
}

// secretName has its content in it, since a Swarm's secrets cannot be changed. It has
// at most the 64 characters that a Swarm allows.
func (s *services) secretName(id, name string, value secret.String) string {
	sum := sha256.Sum256([]byte(name + "\x00" + value.Reveal()))
	return s.name(id) + "-" + hex.EncodeToString(sum[:5])
}

// ensureSecrets makes those that are missing and puts the ids of all into the task.
func (s *services) ensureSecrets(ctx context.Context, id string, task *swarm.TaskSpec, hidden map[string]secret.String) error {
	if len(hidden) == 0 {
		return nil
	}
	found, err := s.api.SecretList(ctx, client.SecretListOptions{Filters: s.mine(id)})
	if err != nil {
		return s.failed("list secrets", err)
	}
	ids := map[string]string{}
	for _, one := range found.Items {
		ids[one.Spec.Name] = one.ID
	}
	for _, reference := range task.ContainerSpec.Secrets {
		if ids[reference.SecretName] == "" {
			made, err := s.api.SecretCreate(ctx, client.SecretCreateOptions{Spec: swarm.SecretSpec{
				Annotations: swarm.Annotations{Name: reference.SecretName, Labels: s.volumeLabels(id)},
				Data:        []byte(hidden[reference.SecretName].Reveal()),
			}})
			if err != nil {
				return s.failed("make the secret for "+reference.File.Name, err)
			}
			ids[reference.SecretName] = made.ID
		}
		reference.SecretID = ids[reference.SecretName]
	}
	return nil
}

// removeSecrets removes the tenant's secrets that none of the tasks needs.
func (s *services) removeSecrets(ctx context.Context, id string, but ...*swarm.TaskSpec) error {
	found, err := s.api.SecretList(ctx, client.SecretListOptions{Filters: s.mine(id)})
	if err != nil {
		return s.failed("list secrets", err)
	}
	needed := map[string]bool{}
	for _, task := range but {
		if task == nil || task.ContainerSpec == nil {
			continue
		}
		for _, reference := range task.ContainerSpec.Secrets {
			needed[reference.SecretID] = true
		}
	}
	for _, one := range found.Items {
		if needed[one.ID] {
			continue
		}
		if _, err := s.api.SecretRemove(ctx, one.ID, client.SecretRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			return s.failed("remove a secret", err)
		}
	}
	return nil
}
