package docker

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
)

// template is the tenant's container, all but its name.
func (c *containers) template(ctx context.Context, spec driver.Spec) (client.ContainerCreateOptions, error) {
	var options client.ContainerCreateOptions
	if spec.Region != "" {
		return options, fmt.Errorf("docker: region %q: a single engine has none; leave it empty, or use a Swarm", spec.Region)
	}
	env, err := environment(spec.Env)
	if err != nil {
		return options, err
	}
	image, err := c.imageID(ctx)
	if err != nil {
		return options, err
	}
	grace := int(c.cfg.StopGrace.Seconds())
	options.Config = &container.Config{
		Image: c.cfg.Image, User: c.cfg.User, Env: env, Labels: c.labels(spec), StopTimeout: &grace,
	}
	options.HostConfig = &container.HostConfig{
		NetworkMode:    container.NetworkMode(c.cfg.Network),
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyDisabled},
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges"},
		Tmpfs:          map[string]string{tmpPath: fmt.Sprintf("rw,noexec,nosuid,nodev,size=%d", tmpSize)},
		Mounts:         []mount.Mount{{Type: mount.TypeVolume, Source: c.name(spec.ID), Target: dataPath}},
		LogConfig:      container.LogConfig{Type: logDriver, Config: c.logOptions()},
		Resources: container.Resources{
			Memory: spec.Memory, MemorySwap: spec.Memory, // no more with swap than without
			NanoCPUs: int64(spec.CPU * nanoCPU), PidsLimit: &c.cfg.PIDs,
		},
	}
	// The alias is the address, since the container's name says more than that.
	options.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		c.cfg.Network: {Aliases: []string{c.name(spec.ID)}},
	}}
	if c.cfg.Publish {
		port, _ := network.PortFrom(c.cfg.Port, network.TCP)
		options.Config.ExposedPorts = network.PortSet{port: {}}
		options.HostConfig.PortBindings = network.PortMap{port: {{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}}
	}
	// The image's id is a part of it: a tag that was moved is a change.
	hash, err := fingerprint(options, image)
	options.Config.Labels[labelSpec] = hash
	return options, err
}

// imageID finds the image, pulled if the engine does not have it.
func (c *containers) imageID(ctx context.Context) (string, error) {
	found, err := c.api.ImageInspect(ctx, c.cfg.Image)
	if !errdefs.IsNotFound(err) {
		return found.ID, c.failed("look for the image "+c.cfg.Image, err)
	}
	pull, err := c.api.ImagePull(ctx, c.cfg.Image, client.ImagePullOptions{})
	if err == nil {
		err = pull.Wait(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("docker: the engine has no image %s, and to pull it failed: build it there, or pull it: %w", c.cfg.Image, err)
	}
	found, err = c.api.ImageInspect(ctx, c.cfg.Image)
	return found.ID, c.failed("look for the image "+c.cfg.Image, err)
}

// ensureVolume makes the volume, and refuses one that is somebody else's.
func (c *containers) ensureVolume(ctx context.Context, spec driver.Spec) error {
	labels := c.labels(spec)
	delete(labels, labelName) // which may change
	made, err := c.api.VolumeCreate(ctx, client.VolumeCreateOptions{Name: c.name(spec.ID), Labels: labels})
	if err != nil {
		return c.failed("make the volume", err)
	}
	if made.Volume.Labels[labelPlatform] != c.cfg.Platform || made.Volume.Labels[labelProject] != spec.ID {
		return fmt.Errorf("docker: the volume %s is there already and is not this platform's: remove it, or give the platform another name",
			made.Volume.Name)
	}
	return nil
}
