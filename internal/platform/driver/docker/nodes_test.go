package docker_test

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/objectstore/s3test"
	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/docker"
	"github.com/picobase/picobase/internal/platform/driver/docker/enginetest"
	"github.com/picobase/picobase/internal/secret"
)

// A tenant moves when its node is lost, and restores itself; one without a bucket waits.
func TestNodes(t *testing.T) {
	enginetest.Link(t)
	engine := enginetest.Start(t)
	engine.InitSwarm(t, enginetest.FirstNode)
	image := engine.Build(t, "picobase", enginetest.BuildPicoBase(t))
	second := engine.Join(t)
	engine.Copy(t, image, second)
	bucket := s3test.Start(t)
	env := enginetest.Superuser()
	maps.Copy(env, map[string]secret.String{
		"PICOBASE_S3_ENDPOINT":          secret.New("http://" + enginetest.Forward(t, enginetest.FirstNode, strings.TrimPrefix(bucket.Endpoint, "http://"))),
		"PICOBASE_S3_BUCKET":            secret.New(bucket.Bucket(t)),
		"PICOBASE_S3_ACCESS_KEY_ID":     secret.New(bucket.AccessKey),
		"PICOBASE_S3_SECRET_ACCESS_KEY": secret.New(bucket.SecretKey),
	})
	d, err := docker.New(t.Context(), docker.Config{
		Host: engine.Host, Image: image, Platform: "moves", Publish: true, StopGrace: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	label(t, engine, func(node *swarm.Node) bool { return node.Spec.Role == swarm.NodeRoleManager }, "here")
	label(t, engine, func(node *swarm.Node) bool { return node.Spec.Role == swarm.NodeRoleWorker }, "there")
	for id, env := range map[string]map[string]secret.String{"bucket": env, "alone": enginetest.Superuser()} {
		if err := d.Create(t.Context(), driver.Spec{ID: id, Region: "there", Env: env}); err != nil {
			t.Fatal(err)
		}
	}
	status := start(t, d, "bucket")
	if !strings.Contains(status.URL, "192.0.2.2") {
		t.Fatalf("the tenant is not in its region: %+v", status)
	}
	start(t, d, "alone")
	server := enginetest.Server{URL: status.URL, Key: enginetest.FirstKey(t, d, "bucket")}
	id := server.AddUser(t)
	// What is secret is not in what the Swarm shows.
	service, err := engine.API.ServiceInspect(t.Context(), "moves-bucket", client.ServiceInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(service.Raw); strings.Contains(text, bucket.SecretKey) || !strings.Contains(text, "PICOBASE_S3_SECRET_ACCESS_KEY_FILE") {
		t.Error("the secret key is in the service, or not given to it")
	}
	// A stop and a start find the volume again.
	if err := d.Stop(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	if status, err := d.Status(t.Context(), "bucket"); err != nil || status.ExitCode != 0 {
		t.Errorf("after a stop: %+v, %v", status, err)
	}
	server.URL = start(t, d, "bucket").URL
	server.HasUser(t, id)
	// A router on one node finds a tenant on the other by the name in its URL.
	inside, err := docker.New(t.Context(), docker.Config{Host: engine.Host, Image: image, Platform: "inside", StopGrace: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	if err := inside.Create(t.Context(), driver.Spec{ID: "a", Region: "there"}); err != nil {
		t.Fatal(err)
	}
	if err := inside.Start(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	enginetest.Eventually(t, "an answer across nodes", func() bool {
		status, err := inside.Status(t.Context(), "a")
		return err == nil && status.URL == "http://inside-a:8090" && status.State == driver.Running && reaches(t, engine, "picobase", status.URL)
	})
	// A volume on another node is emptied when its tenant is deleted.
	if err := d.Create(t.Context(), driver.Spec{ID: "deleted", Region: "there"}); err != nil {
		t.Fatal(err)
	}
	start(t, d, "deleted")
	if files := volumeFiles(t, second, "moves-deleted"); files == 0 {
		t.Error("a tenant that runs has nothing in its volume")
	}
	if err := d.Delete(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	if files := volumeFiles(t, second, "moves-deleted"); files != 0 {
		t.Errorf("a deleted tenant has left %d files on the other node", files)
	}
	// Any region will do from now on.
	for id, env := range map[string]map[string]secret.String{"bucket": env, "alone": enginetest.Superuser()} {
		if err := d.Create(t.Context(), driver.Spec{ID: id, Env: env}); err != nil {
			t.Fatal(err)
		}
	}
	second.Kill(t)
	for _, id := range []string{"bucket", "alone"} {
		enginetest.Eventually(t, "the loss of the node", func() bool {
			status, err := d.Status(t.Context(), id)
			return err == nil && status.State == driver.Crashed && strings.Contains(status.Message, "is lost")
		})
	}
	server.URL = start(t, d, "bucket").URL
	if strings.Contains(server.URL, "192.0.2.2") {
		t.Errorf("the tenant is still on the lost node: %s", server.URL)
	}
	server.HasUser(t, id)
	if err := d.Start(t.Context(), "alone"); err == nil || !strings.Contains(err.Error(), "no bucket to restore it from") {
		t.Errorf("a tenant without a bucket moved: %v", err)
	}
	for _, id := range []string{"bucket", "alone"} {
		if err := d.Delete(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

func volumeFiles(t *testing.T, engine *enginetest.Engine, name string) int {
	t.Helper()
	found, err := engine.API.VolumeInspect(t.Context(), name, client.VolumeInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(found.Volume.Mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func label(t *testing.T, engine *enginetest.Engine, which func(*swarm.Node) bool, region string) {
	t.Helper()
	nodes, err := engine.API.NodeList(t.Context(), client.NodeListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes.Items {
		if !which(&node) {
			continue
		}
		node.Spec.Labels = map[string]string{"region": region}
		if _, err := engine.API.NodeUpdate(t.Context(), node.ID, client.NodeUpdateOptions{Version: node.Version, Spec: node.Spec}); err != nil {
			t.Fatal(err)
		}
	}
}
