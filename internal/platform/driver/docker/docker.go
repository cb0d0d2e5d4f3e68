// Package docker runs tenants on a Docker Engine, one container each, or on a
// Swarm, one service of 0 or 1 replica each. The engine keeps everything: what a
// tenant should be is in its container's labels and settings, so that a platform
// that is started again finds it.
//
// It decides nothing: no restart policy, no health rule of the engine's own starts
// or ends a tenant. That is the platform's.
//
//	d, err := docker.New(ctx, docker.Config{Image: "picobase:1.0", Network: "picobase"})
//	err = d.Create(ctx, driver.Spec{ID: "k3x9", Name: "shop", Env: env})
//	err = d.Start(ctx, "k3x9") // http://picobase-k3x9:8090 in the network
//
// Containers and services differ more than they share, so each is a driver of its
// own (containers*.go, services*.go); engine.go has what both need.
package docker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
)

// SwarmMode says whether tenants are services of a Swarm.
type SwarmMode string

// The modes.
const (
	SwarmAuto SwarmMode = "auto" // they are if the engine is a manager of one
	SwarmOn   SwarmMode = "on"   // they are; New fails on an engine that is no manager
	SwarmOff  SwarmMode = "off"  // they are containers of this engine
)

// Config of a driver. Only Image is needed.
type Config struct {
	// Host is where the engine listens: unix:///var/run/docker.sock (the default), or
	// tcp://host:2376.
	Host string

	// CertPath is a folder with ca.pem, cert.pem and key.pem for a Host that wants TLS,
	// as DOCKER_CERT_PATH is for the docker command. Default none.
	CertPath string

	// Platform tells apart what two platforms have on one engine, in labels and as the
	// first part of every name: 1 to 20 characters of a-z, 0-9 and dashes (default
	// picobase). Tenants of another Platform are never seen nor touched.
	Platform string

	// Image is the tenants' image. A plain engine pulls what it does not have. A Swarm's
	// nodes ask the registry at every start, unless the image is named by its digest
	// (acme/picobase:1.0@sha256:…) or its id (sha256:…); New looks up the digest if the
	// registry tells it.
	Image string

	// Network joins tenants and routers. It is made if it is not there (default picobase):
	// a bridge, or in a Swarm an overlay that containers may be attached to.
	Network string

	// Publish gives each running tenant a free port outside of the network, for a
	// router that does not run in it. It is one of 127.0.0.1. A Swarm knows no such
	// thing: there it is a port of the node that runs the tenant, on all its
	// addresses, which a firewall has to guard.
	Publish bool

	// Swarm is auto (default), on or off.
	Swarm SwarmMode

	// Constraints narrow the nodes of a Swarm: node.labels.disk==ssd, node.role==worker.
	Constraints []string

	// RegionLabel is the label of a node that Spec.Region is compared with (default region).
	RegionLabel string

	// Secrets names the variables that a Swarm hands to tenants as a secret, in a
	// file that NAME_FILE names (default: those that PicoBase reads so). All
	// others, and on a plain engine all, are in the container's environment, which who
	// may talk to the engine can read.
	Secrets []string

	// User and group of the process (default 65532:65532, the image's).
	User string

	// Port that tenants listen on (default 8090, the image's).
	Port uint16

	// StopGrace is the time to drain and sync before force, in whole seconds (default 45 s).
	StopGrace time.Duration

	// PIDs limits the threads and processes of a tenant (default 512).
	PIDs int64

	// LogSize is how large a log file grows, in the engine's words, and LogFiles how
	// many of them are kept (defaults 10m and 3).
	LogSize  string
	LogFiles int
}

var defaultSecrets = []string{
	"PICOBASE_S3_ACCESS_KEY_ID", "PICOBASE_S3_SECRET_ACCESS_KEY", "PICOBASE_ENCRYPTION_KEY", "PICOBASE_SUPERUSER_PASSWORD",
}

var (
	platformPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)
	networkPattern  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
)

func (c *Config) fill() error {
	setDefault(&c.Host, client.DefaultDockerHost)
	setDefault(&c.Platform, "picobase")
	setDefault(&c.Network, "picobase")
	setDefault(&c.Swarm, SwarmAuto)
	setDefault(&c.RegionLabel, "region")
	setDefault(&c.User, "65532:65532")
	setDefault(&c.Port, 8090)
	setDefault(&c.StopGrace, 45*time.Second)
	setDefault(&c.PIDs, 512)
	setDefault(&c.LogSize, "10m")
	setDefault(&c.LogFiles, 3)
	if c.Secrets == nil {
		c.Secrets = defaultSecrets
	}
	switch {
	case c.Image == "":
		return errors.New("docker: no image: name the tenants' image")
	case !platformPattern.MatchString(c.Platform):
		return fmt.Errorf("docker: platform %q: use 1 to 20 characters of a-z, 0-9 and dashes, none at an end", c.Platform)
	case !networkPattern.MatchString(c.Network):
		return fmt.Errorf("docker: network %q: use letters, digits, dots, dashes and underscores", c.Network)
	case c.Swarm != SwarmAuto && c.Swarm != SwarmOn && c.Swarm != SwarmOff:
		return fmt.Errorf("docker: swarm %q: use auto, on or off", c.Swarm)
	case c.StopGrace < time.Second || c.StopGrace%time.Second != 0:
		return fmt.Errorf("docker: stop grace %v: use whole seconds, 1 or more", c.StopGrace)
	case c.PIDs < 1 || c.LogFiles < 1:
		return errors.New("docker: the limits of processes and log files must be 1 or more")
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// New connects to the engine and makes the network. The engine must be there;
// later it may come and go, which methods answer with driver.ErrBusy.
func New(ctx context.Context, cfg Config) (driver.Driver, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	options := []client.Opt{client.WithHost(cfg.Host)}
	if cfg.CertPath != "" {
		options = append(options, client.WithTLSClientConfig(
			filepath.Join(cfg.CertPath, "ca.pem"), filepath.Join(cfg.CertPath, "cert.pem"), filepath.Join(cfg.CertPath, "key.pem")))
	}
	api, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("docker: engine %s: %w", cfg.Host, err)
	}
	e := &engine{api: api, cfg: cfg, locks: newLocks()}
	d, err := e.open(ctx)
	if err != nil {
		_ = api.Close()
		return nil, err
	}
	return d, nil
}

func (e *engine) open(ctx context.Context) (driver.Driver, error) {
	answer, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, e.failed("ask the engine what it is", err)
	}
	info := answer.Info
	swarm, err := e.isSwarm(info)
	if err != nil {
		return nil, err
	}
	if err := e.ensureNetwork(ctx, swarm); err != nil {
		return nil, err
	}
	if swarm {
		e.cfg.Image = e.pinned(ctx, e.cfg.Image)
		return &services{engine: e, node: info.Swarm.NodeID}, nil
	}
	return &containers{e}, nil
}

func (e *engine) isSwarm(info system.Info) (bool, error) {
	manager := info.Swarm.ControlAvailable
	if e.cfg.Swarm == SwarmOn && !manager {
		return false, fmt.Errorf("docker: the engine %s is no manager of a Swarm (it is %q): run docker swarm init there, or set swarm to off",
			e.cfg.Host, info.Swarm.LocalNodeState)
	}
	return manager && e.cfg.Swarm != SwarmOff, nil
}
