package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/docker"
	"github.com/picobase/picobase/internal/platform/driver/process"
	"github.com/picobase/picobase/internal/platform/driver/railway"
	"github.com/picobase/picobase/internal/secret"
	"github.com/spf13/pflag"
)

// driverOptions is what a driver may need to know of the command line.
type driverOptions struct {
	dir    string // of the whole fleet
	logger *slog.Logger
	docker docker.Config

	// railwayAddress is where a service is reached, in the place of Railway's private
	// network. It is for tests.
	railwayAddress func(service string) string
}

// openedDriver is a driver with what the platform must know about its engine.
type openedDriver struct {
	driver.Driver
	local   bool   // asking a tenant how it is costs nothing
	routers string // where tenants see routers come from, see PICOBASE_ROUTERS

	// interval is how often the engine can be asked for all tenants (default 2 s).
	interval time.Duration

	// wake is how long a request should be held for a start.
	wake time.Duration

	// folder is where a tenant's data is on this machine, nil for other engines.
	folder func(id string) (string, error)
}

// drivers are the engines by the name that --driver takes.
var drivers = map[string]func(context.Context, driverOptions) (openedDriver, error){
	"process": openProcessDriver,
	"docker":  openDockerDriver,
	"railway": openRailwayDriver,
}

func openDriver(ctx context.Context, name string, o driverOptions) (openedDriver, error) {
	open, ok := drivers[name]
	if !ok {
		return openedDriver{}, fmt.Errorf("--driver: there is no %q; use process, docker or railway", name)
	}
	return open(ctx, o)
}

func openProcessDriver(_ context.Context, o driverOptions) (openedDriver, error) {
	d, err := process.Open(process.Config{Dir: filepath.Join(o.dir, "tenants"), Logger: o.logger})
	if err != nil {
		return openedDriver{}, err
	}
	return openedDriver{Driver: d, local: true, routers: "unix", wake: 10 * time.Second, folder: d.Folder}, nil
}

func dockerFlags(flags *pflag.FlagSet, c *docker.Config) {
	flags.StringVar(&c.Image, "docker-image", "", "image of the projects (required with --driver docker)")
	flags.StringVar(&c.Network, "docker-network", "picobase", "network that projects and routers share, made if it is not there")
	flags.StringVar(&c.Platform, "docker-prefix", "picobase", "first part of all names, which tells two platforms of one engine apart")
	flags.StringVar((*string)(&c.Swarm), "docker-swarm", string(docker.SwarmAuto), "on runs projects as services of a Swarm, off as containers; auto if the engine is a manager of one")
	flags.StringSliceVar(&c.Constraints, "docker-constraint", nil, "narrow the nodes of a Swarm: node.labels.disk==ssd")
	flags.BoolVar(&c.Publish, "docker-publish", false, "give each project a port outside of the network, for a router that is not in it")
}

// privateNetworks are those that Docker takes its own from. Nobody else reaches a
// tenant there.
const privateNetworks = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"

func openDockerDriver(ctx context.Context, o driverOptions) (openedDriver, error) {
	cfg := o.docker
	if cfg.Image == "" {
		return openedDriver{}, errors.New("--docker-image is missing: the image of PicoBase that projects run, such as picobase:1.0")
	}
	cfg.Host, cfg.CertPath = os.Getenv("DOCKER_HOST"), os.Getenv("DOCKER_CERT_PATH")
	d, err := docker.New(ctx, cfg)
	if err != nil {
		return openedDriver{}, err
	}
	return openedDriver{Driver: d, local: true, routers: privateNetworks, interval: 5 * time.Second, wake: 30 * time.Second}, nil
}

// railwayNetworks are those of Railway's private network.
const railwayNetworks = "fc00::/7,10.0.0.0/8"

func openRailwayDriver(_ context.Context, o driverOptions) (openedDriver, error) {
	const prefix = "PICOBASE_RAILWAY_"
	token, err := secret.FromEnv(os.LookupEnv, prefix+"TOKEN")
	if err != nil {
		return openedDriver{}, err
	}
	for _, need := range []struct{ name, what string }{
		{"TOKEN", "make one at https://railway.com/account/tokens, for the workspace of the project"},
		{"PROJECT_ID", `copy it in Railway with Ctrl+K, "Copy Project ID"`},
		{"ENVIRONMENT_ID", `copy it in Railway with Ctrl+K, "Copy Environment ID"`},
		{"IMAGE", "the image that projects run, such as ghcr.io/you/picobase:v1"},
	} {
		if os.Getenv(prefix+need.name) == "" && (need.name != "TOKEN" || token.IsZero()) { // which may be in a file
			err = errors.Join(err, fmt.Errorf("%s is missing: %s", prefix+need.name, need.what))
		}
	}
	volumes := os.Getenv(prefix + "VOLUMES")
	if volumes != "" && volumes != "on" && volumes != "off" {
		err = errors.Join(err, fmt.Errorf("%sVOLUMES: %q is neither on nor off", prefix, volumes))
	}
	if volumes == "off" && os.Getenv(s3Prefix+"BUCKET") == "" {
		err = errors.Join(err, fmt.Errorf("%sVOLUMES=off needs a bucket (%s*): projects have no disk that stays", prefix, s3Prefix))
	}
	if err != nil {
		return openedDriver{}, err
	}
	d, err := railway.New(railway.Config{
		Token: token, ProjectID: os.Getenv(prefix + "PROJECT_ID"), EnvironmentID: os.Getenv(prefix + "ENVIRONMENT_ID"),
		Image: os.Getenv(prefix + "IMAGE"), Region: os.Getenv(prefix + "REGION"), WithoutVolumes: volumes == "off",
		Endpoint: os.Getenv(prefix + "ENDPOINT"), Address: o.railwayAddress,
	})
	if err != nil {
		return openedDriver{}, err
	}
	// 60 of the 1,000 requests an hour of the smallest plan.
	return openedDriver{Driver: d, routers: railwayNetworks, interval: time.Minute, wake: 90 * time.Second}, nil
}

// limitFlags bound each tenant.
type limitFlags struct {
	memory string
	cpu    float64
	region string
}

func (l *limitFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&l.memory, "project-memory", "", "memory of each project, such as 512MiB (default no limit)")
	flags.Float64Var(&l.cpu, "project-cpu", 0, "cores of each project, such as 0.5 (default no limit)")
	flags.StringVar(&l.region, "project-region", "", "where the engine places projects, in its own words")
}

// smallestMemory is what a project needs to start at all, with room for one request.
const smallestMemory = 64 << 20

func (l *limitFlags) limits() (memory int64, cpu float64, region string, err error) {
	if l.memory != "" {
		parsed, err := humanize.ParseBytes(l.memory)
		if err != nil || parsed < smallestMemory || parsed > 1<<50 {
			return 0, 0, "", fmt.Errorf("--project-memory: %q is no size of 64MiB or more, such as 512MiB", l.memory)
		}
		memory = int64(parsed)
	}
	if l.cpu < 0 || l.cpu > 0 && l.cpu < 0.01 {
		return 0, 0, "", fmt.Errorf("--project-cpu: %v is no number of cores, such as 0.5", l.cpu)
	}
	return memory, l.cpu, l.region, nil
}
