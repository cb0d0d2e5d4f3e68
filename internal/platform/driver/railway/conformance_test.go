package railway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/drivertest"
	"github.com/picobase/picobase/internal/platform/driver/railway"
	"github.com/picobase/picobase/internal/platform/driver/railway/railwaytest"
	"github.com/picobase/picobase/internal/secret"
)

func TestConformance(t *testing.T) {
	// Small pages, so that every list has several.
	fake := railwaytest.Start(t, railwaytest.Config{Program: drivertest.BuildFixture(t), PageSize: 3, StepDelay: 5 * time.Millisecond})
	fake.AddService("router")
	fake.AddService("picobase-not-a-tenant")
	drivertest.Run(t, drivertest.Harness{
		New: func(t *testing.T) driver.Driver { return open(t, fake, nil) },
		Spec: func(_ *testing.T, id string, _ drivertest.Behaviour) driver.Spec {
			return driver.Spec{ID: id, Name: "Test " + id}
		},
		Options: drivertest.Options{
			StopTimeout: time.Second,
			// What Railway sets, and the two that it asks for.
			EngineEnv:      []string{"RAILWAY_*", "PORT"},
			NoExitCode:     true, // it is in no answer of the API
			NoCrashMessage: true, // it would take another request for each status
		},
	})
}

func open(t *testing.T, fake *railwaytest.Server, change func(*railway.Config)) *railway.Driver {
	t.Helper()
	config := railway.Config{
		Token: secret.New(railwaytest.Token), ProjectID: railwaytest.ProjectID, EnvironmentID: railwaytest.EnvironmentID,
		Image: "ghcr.io/picobase/picobase:test", Endpoint: fake.Endpoint(), Address: fake.Address,
		Drain: time.Second, Poll: 10 * time.Millisecond, RequestsPerSecond: 1e4, HTTP: &http.Client{},
	}
	if change != nil {
		change(&config)
	}
	d, err := railway.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
