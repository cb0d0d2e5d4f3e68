package railway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/drivertest"
	"github.com/picobase/picobase/internal/platform/driver/railway"
	"github.com/picobase/picobase/internal/platform/driver/railway/railwaytest"
	"github.com/picobase/picobase/internal/secret"
)

// TestDriver shares the fixture, which takes a while to build.
func TestDriver(t *testing.T) {
	t.Parallel()
	program := drivertest.BuildFixture(t)
	for _, tt := range []struct {
		name string
		run  func(*testing.T, begin)
	}{
		{"what Railway is told", testSettings},
		{"create goes on after a failure", testCreateGoesOn},
		{"create with a lost answer", testLostAnswers},
		{"without volumes", testWithoutVolumes},
		{"the name is taken", testNameTaken},
		{"references in variables", testReferences},
		{"errors hold no secret", testScrub},
		{"asleep", testAsleep},
		{"image that is missing", testImageMissing},
		{"stop while it is built", testStopEarly},
		{"start twice, slowly", testStartSlowly},
		{"rate limit", testRateLimit},
		{"own rate limit", testOwnRateLimit},
		{"failures on the way", testFailures},
		{"token that is wrong", testWrongToken},
		{"environment that is wrong", testWrongEnvironment},
		{"deleted by somebody else", testDeletedElsewhere},
		{"upgrade", testUpgrade},
		{"pages", testPages},
		{"few requests", testFewRequests},
		{"logs over several runs", testLogsOfRuns},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, func(config railwaytest.Config, change func(*railway.Config)) (*railwaytest.Server, *railway.Driver) {
				config.Program = program
				fake := railwaytest.Start(t, config)
				return fake, open(t, fake, change)
			})
		})
	}
}

// begin starts a Railway and opens a driver on it.
type begin func(railwaytest.Config, func(*railway.Config)) (*railwaytest.Server, *railway.Driver)

func spec(id string, env ...string) driver.Spec {
	s := driver.Spec{ID: id, Name: "Shop", Env: map[string]secret.String{}}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		s.Env[name] = secret.New(value)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func status(t *testing.T, d *railway.Driver, id string) driver.Status {
	t.Helper()
	s, err := d.Status(bounded(t), id)
	must(t, err)
	return s
}

func until(t *testing.T, d *railway.Driver, id string, want driver.State) driver.Status {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s := status(t, d, id)
		if s.State == want {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the state is %q, not %q: %s", s.State, want, s.Message)
		}
	}
}

func testSettings(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, func(c *railway.Config) { c.Drain, c.Region = 1500*time.Millisecond, "us-west2" })
	s := spec("shop", "PICOBASE_PROJECT_ID=shop", "PORT=1", "RAILWAY_RUN_UID=7")
	s.Memory, s.CPU, s.Region = 512_000_000, 0.5, "europe-west4-drams3a"
	must(t, d.Create(bounded(t), s))
	got := fake.Settings("picobase-shop")
	want := map[string]any{
		"source":            map[string]any{"image": "ghcr.io/picobase/picobase:test"},
		"startCommand":      "/picobase serve --dir /data --log-format json --http [::]:8090",
		"drainingSeconds":   int64(2),
		"overlapSeconds":    int64(0),
		"numReplicas":       int64(1),
		"restartPolicyType": "NEVER",
		"sleepApplication":  false,
		"multiRegionConfig": map[string]any{"europe-west4-drams3a": map[string]any{"numReplicas": 1.0}},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Railway was told\n%v, want\n%v", got, want)
	}
	if got := fake.Variables("picobase-shop"); fmt.Sprint(got) != "map[PICOBASE_PROJECT_ID:shop PORT:8090 RAILWAY_RUN_UID:0]" {
		t.Errorf("the variables are %v", got)
	}
	if got := fmt.Sprint(fake.Limits("picobase-shop")); got != "map[memoryGB:0.512 vCPUs:0.5]" {
		t.Errorf("the limits are %s", got)
	}
	if got := fake.Volumes(); !slices.Equal(got, []string{"picobase-shop"}) {
		t.Errorf("the volumes are %q", got)
	}
	if runs := fake.Runs("picobase-shop"); len(runs) != 0 {
		t.Errorf("create has deployed: %q", runs)
	}

	// A change lifts the limits; what is left to Railway is not sent at all.
	s = spec("shop")
	must(t, d.Create(bounded(t), s))
	if got := fmt.Sprint(fake.Limits("picobase-shop")); got != "map[memoryGB:<nil> vCPUs:<nil>]" {
		t.Errorf("the limits are still %s", got)
	}
	if got := fmt.Sprint(fake.Settings("picobase-shop")["multiRegionConfig"]); got != "map[us-west2:map[numReplicas:1]]" {
		t.Errorf("the region is %s, want the default of the driver", got)
	}
	_, plain := fake, open(t, fake, nil)
	must(t, plain.Create(bounded(t), spec("other")))
	for _, operation := range []string{"configureService", "createVolume"} {
		variables := fake.LastVariables(operation)
		for _, name := range []string{"regions", "region"} {
			if _, sent := variables[name]; sent {
				t.Errorf("%s sends a %s that nobody chose", operation, name)
			}
		}
	}
}

func testCreateGoesOn(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, nil)
	for _, step := range []string{"createService", "createVolume", "renameVolume", "configureService"} {
		id := "x" + strings.ToLower(step)
		fake.Fail(step, railwaytest.Fault{GraphQL: "Problem processing request"})
		if err := d.Create(bounded(t), spec(id, "A=b")); err == nil || !strings.Contains(err.Error(), "Problem processing request") {
			t.Fatalf("%s fails, create says %v", step, err)
		}
		must(t, open(t, fake, nil).Create(bounded(t), spec(id, "A=b"))) // a platform that was started again
		if !slices.Contains(fake.Volumes(), "picobase-"+id) || fake.Variables("picobase-" + id)["A"] != "b" {
			t.Errorf("after %s failed, the tenant was not made whole: volumes %q", step, fake.Volumes())
		}
	}
	if services, volumes := fake.Services(), fake.Volumes(); len(services) != 4 || len(volumes) != 4 {
		t.Errorf("there are services %q and volumes %q", services, volumes)
	}
}

// What Railway has done although its answer was lost is not done again.
func testLostAnswers(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{StepDelay: 20 * time.Millisecond}, nil)
	for _, step := range []string{"createService", "createVolume"} {
		for name, fault := range map[string]railwaytest.Fault{"cut": {Drop: true, Late: true}, "edge": {Status: 502, Late: true}} {
			id := strings.ToLower(step) + name
			fake.Fail(step, fault)
			err := d.Create(bounded(t), spec(id))
			if busy := (*driver.RetryError)(nil); !errors.As(err, &busy) || !errors.Is(err, driver.ErrBusy) || busy.After <= 0 {
				t.Fatalf("%s, %s: %v, want a RetryError", step, name, err)
			}
			must(t, d.Create(bounded(t), spec(id)))
		}
	}
	if services, volumes := fake.Services(), fake.Volumes(); len(services) != 4 || len(volumes) != 4 {
		t.Errorf("there are services %q and volumes %q", services, volumes)
	}
	fake.Fail("deploy", railwaytest.Fault{Drop: true, Late: true})
	if err := d.Start(bounded(t), "createvolumecut"); !errors.Is(err, driver.ErrBusy) {
		t.Fatalf("start: %v", err)
	}
	must(t, d.Start(bounded(t), "createvolumecut"))
	until(t, d, "createvolumecut", driver.Running)
	if runs := fake.Runs("picobase-createvolumecut"); len(runs) != 1 {
		t.Errorf("it was deployed %d times", len(runs))
	}
}

func testWithoutVolumes(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, func(c *railway.Config) { c.WithoutVolumes = true })
	must(t, d.Create(bounded(t), spec("shop")))
	if got := fake.Volumes(); len(got) != 0 {
		t.Errorf("there are volumes %q", got)
	}
	must(t, d.Start(bounded(t), "shop"))
	until(t, d, "shop", driver.Running)
	must(t, d.Delete(bounded(t), "shop"))

	fake, d = begin(railwaytest.Config{MaxVolumes: 1}, nil)
	must(t, d.Create(bounded(t), spec("a")))
	if err := d.Create(bounded(t), spec("b")); err == nil || !strings.Contains(err.Error(), "maximum number of volumes") {
		t.Errorf("past the plan's limit: %v", err)
	}
	must(t, d.Delete(bounded(t), "b"))
	if got := fake.Services(); !slices.Equal(got, []string{"picobase-a"}) {
		t.Errorf("the services are %q", got)
	}
}

func testNameTaken(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{RenameServices: true}, nil)
	if err := d.Create(bounded(t), spec("shop")); err == nil || !strings.Contains(err.Error(), "is that name taken") {
		t.Errorf("create: %v", err)
	}
	if got := fake.Services(); len(got) != 0 {
		t.Errorf("a service without its address is left: %q", got)
	}
}

func testReferences(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, nil)
	err := d.Create(bounded(t), spec("shop", "STOLEN=${{platform.PICOBASE_RAILWAY_TOKEN}}"))
	if err == nil || !strings.Contains(err.Error(), "STOLEN") || strings.Contains(err.Error(), "PICOBASE_RAILWAY_TOKEN") {
		t.Errorf("create: %v", err)
	}
	if got := fake.Services(); len(got) != 0 {
		t.Errorf("services %q were made", got)
	}
}

func testScrub(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, nil)
	fake.Fail("configureService", railwaytest.Fault{GraphQL: `Variable "$variables" got invalid value { PASSWORD: "hunter2hunter2" }`})
	err := d.Create(bounded(t), spec("shop", "PASSWORD=hunter2hunter2"))
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "hunter2") || !strings.Contains(err.Error(), "got invalid value") {
		t.Errorf("create: %v", err)
	}
	config := railway.Config{Token: secret.New("hunter2hunter2")}
	if text := fmt.Sprintf("%+v %#v", config, config); strings.Contains(text, "hunter2") {
		t.Errorf("the token is printed: %s", text)
	}
}

// A sleeping service refuses connections in the private network: only a start wakes it.
func testAsleep(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, nil)
	must(t, d.Create(bounded(t), spec("shop")))
	must(t, d.Start(bounded(t), "shop"))
	until(t, d, "shop", driver.Running)
	fake.Sleep("picobase-shop")
	s := until(t, d, "shop", driver.Stopped)
	if s.URL != "" || !strings.Contains(s.Message, "sleep") {
		t.Errorf("asleep: %+v", s)
	}
	must(t, d.Start(bounded(t), "shop"))
	if _, err := driver.WaitReady(bounded(t), d, "shop"); err != nil {
		t.Fatal(err)
	}
	fake.Sleep("picobase-shop")
	until(t, d, "shop", driver.Stopped)
	must(t, d.Stop(bounded(t), "shop"))
	if runs := fake.Runs("picobase-shop"); runs[len(runs)-1] != "REMOVED" {
		t.Errorf("a stop left what Railway may wake: %q", runs)
	}
}

func testImageMissing(t *testing.T, begin begin) {
	_, d := begin(railwaytest.Config{}, func(c *railway.Config) { c.Image = railwaytest.MissingImage })
	must(t, d.Create(bounded(t), spec("shop")))
	must(t, d.Start(bounded(t), "shop"))
	s := until(t, d, "shop", driver.Crashed)
	if s.Message != "the deployment failed at create_container: the image could not be pulled" {
		t.Errorf("the message is %q", s.Message)
	}
}

func testStopEarly(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{StepDelay: time.Hour}, nil)
	must(t, d.Create(bounded(t), spec("shop")))
	must(t, d.Start(bounded(t), "shop"))
	if s := status(t, d, "shop"); s.State != driver.Starting || s.URL == "" {
		t.Errorf("a slow deployment is %+v", s)
	}
	must(t, d.Stop(bounded(t), "shop"))
	if s := status(t, d, "shop"); s.State != driver.Stopped {
		t.Errorf("after the stop it is %+v", s)
	}
	if got := fake.Requests(); !slices.Contains(got, "cancelDeployment") || slices.Contains(got, "removeDeployment") {
		t.Errorf("the requests were %q", got)
	}
	// Railway got further than its answer said.
	must(t, d.Start(bounded(t), "shop"))
	fake.Fail("cancelDeployment", railwaytest.Fault{GraphQL: "Cannot cancel"})
	if err := d.Stop(bounded(t), "shop"); err == nil || !strings.Contains(err.Error(), "Cannot cancel") {
		t.Errorf("both ways are refused, stop says %v", err)
	}
	must(t, d.Stop(bounded(t), "shop"))
}

func testStartSlowly(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{StepDelay: 50 * time.Millisecond}, nil)
	must(t, d.Create(bounded(t), spec("shop")))
	for range 5 {
		must(t, d.Start(bounded(t), "shop"))
	}
	if _, err := driver.WaitReady(bounded(t), d, "shop"); err != nil {
		t.Fatal(err)
	}
	if runs := fake.Runs("picobase-shop"); len(runs) != 1 {
		t.Errorf("five starts made %d deployments", len(runs))
	}
	// A deployment that fails while the one before still runs is no crash.
	fake.SetStatus("picobase-shop", "REMOVING")
	if err := d.Start(bounded(t), "shop"); !errors.Is(err, driver.ErrBusy) {
		t.Errorf("start of a tenant that is stopping: %v", err)
	}
}

func testRateLimit(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, nil)
	must(t, d.Create(bounded(t), spec("shop")))
	fake.Fail("getInstance", railwaytest.Fault{Status: 429, RetryAfter: "1800"})
	fake.Requests()
	_, err := d.Status(bounded(t), "shop")
	busy := (*driver.RetryError)(nil)
	if !errors.As(err, &busy) || busy.After != 30*time.Minute {
		t.Fatalf("status: %v after %v", err, busy)
	}
	for range 20 {
		if err := d.Start(bounded(t), "shop"); !errors.As(err, &busy) || busy.After < 29*time.Minute {
			t.Fatalf("start: %v", err)
		}
	}
	if got := fake.Requests(); len(got) != 1 {
		t.Errorf("Railway was asked although it takes no requests: %q", got)
	}

	// With a window that ends soon, a caller that waits as it is told gets through.
	fake, d = begin(railwaytest.Config{}, nil)
	fake.Limit(3, 700*time.Millisecond)
	waited := 0
	for deadline := time.Now().Add(15 * time.Second); ; {
		err := d.Create(bounded(t), spec("shop"))
		if err == nil {
			break
		}
		if !errors.As(err, &busy) || time.Now().After(deadline) {
			t.Fatalf("create: %v", err)
		}
		waited++
		time.Sleep(busy.After)
	}
	if waited == 0 || len(fake.Services()) != 1 || len(fake.Volumes()) != 1 {
		t.Errorf("after %d waits there are %q and %q", waited, fake.Services(), fake.Volumes())
	}
}

func testOwnRateLimit(t *testing.T, begin begin) {
	_, d := begin(railwaytest.Config{}, func(c *railway.Config) { c.RequestsPerSecond = 50 })
	began := time.Now()
	for range 60 { // 50 at once, then one every 20 ms
		_, err := d.List(bounded(t))
		must(t, err)
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("60 requests took %v", took)
	}
	_, d = begin(railwaytest.Config{}, func(c *railway.Config) { c.RequestsPerSecond = 0.001 })
	_, err := d.List(bounded(t))
	must(t, err)
	if _, err := d.List(bounded(t)); !errors.Is(err, driver.ErrBusy) {
		t.Errorf("a wait of a quarter of an hour is not refused: %v", err)
	}
}

func testFailures(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, func(c *railway.Config) { c.Timeout = 300 * time.Millisecond })
	must(t, d.Create(bounded(t), spec("shop")))
	for _, fault := range []railwaytest.Fault{{Status: 500}, {Status: 503, Times: 2}, {Drop: true}, {Hang: true}, {Status: 200}} {
		fake.Fail("listInstances", fault)
		list, err := d.List(bounded(t))
		if err != nil || len(list) != 1 {
			t.Errorf("after %+v: %v, %v", fault, list, err)
		}
	}
	fake.Fail("removeDeployment", railwaytest.Fault{Status: 502, Late: true})
	must(t, d.Start(bounded(t), "shop"))
	until(t, d, "shop", driver.Running)
	must(t, d.Stop(bounded(t), "shop"))

	fake.Fail("listInstances", railwaytest.Fault{Status: 503, Times: 4})
	fake.Requests()
	_, err := d.List(bounded(t))
	if busy := (*driver.RetryError)(nil); !errors.As(err, &busy) || !strings.Contains(err.Error(), "503") {
		t.Errorf("Railway is away: %v", err)
	}
	if got := fake.Requests(); len(got) != 4 {
		t.Errorf("it was asked %d times", len(got))
	}
}

func testWrongToken(t *testing.T, begin begin) {
	_, d := begin(railwaytest.Config{}, func(c *railway.Config) { c.Token = secret.New("wrong-one") })
	_, err := d.List(bounded(t))
	if err == nil || !strings.Contains(err.Error(), "PICOBASE_RAILWAY_TOKEN") || strings.Contains(err.Error(), "wrong-one") || errors.Is(err, driver.ErrNotFound) {
		t.Errorf("list: %v", err)
	}
}

func testWrongEnvironment(t *testing.T, begin begin) {
	_, d := begin(railwaytest.Config{}, func(c *railway.Config) { c.EnvironmentID = "nowhere" })
	_, err := d.Status(bounded(t), "shop")
	if err == nil || errors.Is(err, driver.ErrNotFound) || !strings.Contains(err.Error(), "PICOBASE_RAILWAY_ENVIRONMENT_ID") {
		t.Errorf("status: %v; a tenant must not seem deleted", err)
	}
}

// Railway says "Not Authorized" of what is gone, too.
func testDeletedElsewhere(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, nil)
	other := open(t, fake, nil)
	for _, fault := range []railwaytest.Fault{{}, {GraphQL: "Not Authorized"}} {
		must(t, d.Create(bounded(t), spec("shop")))
		must(t, other.Delete(bounded(t), "shop"))
		if fault.GraphQL != "" {
			fake.Fail("getInstance", fault)
		}
		time.Sleep(20 * time.Millisecond) // longer than an answer is believed
		if _, err := d.Status(bounded(t), "shop"); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("status: %v", err)
		}
		if err := d.Start(bounded(t), "shop"); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("start: %v", err)
		}
	}
}

// A platform with another image leaves what runs alone, and starts the rest on it.
func testUpgrade(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, nil)
	must(t, d.Create(bounded(t), spec("shop")))
	must(t, d.Start(bounded(t), "shop"))
	until(t, d, "shop", driver.Running)
	d = open(t, fake, func(c *railway.Config) {
		c.Image, c.StartCommand = "example/picobase:v2", "/picobase serve --dir /data --http [::]:8090"
	})
	must(t, d.Start(bounded(t), "shop"))
	if runs := fake.Runs("picobase-shop"); len(runs) != 1 {
		t.Errorf("a running tenant was deployed again: %q", runs)
	}
	must(t, d.Stop(bounded(t), "shop"))
	must(t, d.Start(bounded(t), "shop"))
	if _, err := driver.WaitReady(bounded(t), d, "shop"); err != nil {
		t.Fatal(err)
	}
	got := fake.Settings("picobase-shop")
	if fmt.Sprintf("%v %v", got["source"], got["startCommand"]) != "map[image:example/picobase:v2] /picobase serve --dir /data --http [::]:8090" ||
		got["restartPolicyType"] != "NEVER" {
		t.Errorf("the settings are %v", got)
	}
}

func testPages(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{PageSize: 2}, nil)
	fake.AddService("picobase-Not-A-Tenant")
	fake.AddService("router")
	for i := range 7 {
		must(t, d.Create(bounded(t), spec(fmt.Sprintf("t%d", i))))
	}
	list, err := d.List(bounded(t))
	if err != nil || len(list) != 7 {
		t.Errorf("the list has %d tenants: %v", len(list), err)
	}
	must(t, d.Delete(bounded(t), "t3")) // its volume is not on the first page
	if got := fake.Volumes(); len(got) != 6 || slices.Contains(got, "picobase-t3") {
		t.Errorf("the volumes are %q", got)
	}
}

// Requests are few: Railway counts them, and none is made without a verb.
func testFewRequests(t *testing.T, begin begin) {
	fake, d := begin(railwaytest.Config{}, func(c *railway.Config) { c.Poll = time.Hour })
	expect := func(what string, want ...string) {
		t.Helper()
		if got := fake.Requests(); !slices.Equal(got, want) {
			t.Errorf("%s asked %q, want %q", what, got, want)
		}
	}
	must(t, d.Create(bounded(t), spec("shop")))
	expect("create", "listInstances", "createService", "createVolume", "renameVolume", "configureService")
	must(t, d.Start(bounded(t), "shop"))
	expect("start", "getInstance", "deploy")
	for range 50 {
		status(t, d, "shop")
	}
	expect("50 looks", "getInstance")
	for i := range 20 {
		must(t, d.Create(bounded(t), spec(fmt.Sprint("more", i))))
	}
	fake.Requests()
	_, err := d.List(bounded(t))
	must(t, err)
	expect("list", "listInstances")
}

func testLogsOfRuns(t *testing.T, begin begin) {
	_, d := begin(railwaytest.Config{}, nil)
	s := spec("shop", drivertest.BehaviourEnv+"=crash")
	must(t, d.Create(bounded(t), s))
	for range 2 {
		must(t, d.Start(bounded(t), "shop"))
		until(t, d, "shop", driver.Crashed)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	follow, err := d.Logs(ctx, "shop", driver.LogOptions{Tail: 1, Follow: true})
	must(t, err)
	must(t, d.Create(bounded(t), spec("shop")))
	must(t, d.Start(bounded(t), "shop"))
	seen := make([]byte, 0, 4096)
	for !strings.Contains(string(seen), "fixture listens") { // of the next run
		part := make([]byte, 512)
		n, err := follow.Read(part)
		must(t, err)
		seen = append(seen, part[:n]...)
	}
	if strings.Count(string(seen), "out of cheese") != 1 || strings.Count(string(seen), "fixture starts") != 1 {
		t.Errorf("followed:\n%s", seen)
	}
	cancel()
	if rest, err := io.ReadAll(follow); err != nil || strings.Contains(string(rest), "fixture starts") {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	reader, err := d.Logs(bounded(t), "shop", driver.LogOptions{})
	must(t, err)
	all, err := io.ReadAll(reader)
	must(t, err)
	if got := strings.Count(string(all), "fixture starts"); got != 3 || !strings.HasPrefix(string(all), "fixture starts: crash\n") {
		t.Errorf("the logs have %d runs:\n%s", got, all)
	}
}
