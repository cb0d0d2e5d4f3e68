package docker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"enough":         {Config{Image: "x"}, ""},
		"no image":       {Config{}, "no image"},
		"platform":       {Config{Image: "x", Platform: "Two Words"}, `platform "Two Words"`},
		"long platform":  {Config{Image: "x", Platform: strings.Repeat("a", 21)}, "1 to 20 characters"},
		"network":        {Config{Image: "x", Network: "a/b"}, `network "a/b"`},
		"swarm":          {Config{Image: "x", Swarm: "maybe"}, "auto, on or off"},
		"grace":          {Config{Image: "x", StopGrace: 1500 * time.Millisecond}, "whole seconds"},
		"negative grace": {Config{Image: "x", StopGrace: -time.Second}, "whole seconds"},
		"processes":      {Config{Image: "x", PIDs: -1}, "1 or more"},
	} {
		err := tt.cfg.fill()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// A name of a secret has at most the 64 characters that a Swarm allows.
func TestLongestNames(t *testing.T) {
	t.Parallel()
	s := &services{engine: &engine{cfg: Config{Platform: strings.Repeat("p", 20)}}}
	id := strings.Repeat("i", 32)
	if name := s.secretName(id, "A", secret.New("b")); len(name) != 64 {
		t.Errorf("%s has %d characters", name, len(name))
	}
	if name := s.name(id); len(name) > 63 {
		t.Errorf("%s is no label of DNS", name)
	}
}

func TestReadStatus(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]statusText{
		"Created":                         {-1, 0},
		"Up Less than a second":           {-1, time.Second},
		"Up 2 minutes (healthy)":          {-1, 2 * time.Minute},
		"Up About an hour (unhealthy)":    {-1, time.Hour},
		"Exited (0) 3 seconds ago":        {0, 3 * time.Second},
		"Exited (137) About a minute ago": {137, time.Minute},
		"Exited (3) 2 weeks ago":          {3, 14 * 24 * time.Hour},
		"Dead":                            {-1, 0},
	} {
		if got := readStatus(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// Where a tenant starts, by what became of the node that has its volume.
func TestPlace(t *testing.T) {
	t.Parallel()
	s := &services{engine: &engine{cfg: Config{Platform: "p", RegionLabel: "region"}}}
	node := func(state swarm.NodeState, availability swarm.NodeAvailability, region string) nodes {
		n := swarm.Node{ID: "n1", Status: swarm.NodeStatus{State: state}}
		n.Spec.Availability, n.Spec.Labels = availability, map[string]string{"region": region}
		return nodes{"n1": n}
	}
	ready, active := swarm.NodeStateReady, swarm.NodeAvailabilityActive
	for name, tt := range map[string]struct {
		last       string
		nodes      nodes
		bucket     bool
		pin        string
		volume     string
		wantsError bool
	}{
		"first start":            {"", nodes{}, false, "", "p-a", false},
		"the node is there":      {"n1", node(ready, active, "eu"), false, "n1", "p-a", false},
		"the node is down":       {"n1", node(swarm.NodeStateDown, active, "eu"), true, "", "p-a-1", false},
		"the node has left":      {"n1", nodes{}, true, "", "p-a-1", false},
		"the node is drained":    {"n1", node(ready, swarm.NodeAvailabilityDrain, "eu"), true, "", "p-a-1", false},
		"another region":         {"n1", node(ready, active, "us"), true, "", "p-a-1", false},
		"down, and no bucket":    {"n1", node(swarm.NodeStateDown, active, "eu"), false, "", "", true},
		"drained, and no bucket": {"n1", node(ready, swarm.NodeAvailabilityDrain, "eu"), false, "", "", true},
	} {
		change := &swarm.ServiceSpec{Annotations: swarm.Annotations{Labels: map[string]string{}}}
		change.TaskTemplate.ContainerSpec = &swarm.ContainerSpec{Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: "p-a"}}}
		change.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{"node.labels.region==eu", pin + "old"}}
		if tt.bucket {
			change.TaskTemplate.ContainerSpec.Env = []string{"PICOBASE_S3_BUCKET=b"}
		}
		err := s.place(change, "a", tt.last, tt.nodes)
		if tt.wantsError {
			if !errors.Is(err, driver.ErrBusy) {
				t.Errorf("%s: %v, want ErrBusy", name, err)
			}
			continue
		}
		want := "node.labels.region==eu"
		if tt.pin != "" {
			want += " " + pin + tt.pin
		}
		got := strings.Join(change.TaskTemplate.Placement.Constraints, " ")
		if volume := change.TaskTemplate.ContainerSpec.Mounts[0].Source; err != nil || got != want || volume != tt.volume {
			t.Errorf("%s: %v, constraints %q, volume %q; want %q, %q", name, err, got, volume, want, tt.volume)
		}
	}
}
