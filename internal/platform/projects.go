package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/fleet"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/picobase/picobase/internal/platform/sign"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

func (p *Platform) bindProjects(api *router.RouterGroup[*core.RequestEvent]) {
	g := api.Group("/projects")
	g.GET("", p.listProjects)
	g.POST("", p.createProject)
	g.GET("/{id}", p.getProject)
	g.PATCH("/{id}", p.patchProject)
	g.DELETE("/{id}", p.deleteProject)
	g.POST("/{id}/undelete", p.undeleteProject)
	g.POST("/{id}/start", p.lifecycle(developer, "project.started", p.fleet.StartProject))
	g.POST("/{id}/stop", p.lifecycle(developer, "project.stopped", p.fleet.StopProject))
	g.POST("/{id}/restart", p.lifecycle(developer, "project.restarted", p.fleet.RestartProject))
	g.POST("/{id}/branch", p.branchProject)
	g.POST("/{id}/token", p.projectToken)
	g.GET("/{id}/logs", p.projectLogs)
}

// ProjectView is a project as the API shows it.
type ProjectView struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Organization string `json:"organization"`
	URL          string `json:"url"`

	// Status is asleep, starting, running, stopping, off, parked or deleted.
	Status  string  `json:"status"`
	Message string  `json:"message,omitempty"` // why it is parked
	Used    *string `json:"used,omitempty"`    // last, while it runs
	Due     *string `json:"due,omitempty"`     // when it must be awake next

	// DeletedAt and UndeleteUntil are those of a deleted project.
	DeletedAt     *string `json:"deletedAt,omitempty"`
	UndeleteUntil *string `json:"undeleteUntil,omitempty"`

	Created string `json:"created"`

	// Keys are there when the project is made only.
	Keys *Keys `json:"keys,omitempty"`
}

// Keys are the first two API keys of a project.
type Keys struct {
	Publishable string `json:"publishable"`
	Secret      string `json:"secret"`
}

func timeText(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}

func (p *Platform) projectView(record *core.Record) ProjectView {
	name := record.GetString("name")
	view := ProjectView{
		ID: record.Id, Name: name, Organization: record.GetString("organization"), URL: p.urlOf(name),
		Status: record.GetString("want"), Created: record.GetDateTime("created").String(),
	}
	if now, ok := p.fleet.View(record.Id); ok {
		view.Status, view.Message = now.Status, now.Message
		view.Used, view.Due = timeText(now.Used), timeText(now.Due)
		if !now.DeletedAt.IsZero() {
			view.DeletedAt, view.UndeleteUntil = timeText(now.DeletedAt), timeText(now.DeletedAt.Add(p.grace()))
		}
	}
	return view
}

func (p *Platform) grace() time.Duration {
	if p.cfg.Grace > 0 {
		return p.cfg.Grace
	}
	return 7 * 24 * time.Hour
}

func (p *Platform) listProjects(e *core.RequestEvent) error {
	query, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "organization", "name", "deleted")
	if err != nil {
		return httpapi.Failure(err)
	}
	where := dbx.HashExp{}
	if name := query.Get("name"); name != "" {
		where["name"] = name
	}
	switch organization := query.Get("organization"); {
	case organization != "":
		if err := p.need(e, organization, viewer); err != nil {
			return httpapi.Failure(err)
		}
		where["organization"] = organization
	case !e.Auth.IsSuperuser():
		mine, err := p.organizationsOf(e.Auth.Id)
		if err != nil {
			return httpapi.Failure(err)
		}
		where["organization"] = mine
	}
	records, err := p.App.FindAllRecords(schema.Projects, where)
	if err != nil {
		return httpapi.Failure(err)
	}
	items := []ProjectView{}
	for _, record := range records {
		if view := p.projectView(record); view.DeletedAt == nil || query.Get("deleted") == "true" {
			items = append(items, view)
		}
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

// organizationsOf returns the ids of the organizations that somebody is in.
func (p *Platform) organizationsOf(user string) ([]any, error) {
	members, err := p.App.FindAllRecords(schema.Members, dbx.HashExp{"user": user})
	ids := make([]any, 0, len(members))
	for _, m := range members {
		ids = append(ids, m.GetString("organization"))
	}
	return ids, err
}

func (p *Platform) createProject(e *core.RequestEvent) error {
	var in struct {
		Name         string `json:"name"`
		Organization string `json:"organization"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	organization, err := p.organizationOf(e, in.Organization, developer)
	if err != nil {
		return httpapi.Failure(err)
	}
	view, err := p.NewProject(e, organization, in.Name, Branch{})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusCreated, view)
}

// Branch says which project a new one begins as.
type Branch struct {
	From string // id, empty for none
	At   string // RFC 3339, empty for its present state
}

// NewProject registers a project. It is not started: its first request does that.
// E is the request that asked for it, nil for the platform itself.
func (p *Platform) NewProject(e *core.RequestEvent, organization, name string, branch Branch) (ProjectView, error) {
	if wrong := p.checkName(name); wrong != nil {
		return ProjectView{}, wrong
	}
	keys, hashes, err := newFirstKeys()
	if err != nil {
		return ProjectView{}, err
	}
	var record *core.Record
	err = p.App.RunInTransaction(func(tx core.App) error {
		if err := p.mayCreate(tx, organization); err != nil {
			return err
		}
		if _, err := tx.FindFirstRecordByData(schema.Projects, "name", name); err == nil {
			return errNameTaken
		}
		collection, err := tx.FindCachedCollectionByNameOrId(schema.Projects)
		if err != nil {
			return err
		}
		record = core.NewRecord(collection)
		record.Id = newID()
		record.Set("organization", organization)
		record.Set("name", name)
		record.Set("want", string(fleet.Asleep))
		record.Set("firstKeys", hashes)
		record.Set("branchFrom", branch.From)
		record.Set("branchAt", branch.At)
		if e != nil && e.Auth != nil && !e.Auth.IsSuperuser() {
			record.Set("createdBy", e.Auth.Id)
		}
		if err := tx.Save(record); err != nil {
			return err
		}
		details := map[string]any{"name": name}
		if branch.From != "" {
			details["branchFrom"], details["branchAt"] = branch.From, branch.At
		}
		return p.record(tx, e, act{organization, record.Id, "project.created", details})
	})
	if err != nil {
		return ProjectView{}, err
	}
	p.fleet.Add(fleet.Project{
		ID: record.Id, Name: name, Organization: organization, Hosts: []string{p.hostOf(name)}, State: fleet.State{Want: fleet.Asleep},
	})
	p.settle()
	view := p.projectView(record)
	view.Keys = &keys
	return view, nil
}

func (p *Platform) getProject(e *core.RequestEvent) error {
	record, err := p.project(e, viewer)
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, p.projectView(record))
}

// patchProject gives a project another name, which changes its host name at once.
func (p *Platform) patchProject(e *core.RequestEvent) error {
	record, err := p.project(e, admin)
	if err != nil {
		return httpapi.Failure(err)
	}
	before := record.GetString("name")
	in := struct {
		Name string `json:"name"`
	}{before}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	if in.Name == before {
		return e.JSON(http.StatusOK, p.projectView(record))
	}
	if wrong := p.checkName(in.Name); wrong != nil {
		return httpapi.Error(wrong)
	}
	err = p.App.RunInTransaction(func(tx core.App) error {
		if _, err := tx.FindFirstRecordByData(schema.Projects, "name", in.Name); err == nil {
			return errNameTaken
		}
		// One column: the fleet may have changed another meanwhile.
		_, err := tx.NonconcurrentDB().Update(schema.Projects, dbx.Params{"name": in.Name}, dbx.HashExp{"id": record.Id}).Execute()
		if err != nil {
			return err
		}
		return p.record(tx, e, act{record.GetString("organization"), record.Id, "project.renamed", map[string]any{"from": before, "to": in.Name}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	record.Set("name", in.Name)
	if err := p.reroute(record.Id); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, p.projectView(record))
}

// lifecycle is a handler that has the fleet change a project.
func (p *Platform) lifecycle(least role, action string, do func(context.Context, string) error) func(*core.RequestEvent) error {
	return func(e *core.RequestEvent) error {
		record, err := p.project(e, least)
		if err != nil {
			return httpapi.Failure(err)
		}
		if err := p.record(p.App, e, act{record.GetString("organization"), record.Id, action, nil}); err != nil {
			return httpapi.Failure(err)
		}
		if err := do(e.Request.Context(), record.Id); err != nil {
			return httpapi.Error(fleetError(err))
		}
		return e.JSON(http.StatusOK, p.projectView(record))
	}
}

func (p *Platform) deleteProject(e *core.RequestEvent) error {
	return p.lifecycle(admin, "project.deleted", func(ctx context.Context, id string) error {
		if err := p.fleet.Delete(ctx, id); err != nil {
			return err
		}
		return p.closeAlertsOf(id)
	})(e)
}

func (p *Platform) undeleteProject(e *core.RequestEvent) error {
	return p.lifecycle(admin, "project.undeleted", func(ctx context.Context, id string) error {
		// One at a time, so that those at once do not all take the last place.
		if err := p.undeletes.Acquire(ctx, 1); err != nil {
			return err
		}
		defer p.undeletes.Release(1)
		view, _ := p.fleet.View(id)
		if view.Want == fleet.Deleted {
			if err := p.mayCreate(p.App, view.Organization); err != nil {
				return err
			}
		}
		if err := p.fleet.Undelete(ctx, id); err != nil {
			return err
		}
		return p.reroute(id)
	})(e)
}

// projectToken is a token by which the caller acts on the project's own API for
// five minutes.
func (p *Platform) projectToken(e *core.RequestEvent) error {
	record, err := p.project(e, developer)
	if err != nil {
		return httpapi.Failure(err)
	}
	token, expires, err := p.key.Token(sign.Claims{
		Project: record.Id, Subject: e.Auth.Collection().Name + "/" + e.Auth.Id, Email: e.Auth.Email(),
	}, p.cfg.Now())
	if err != nil {
		return httpapi.Failure(err)
	}
	if err := p.record(p.App, e, act{record.GetString("organization"), record.Id, "project.token", nil}); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, map[string]any{"token": token, "expires": timeText(expires), "url": p.urlOf(record.GetString("name"))})
}

const maxTail = 10_000

// projectLogs streams what the tenant has printed.
func (p *Platform) projectLogs(e *core.RequestEvent) error {
	record, err := p.project(e, developer)
	if err != nil {
		return httpapi.Failure(err)
	}
	query, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "tail", "follow")
	if err != nil {
		return httpapi.Failure(err)
	}
	options := driver.LogOptions{Follow: query.Get("follow") == "true"}
	if options.Tail, err = query.Number("tail", 200, maxTail); err != nil {
		return httpapi.Failure(err)
	}
	logs, err := p.cfg.Driver.Logs(e.Request.Context(), record.Id, options)
	if errors.Is(err, driver.ErrNotFound) { // it has never run
		logs, err = io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return httpapi.Failure(fmt.Errorf("read the logs of project %s: %w", record.Id, err))
	}
	defer logs.Close()
	e.Response.Header().Set("Content-Type", "text/plain; charset=utf-8")
	e.Response.Header().Set("X-Accel-Buffering", "no")
	e.Response.WriteHeader(http.StatusOK)
	return copyFlushed(e.Response, logs)
}

// copyFlushed copies until either end is closed, and keeps nothing back.
func copyFlushed(w http.ResponseWriter, r io.Reader) error {
	controller := http.NewResponseController(w)
	_ = controller.SetReadDeadline(time.Time{})
	_ = controller.Flush()
	buffer := make([]byte, 16<<10)
	for {
		n, err := r.Read(buffer)
		if n > 0 {
			_ = controller.SetWriteDeadline(time.Now().Add(30 * time.Second))
			if _, err := w.Write(buffer[:n]); err != nil {
				return nil //nolint:nilerr // the client is gone
			}
			if err := controller.Flush(); err != nil {
				return nil //nolint:nilerr // as above
			}
		}
		if err != nil {
			return nil //nolint:nilerr // the answer has begun: there is no other way to end it
		}
	}
}
