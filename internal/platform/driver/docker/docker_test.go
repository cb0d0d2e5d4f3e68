package docker_test

import (
	"os"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/docker"
	"github.com/picobase/picobase/internal/platform/driver/docker/enginetest"
	"github.com/picobase/picobase/internal/platform/driver/drivertest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// One engine for all: it is a manager of a Swarm of one, and runs containers all the same.
func TestDocker(t *testing.T) {
	engine := enginetest.Start(t)
	engine.InitSwarm(t, "127.0.0.1")
	engine.Build(t, "fixture", drivertest.BuildFixture(t))
	t.Run("engine", func(t *testing.T) { conform(t, engine, docker.SwarmOff) })
	t.Run("swarm", func(t *testing.T) { conform(t, engine, docker.SwarmAuto) })
}

func conform(t *testing.T, engine *enginetest.Engine, mode docker.SwarmMode) {
	swarm := mode != docker.SwarmOff
	network := "plain"
	if swarm {
		network = "overlay"
	}
	drivertest.Run(t, drivertest.Harness{
		New: func(t *testing.T) driver.Driver {
			return open(t, docker.Config{
				Host: engine.Host, Image: "fixture", Network: network, Publish: true, Swarm: mode, StopGrace: 2 * time.Second,
				Secrets: []string{"PASSWORD"},
			})
		},
		Spec: func(_ *testing.T, id string, _ drivertest.Behaviour) driver.Spec {
			return driver.Spec{ID: id, Name: "Test " + id, Memory: 64 << 20, CPU: 1}
		},
		Options: drivertest.Options{
			EngineEnv:       []string{"PATH", "HOSTNAME", "HOME", "PORT"},
			NoLogsAfterStop: swarm,
		},
	})
}

func open(t *testing.T, cfg docker.Config) driver.Driver {
	t.Helper()
	d, err := docker.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
