package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/picobase/picobase/internal/platform"
	"github.com/picobase/picobase/internal/platform/driver/docker/enginetest"
	"github.com/picobase/picobase/internal/platform/driver/railway/railwaytest"
	"github.com/picobase/picobase/internal/router/certs/acmetest"
	"github.com/spf13/cobra"
)

// A test of the command line starts what users start, and the engines of its own.
func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

const (
	operator = "root@example.com"
	password = "correct horse battery"
	patience = time.Minute
)

// fleet is a platform whose router has all names.
type fleet struct {
	base   string // URL of the platform
	client *http.Client
	token  string // of the first user
}

// newFleet returns one that listens at address.
func newFleet(base, address string) *fleet {
	var dialer net.Dialer
	return &fleet{base: base, client: &http.Client{
		Timeout: patience,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		}},
	}}
}

// call sends a request and returns the status and the body.
func (f *fleet) call(method, url string, headers map[string]string, in, out any) (int, string, error) {
	var body io.Reader
	if in != nil {
		content, err := json.Marshal(in)
		if err != nil {
			return 0, "", err
		}
		body = bytes.NewReader(content)
	}
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && out != nil {
		err = json.Unmarshal(content, out)
	}
	return response.StatusCode, string(content), err
}

// api calls the platform's API as its first user.
func (f *fleet) api(t *testing.T, method, path string, in, out any) {
	t.Helper()
	status, body, err := f.call(method, f.base+"/api/platform/v1"+path, map[string]string{"Authorization": "Bearer " + f.token}, in, out)
	if err != nil || status > 299 {
		t.Fatalf("%s %s: %v %d %s", method, path, err, status, body)
	}
}

// signIn waits for the platform, too.
func (f *fleet) signIn(t *testing.T) {
	t.Helper()
	var answer struct{ Token string }
	within(t, "the platform to serve", func() error {
		status, body, err := f.call("POST", f.base+"/api/collections/users/auth-with-password", nil, map[string]string{"identity": operator, "password": password}, &answer)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
	f.token = answer.Token
}

type project struct {
	ID, Name, URL, Status string
	Keys                  struct{ Publishable, Secret string }
}

func (f *fleet) create(t *testing.T, name string) (p project) {
	t.Helper()
	f.api(t, "POST", "/projects", map[string]string{"name": name}, &p)
	return p
}

// within polls until check succeeds.
func within(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// begin starts the real program until the test ends, or until the returned function ends it.
func begin(t *testing.T, program string, env []string, args ...string) (end func(os.Signal)) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(cleanEnv(), env...), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	end = func(signal os.Signal) {
		once.Do(func() {
			_ = cmd.Process.Signal(signal)
			_ = cmd.Wait()
			_ = log.Close()
		})
	}
	t.Cleanup(func() {
		end(syscall.SIGTERM)
		if t.Failed() {
			content, _ := os.ReadFile(log.Name())
			t.Logf("%v:\n%s", args, content)
		}
	})
	return end
}

func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "PICOBASE_") || strings.HasPrefix(pair, "AWS_") || strings.HasPrefix(pair, "PORT=")
	})
}

var firstPerson = []string{"PICOBASE_SUPERUSER_EMAIL=" + operator, "PICOBASE_SUPERUSER_PASSWORD=" + password}

func loopback(t *testing.T) string { return "127.0.0.1:" + strconv.Itoa(acmetest.FreePort(t)) }

// answers checks that the project is served, to a client whose address it knows.
func (f *fleet) answers(t *testing.T, p project) {
	t.Helper()
	status, body, err := f.call("GET", p.URL+"/api/health", map[string]string{"X-API-Key": p.Keys.Publishable}, nil, nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("the project answers %d %s %v", status, body, err)
	}
}

func TestPlatformOnDocker(t *testing.T) {
	engine := enginetest.Start(t)
	program := enginetest.BuildPicoBase(t)
	engine.Build(t, "picobase", program)
	address := loopback(t)
	f := newFleet("http://localhost:"+address[strings.LastIndex(address, ":")+1:], address)
	args := []string{
		"platform", "serve", "--driver", "docker", "--docker-image", "picobase", "--docker-swarm", "off", "--docker-publish",
		"--base-domain", "localhost", "--http", address, "--dir", t.TempDir(), "--project-memory", "256MiB", "--delete-grace", "1s",
	}
	env := append([]string{"DOCKER_HOST=" + engine.Host}, firstPerson...)
	end := begin(t, program, env, args...)
	f.signIn(t)
	p := f.create(t, "shop")
	f.answers(t, p)

	container, err := engine.API.ContainerInspect(t.Context(), "picobase-"+p.ID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if memory := container.Container.HostConfig.Memory; memory != 256<<20 {
		t.Errorf("its memory is %d", memory)
	}
	// It knows who asked, and not just that the router did.
	var owner struct{ Token string }
	f.api(t, "POST", "/projects/"+p.ID+"/token", nil, &owner)
	within(t, "the client's address in the log", func() error {
		_, body, err := f.call("GET", p.URL+"/api/v1/logs", map[string]string{"Authorization": "Bearer " + owner.Token}, nil, nil)
		if err == nil && !strings.Contains(body, `"127.0.0.1"`) {
			err = errors.New(body)
		}
		return err
	})

	// A platform that is killed leaves it running, and the next one finds it.
	end(syscall.SIGKILL)
	begin(t, program, env, args...)
	f.signIn(t)
	f.answers(t, p)
	again, err := engine.API.ContainerInspect(t.Context(), "picobase-"+p.ID, client.ContainerInspectOptions{})
	if err != nil || again.Container.State.StartedAt != container.Container.State.StartedAt {
		t.Errorf("it was started again: %v", err)
	}

	f.api(t, "DELETE", "/projects/"+p.ID, nil, nil)
	within(t, "nothing to be left", func() error {
		volumes, err := engine.API.VolumeList(t.Context(), client.VolumeListOptions{})
		if err == nil && len(volumes.Items) > 0 {
			err = fmt.Errorf("volumes: %v", volumes.Items)
		}
		return err
	})
}

func TestPlatformOnRailway(t *testing.T) {
	fake := railwaytest.Start(t, railwaytest.Config{Program: enginetest.BuildPicoBase(t)})
	for name, value := range map[string]string{
		"PICOBASE_RAILWAY_TOKEN": railwaytest.Token, "PICOBASE_RAILWAY_PROJECT_ID": railwaytest.ProjectID,
		"PICOBASE_RAILWAY_ENVIRONMENT_ID": railwaytest.EnvironmentID, "PICOBASE_RAILWAY_IMAGE": "ghcr.io/you/picobase:v1",
		"PICOBASE_RAILWAY_ENDPOINT": fake.Endpoint(), "PICOBASE_SUPERUSER_EMAIL": operator, "PICOBASE_SUPERUSER_PASSWORD": password,
	} {
		t.Setenv(name, value)
	}
	address := loopback(t)
	o := fleetOptions{
		dir: t.TempDir(), http: address, baseDomain: "localhost", driver: "railway", signUp: "closed", logFormat: "text", starts: 8,
		router: routerOptions{tls: "off"}, drivers: driverOptions{railwayAddress: fake.Address},
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := &cobra.Command{}
	cmd.SetContext(ctx)
	cmd.SetErr(t.Output())
	served, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- runFleet(cmd, o, func(*platform.Platform) error { close(served); return nil })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-served:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	f := newFleet("http://localhost:"+address[strings.LastIndex(address, ":")+1:], address)
	f.signIn(t)
	p := f.create(t, "shop")
	if services := fake.Services(); len(services) > 0 {
		t.Errorf("made before it was asked for: %v", services)
	}
	f.answers(t, p)
	if services := fake.Services(); len(services) != 1 || services[0] != "picobase-"+p.ID {
		t.Errorf("services %v", services)
	}
	f.api(t, "POST", "/projects/"+p.ID+"/stop", nil, nil)
	f.api(t, "POST", "/projects/"+p.ID+"/start", nil, nil)
	f.answers(t, p)

	// While nothing happens nothing is asked.
	fake.Requests() // those until now
	time.Sleep(5 * time.Second)
	if more := fake.Requests(); len(more) > 2 {
		t.Errorf("asked within five quiet seconds: %v", more)
	}
}

func TestCustomDomain(t *testing.T) {
	httpAddress, tlsPort := loopback(t), acmetest.FreePort(t)
	httpPort, _ := strconv.Atoi(httpAddress[strings.LastIndex(httpAddress, ":")+1:])
	ca := acmetest.Start(t, httpPort, tlsPort)
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, ca.RootPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	begin(t, enginetest.BuildPicoBase(t), firstPerson,
		"platform", "serve", "--base-domain", "fleet.example", "--dir", t.TempDir(), "--dns-server", ca.DNS, "--stop-projects",
		"--tls", "auto", "--http", httpAddress, "--https", "127.0.0.1:"+strconv.Itoa(tlsPort), "--acme-ca", ca.Directory, "--acme-ca-root", root)
	f := newFleet("https://fleet.example", "127.0.0.1:"+strconv.Itoa(tlsPort))
	transport, _ := f.client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: ca.Issuers(t)}
	f.signIn(t)
	p := f.create(t, "shop")
	f.answers(t, p) // at its own name, which has a certificate as well

	const name = "api.shop.test"
	var domain struct {
		ID, Status, Message string
		Records             []struct{ Type, Name, Value string }
	}
	f.api(t, "POST", "/projects/"+p.ID+"/domains", map[string]string{"name": name}, &domain)
	verify := func() { f.api(t, "POST", "/projects/"+p.ID+"/domains/"+domain.ID+"/verify", nil, &domain) }
	verify()
	if domain.Status != "pending" || domain.Message == "" {
		t.Errorf("without the record it is %s: %s", domain.Status, domain.Message)
	}
	if _, cert, err := acmetest.Get(t, "https://"+name+"/api/v1/ready", tlsPort, ca.Issuers(t)); err == nil {
		t.Errorf("a certificate for a domain that is not verified: %v", cert.DNSNames)
	}
	ca.SetTXT(t, domain.Records[0].Name, domain.Records[0].Value)
	verify()
	if domain.Status != "verified" {
		t.Fatalf("with the record it is %s: %s", domain.Status, domain.Message)
	}
	within(t, "an answer at the domain", func() error {
		body, cert, err := acmetest.Get(t, "https://"+name+"/api/v1/ready", tlsPort, ca.Issuers(t))
		if err != nil {
			return err
		}
		if err := cert.VerifyHostname(name); err != nil {
			return err
		}
		if !strings.Contains(body, "ready") {
			return fmt.Errorf("%q", body)
		}
		return nil
	})
	for _, unknown := range []string{"other.shop.test", "none.fleet.example"} {
		if _, cert, err := acmetest.Get(t, "https://"+unknown+"/", tlsPort, ca.Issuers(t)); err == nil {
			t.Errorf("a certificate for %s: %v", unknown, cert.DNSNames)
		}
	}
}

func TestDriversSayWhatTheyNeed(t *testing.T) {
	for _, name := range []string{"TOKEN", "PROJECT_ID", "ENVIRONMENT_ID", "IMAGE", "VOLUMES", "ENDPOINT"} {
		t.Setenv("PICOBASE_RAILWAY_"+name, "")
	}
	options := driverOptions{dir: t.TempDir(), logger: slog.Default()}
	for driver, wants := range map[string][]string{
		"kubernetes": {"process, docker or railway"},
		"docker":     {"--docker-image is missing"},
		"railway":    {"PICOBASE_RAILWAY_TOKEN is missing", "PICOBASE_RAILWAY_PROJECT_ID", "PICOBASE_RAILWAY_ENVIRONMENT_ID", "PICOBASE_RAILWAY_IMAGE"},
	} {
		_, err := openDriver(t.Context(), driver, options)
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", driver, err, want)
			}
		}
	}
	t.Setenv("PICOBASE_RAILWAY_VOLUMES", "off")
	if _, err := openDriver(t.Context(), "railway", options); err == nil || !strings.Contains(err.Error(), "VOLUMES=off needs a bucket") {
		t.Errorf("without disks and bucket: %v", err)
	}
	for _, memory := range []string{"1MiB", "much", "-1"} {
		if _, _, _, err := (&limitFlags{memory: memory}).limits(); err == nil {
			t.Errorf("--project-memory %s", memory)
		}
	}
}
