package swarmtest_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/docker"
	"github.com/picobase/picobase/internal/platform/driver/docker/enginetest"
	"github.com/picobase/picobase/internal/platform/driver/drivertest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

func TestSwarm(t *testing.T) {
	engine := enginetest.Start(t)
	engine.InitSwarm(t, "127.0.0.1")
	fixture := engine.Build(t, "fixture", drivertest.BuildFixture(t))
	drivertest.Run(t, drivertest.Harness{
		New: func(t *testing.T) driver.Driver {
			return open(t, engine, docker.Config{Image: fixture, Secrets: []string{"PASSWORD"}})
		},
		Spec: func(_ *testing.T, id string, _ drivertest.Behaviour) driver.Spec {
			return driver.Spec{ID: id, Name: "Test " + id, Memory: 64 << 20, CPU: 1}
		},
		Options: drivertest.Options{
			Patience:  enginetest.Patience,
			EngineEnv: []string{"PATH", "HOSTNAME", "HOME", "PORT", "PASSWORD_FILE"},
			Visible:   func(t *testing.T, id string) string { return visible(t, engine, "picobase-"+id) },
		},
	})
}

func open(t *testing.T, engine *enginetest.Engine, cfg docker.Config) driver.Driver {
	t.Helper()
	cfg.Host, cfg.Publish, cfg.StopGrace = engine.Host, true, 2*time.Second
	d, err := docker.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// visible is what docker service inspect and docker service ps show.
func visible(t *testing.T, engine *enginetest.Engine, name string) string {
	t.Helper()
	service, err := engine.API.ServiceInspect(t.Context(), name, client.ServiceInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := engine.API.TaskList(t.Context(), client.TaskListOptions{Filters: client.Filters{}.Add("service", service.Service.ID)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal([]any{service.Service, tasks.Items})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
