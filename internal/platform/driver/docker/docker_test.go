package docker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/docker"
	"github.com/picobase/picobase/internal/platform/driver/docker/enginetest"
	"github.com/picobase/picobase/internal/platform/driver/drivertest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// The Swarm has a package of tests of its own, since both take their time.
func TestEngine(t *testing.T) {
	engine := enginetest.Start(t)
	engine.Build(t, "fixture", drivertest.BuildFixture(t))
	t.Run("conformance", func(t *testing.T) {
		drivertest.Run(t, drivertest.Harness{
			New: func(t *testing.T) driver.Driver { return open(t, engine, docker.Config{}) },
			Spec: func(_ *testing.T, id string, _ drivertest.Behaviour) driver.Spec {
				return driver.Spec{ID: id, Name: "Test " + id, Memory: 64 << 20, CPU: 1}
			},
			Options: drivertest.Options{
				Patience:  enginetest.Patience,
				EngineEnv: []string{"PATH", "HOSTNAME", "HOME", "PORT"},
				Visible:   func(t *testing.T, id string) string { return listing(t, engine, id) },
			},
		})
	})
	engine.Build(t, "picobase", enginetest.BuildPicoBase(t))
	t.Run("more", func(t *testing.T) { testMore(t, engine) })
	t.Run("an engine that is away", func(t *testing.T) { testAway(t, engine) })
}

func testMore(t *testing.T, engine *enginetest.Engine) {
	for name, test := range map[string]func(*testing.T, *enginetest.Engine){
		"a real server":        testServer,
		"confined":             testConfined,
		"in the network":       testInNetwork,
		"two platforms":        testTwoPlatforms,
		"refused":              testRefused,
		"a stop that was lost": testLostStop,
		"killed":               testKilled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, engine)
		})
	}
}

// open returns a driver that the test can reach the tenants of.
func open(t *testing.T, engine *enginetest.Engine, cfg docker.Config) driver.Driver {
	t.Helper()
	cfg.Host, cfg.Publish, cfg.Swarm, cfg.StopGrace = engine.Host, true, docker.SwarmOff, 2*time.Second
	if cfg.Image == "" {
		cfg.Image = "fixture"
	}
	d, err := docker.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// listing is what docker ps and docker volume ls show.
func listing(t *testing.T, engine *enginetest.Engine, id string) string {
	t.Helper()
	filter := client.Filters{}.Add("label", "picobase.project="+id)
	containers, err := engine.API.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	volumes, err := engine.API.VolumeList(t.Context(), client.VolumeListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal([]any{containers, volumes})
	if err != nil || len(containers.Items) == 0 || len(volumes.Items) == 0 {
		t.Fatalf("the engine lists nothing of %s: %v", id, err)
	}
	return string(out)
}

func inspect(t *testing.T, engine *enginetest.Engine, name string) container.InspectResponse {
	t.Helper()
	found, err := engine.API.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Container
}

func create(t *testing.T, d driver.Driver, spec driver.Spec) {
	t.Helper()
	if err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Delete(context.Background(), spec.ID); err != nil {
			t.Error(err)
		}
	})
}

func start(t *testing.T, d driver.Driver, id string) driver.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), enginetest.Patience)
	defer cancel()
	if err := d.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	status, err := driver.WaitReady(ctx, d, id)
	if err != nil {
		t.Fatalf("%v: %+v", err, status)
	}
	return status
}

// The image as it is deployed: its data outlives a stop, and its limits are seen.
func testServer(t *testing.T, engine *enginetest.Engine) {
	d := open(t, engine, docker.Config{Image: "picobase", Platform: "real"})
	create(t, d, driver.Spec{ID: "server", Env: enginetest.Superuser(), Memory: 200 << 20, CPU: 1})
	server := enginetest.Server{URL: start(t, d, "server").URL, Key: enginetest.FirstKey(t, d, "server")}
	id := server.AddUser(t)
	if limit := server.Metric(t, "go_gc_gomemlimit_bytes"); limit < 100<<20 || limit >= 200<<20 {
		t.Errorf("the process takes %.0f bytes for its memory limit, its container has 200 MB", limit)
	}
	if err := d.Stop(t.Context(), "server"); err != nil {
		t.Fatal(err)
	}
	if status, err := d.Status(t.Context(), "server"); err != nil || status.ExitCode != 0 {
		t.Errorf("after a stop: %+v, %v", status, err)
	}
	server.URL = start(t, d, "server").URL
	server.HasUser(t, id)
}

// Nothing but the volume and /tmp can be written, by a user without rights.
func testConfined(t *testing.T, engine *enginetest.Engine) {
	d := open(t, engine, docker.Config{Platform: "confined", PIDs: 77})
	create(t, d, driver.Spec{ID: "a", Memory: 64 << 20, CPU: 0.5})
	var who struct{ UID int }
	getJSON(t, start(t, d, "a").URL+"/", &who)
	if who.UID != 65532 {
		t.Errorf("the process is user %d", who.UID)
	}
	found := inspect(t, engine, "confined-a")
	host := found.HostConfig
	if !host.ReadonlyRootfs || strings.Join(host.CapDrop, "") != "ALL" || strings.Join(host.SecurityOpt, "") != "no-new-privileges" {
		t.Errorf("the container is not confined: %+v", host)
	}
	if host.Memory != 64<<20 || host.MemorySwap != 64<<20 || host.NanoCPUs != 5e8 || *host.PidsLimit != 77 {
		t.Errorf("the limits are %+v", host.Resources)
	}
	if host.LogConfig.Config["max-size"] != "10m" || host.LogConfig.Config["max-file"] != "3" {
		t.Errorf("the logs grow without limit: %+v", host.LogConfig)
	}
	if host.RestartPolicy.Name != container.RestartPolicyDisabled {
		t.Errorf("the engine restarts by itself: %v", host.RestartPolicy)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", found.State.Pid))
	if err != nil || !bytes.Contains(status, []byte("CapBnd:\t0000000000000000")) || !bytes.Contains(status, []byte("NoNewPrivs:\t1")) {
		t.Errorf("the process has capabilities or may gain some: %v\n%s", err, status)
	}
	// The server itself, told to write elsewhere.
	made, err := engine.API.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Config:     &container.Config{Image: "fixture", Cmd: []string{"serve", "--dir", "/elsewhere"}},
		HostConfig: &container.HostConfig{ReadonlyRootfs: host.ReadonlyRootfs},
	})
	if err != nil {
		t.Fatal(err)
	}
	if code := runToEnd(t, engine, made.ID); code == 0 {
		t.Error("the root file system can be written")
	}
}

// reaches asks the URL from a container in the network.
func reaches(t *testing.T, engine *enginetest.Engine, network, url string) bool {
	t.Helper()
	made, err := engine.API.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Config:     &container.Config{Image: "picobase", Cmd: []string{"healthcheck", "--url", url}},
		HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(network)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return runToEnd(t, engine, made.ID) == 0
}

func runToEnd(t *testing.T, engine *enginetest.Engine, id string) int64 {
	t.Helper()
	t.Cleanup(func() {
		_, _ = engine.API.ContainerRemove(context.Background(), id, client.ContainerRemoveOptions{Force: true})
	})
	wait := engine.API.ContainerWait(t.Context(), id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := engine.API.ContainerStart(t.Context(), id, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case result := <-wait.Result:
		return result.StatusCode
	case err := <-wait.Error:
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("the container does not end")
	}
	return 0
}

// A router in the network finds a tenant by the name in its URL, also after changes.
func testInNetwork(t *testing.T, engine *enginetest.Engine) {
	d, err := docker.New(t.Context(), docker.Config{
		Host: engine.Host, Image: "fixture", Swarm: docker.SwarmOff, Platform: "inside", Network: "inside", StopGrace: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	create(t, d, driver.Spec{ID: "a"})
	probe := func() {
		t.Helper()
		if err := d.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		status, err := d.Status(t.Context(), "a")
		if err != nil || status.URL != "http://inside-a:8090" {
			t.Fatalf("the address is %q, %v", status.URL, err)
		}
		if !reaches(t, engine, "inside", status.URL) {
			t.Errorf("%s cannot be reached in the network", status.URL)
		}
	}
	probe()
	if err := d.Create(t.Context(), driver.Spec{ID: "a", Name: "changed"}); err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	probe()
	if err := d.Stop(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	probe()
	if ports := inspect(t, engine, "inside-a").NetworkSettings.Ports; len(ports[network.MustParsePort("8090/tcp")]) != 0 {
		t.Errorf("a port is published that nobody asked for: %v", ports)
	}
}

// Two platforms on one engine do not see each other, whatever their ids are.
func testTwoPlatforms(t *testing.T, engine *enginetest.Engine) {
	one, two := open(t, engine, docker.Config{Platform: "one"}), open(t, engine, docker.Config{Platform: "two"})
	create(t, one, driver.Spec{ID: "same"})
	create(t, two, driver.Spec{ID: "same"})
	create(t, two, driver.Spec{ID: "other"})
	start(t, one, "same")
	if _, err := one.Status(t.Context(), "other"); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("one platform sees what is the other's: %v", err)
	}
	if err := one.Delete(t.Context(), "other"); err != nil {
		t.Error(err)
	}
	if err := two.Delete(t.Context(), "same"); err != nil {
		t.Error(err)
	}
	if status, err := one.Status(t.Context(), "same"); err != nil || status.State != driver.Running {
		t.Errorf("one platform has ended what is the other's: %+v, %v", status, err)
	}
	all, err := two.List(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != "other" {
		t.Errorf("the list is %+v, %v", all, err)
	}
}

func testRefused(t *testing.T, engine *enginetest.Engine) {
	d := open(t, engine, docker.Config{Platform: "refused"})
	if err := d.Create(t.Context(), driver.Spec{ID: "a", Region: "eu"}); err == nil || !strings.Contains(err.Error(), "region") {
		t.Errorf("a region on one engine: %v", err)
	}
	missing := open(t, engine, docker.Config{Platform: "refused", Image: "127.0.0.1:1/none"})
	if err := missing.Create(t.Context(), driver.Spec{ID: "a"}); err == nil || !strings.Contains(err.Error(), "no image 127.0.0.1:1/none") {
		t.Errorf("an image that is not there: %v", err)
	}
	if _, err := engine.API.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: "refused-b"}); err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context(), driver.Spec{ID: "b"}); err == nil || !strings.Contains(err.Error(), "is not this platform's") {
		t.Errorf("a volume of somebody else: %v", err)
	}
	if err := d.Delete(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	if _, err := engine.API.VolumeInspect(t.Context(), "refused-b", client.VolumeInspectOptions{}); err != nil {
		t.Errorf("the volume of somebody else is gone: %v", err)
	}
	if _, err := docker.New(t.Context(), docker.Config{Host: engine.Host, Image: "fixture", Swarm: docker.SwarmOn}); err == nil ||
		!strings.Contains(err.Error(), "docker swarm init") {
		t.Errorf("a Swarm that is none: %v", err)
	}
}

// A platform that ended between marking a tenant for a stop and stopping it.
func testLostStop(t *testing.T, engine *enginetest.Engine) {
	d := open(t, engine, docker.Config{Platform: "lost"})
	create(t, d, driver.Spec{ID: "a"})
	start(t, d, "a")
	if _, err := engine.API.ContainerRename(t.Context(), "lost-a", client.ContainerRenameOptions{NewName: "lost-a.stopped"}); err != nil {
		t.Fatal(err)
	}
	if status, err := d.Status(t.Context(), "a"); err != nil || status.State != driver.Stopping {
		t.Errorf("%+v, %v", status, err)
	}
	start(t, d, "a")
	if status, err := d.Status(t.Context(), "a"); err != nil || status.State != driver.Running {
		t.Errorf("%+v, %v", status, err)
	}
}

// Killed from outside is a crash with -1, and says so.
func testKilled(t *testing.T, engine *enginetest.Engine) {
	d := open(t, engine, docker.Config{Platform: "killed"})
	create(t, d, driver.Spec{ID: "a"})
	start(t, d, "a")
	if _, err := engine.API.ContainerKill(t.Context(), "killed-a", client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
	enginetest.Eventually(t, "a crash", func() bool {
		status, err := d.Status(t.Context(), "a")
		return err == nil && status.State == driver.Crashed && status.ExitCode == -1 && strings.Contains(status.Message, "137")
	})
}

// An engine that is restarted: busy meanwhile, and everything is there after.
func testAway(t *testing.T, engine *enginetest.Engine) {
	d := open(t, engine, docker.Config{Platform: "away"})
	for _, id := range []string{"running", "stopped"} {
		create(t, d, driver.Spec{ID: id})
		start(t, d, id)
	}
	if err := d.Stop(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	engine.Stop(t)
	_, err := d.List(t.Context())
	busy := (*driver.RetryError)(nil)
	if !errors.Is(err, driver.ErrBusy) || !errors.As(err, &busy) || busy.After == 0 || !strings.Contains(err.Error(), "is Docker running") {
		t.Errorf("without an engine: %v", err)
	}
	if _, err := docker.New(t.Context(), docker.Config{Host: engine.Host, Image: "fixture"}); err == nil || !strings.Contains(err.Error(), engine.Host) {
		t.Errorf("a new driver without an engine: %v", err)
	}
	engine.Restart(t)
	states := map[string]driver.State{}
	all, err := d.List(t.Context())
	for _, status := range all {
		states[status.ID] = status.State
	}
	if want := map[string]driver.State{"running": driver.Crashed, "stopped": driver.Stopped}; err != nil || !maps.Equal(states, want) {
		t.Errorf("after the engine's restart: %v, %v", states, err)
	}
	start(t, d, "running")
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%v: %s", err, content)
	}
}
