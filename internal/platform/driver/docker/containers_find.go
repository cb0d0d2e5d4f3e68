package docker

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
)

// find returns one tenant's containers, or ErrNotFound.
func (c *containers) find(ctx context.Context, id string) (tenant, error) {
	found, err := c.list(ctx, c.mine(id))
	if err != nil {
		return tenant{}, err
	}
	t, ok := found[id]
	if !ok {
		return tenant{}, fmt.Errorf("docker: %s: %w", id, driver.ErrNotFound)
	}
	return t, nil
}

func (c *containers) list(ctx context.Context, filters client.Filters) (map[string]tenant, error) {
	found, err := c.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, c.failed("list containers", err)
	}
	tenants := map[string]tenant{}
	for i := range found.Items {
		one := &found.Items[i]
		id := one.Labels[labelProject]
		if one.State == container.StateRemoving || driver.CheckID(id) != nil {
			continue
		}
		t := tenants[id]
		switch nameOf(one) {
		case c.name(id), c.name(id) + suffixStopped:
			t.current = one
		case c.name(id) + suffixNext:
			t.next = one
		default: // a task of a Swarm, or something that people made
			continue
		}
		tenants[id] = t
	}
	return tenants, nil
}

func nameOf(one *container.Summary) string {
	if len(one.Names) == 0 {
		return ""
	}
	return strings.TrimPrefix(one.Names[0], "/")
}

func (c *containers) asked(one *container.Summary) bool {
	return strings.HasSuffix(nameOf(one), suffixStopped)
}

func runs(one *container.Summary) bool {
	switch one.State {
	case container.StateRunning, container.StatePaused, container.StateRestarting:
		return true
	}
	return false
}

// Status of one tenant, more exact than List's.
func (c *containers) Status(ctx context.Context, id string) (driver.Status, error) {
	if err := driver.CheckID(id); err != nil {
		return driver.Status{}, err
	}
	for {
		t, err := c.find(ctx, id)
		if err != nil {
			return driver.Status{}, err
		}
		status := c.summary(id, t)
		if t.current == nil {
			return status, nil
		}
		found, err := c.api.ContainerInspect(ctx, t.current.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue // another has taken its place
		}
		if err != nil {
			return driver.Status{}, c.failed("inspect the container", err)
		}
		state := found.Container.State
		if state == nil || state.Status != t.current.State {
			continue // it has changed in between
		}
		c.refine(ctx, &status, t.current.ID, state)
		return status, nil
	}
}

// refine adds what only an inspection tells.
func (c *containers) refine(ctx context.Context, status *driver.Status, container string, state *container.State) {
	since := state.FinishedAt
	if state.Running {
		since = state.StartedAt
	}
	if at, err := time.Parse(time.RFC3339Nano, since); err == nil && at.Year() > 1 {
		status.Since = at
	}
	if state.Error != "" {
		status.Message = state.Error
	}
	if status.State != driver.Crashed {
		return
	}
	if state.OOMKilled {
		status.Message += ": out of memory"
	}
	raw, err := c.containerLogs(ctx, container, driver.LogOptions{Tail: crashLines})
	if err == nil {
		status.Message += lastLines(plain(ctx, raw))
	}
}

// summary is what a listing tells.
func (c *containers) summary(id string, t tenant) driver.Status {
	status := driver.Status{ID: id, State: driver.Stopped, ExitCode: -1}
	one := t.current
	if one == nil {
		return status
	}
	text := readStatus(one.Status)
	if text.ago > 0 {
		status.Since = time.Now().Add(-text.ago).Truncate(time.Second)
	} else {
		status.Since = time.Unix(one.Created, 0)
	}
	switch {
	case one.State == container.StateCreated:
	case runs(one):
		status.State, status.URL = driver.Running, c.url(id, one)
		if c.asked(one) {
			status.State, status.URL = driver.Stopping, ""
		}
		if strings.Contains(one.Status, "(unhealthy)") {
			status.Message = "its health check fails"
		}
	default:
		status.ExitCode = exitCode(text.exit)
		if !c.asked(one) {
			status.State = driver.Crashed
			status.Message = fmt.Sprintf("ended with exit code %d", text.exit)
		}
	}
	return status
}

func (c *containers) url(id string, one *container.Summary) string {
	if !c.cfg.Publish {
		return c.address(id)
	}
	for _, port := range one.Ports {
		if port.PrivatePort == c.cfg.Port && port.PublicPort != 0 {
			return fmt.Sprintf("http://127.0.0.1:%d", port.PublicPort)
		}
	}
	return ""
}

// statusText is what the engine's listing has in words: Up 2 minutes (healthy),
// Exited (3) About an hour ago.
type statusText struct {
	exit int
	ago  time.Duration
}

var (
	exitedPattern = regexp.MustCompile(`^Exited \((\d+)\)`)
	agoPattern    = regexp.MustCompile(`(\d+|About an?|Less than a) (second|minute|hour|day|week|month|year)s?`)
	units         = map[string]time.Duration{
		"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour,
		"week": 7 * 24 * time.Hour, "month": 30 * 24 * time.Hour, "year": 365 * 24 * time.Hour,
	}
)

func readStatus(text string) statusText {
	read := statusText{exit: -1}
	if match := exitedPattern.FindStringSubmatch(text); match != nil {
		read.exit, _ = strconv.Atoi(match[1])
	}
	if match := agoPattern.FindStringSubmatch(text); match != nil {
		count, err := strconv.Atoi(match[1])
		if err != nil {
			count = 1
		}
		read.ago = time.Duration(count) * units[match[2]]
	}
	return read
}
