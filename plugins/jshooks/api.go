package jshooks

import (
	"errors"
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// Routes binds /api/v1/hooks.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	g := r.Group(httpapi.PathPrefix + "/hooks")
	g.Bind(httpapi.Require(scope.Hooks))
	g.GET("", p.list)
	g.POST("", p.upload).Bind(apis.BodyLimit(maxBody))
	g.POST("/deactivate", p.deactivate)
	g.GET("/types.d.ts", p.types)
	g.GET("/logs", p.listLogs).Bind(apis.SkipSuccessActivityLog())
	g.GET("/logs/stream", p.streamLogs).Bind(apis.SkipSuccessActivityLog())
	g.GET("/secrets", p.listSecrets)
	g.PUT("/secrets/{name}", p.setSecret)
	g.DELETE("/secrets/{name}", p.deleteSecret)
	g.GET("/{version}", p.get)
	g.DELETE("/{version}", p.delete)
	g.GET("/{version}/diff", p.diff)
	g.POST("/{version}/activate", p.reactivate)
}

// versionList is the answer of list.
type versionList struct {
	Items []Version `json:"items"`

	// Active is the version that is to run, Running the one that does: they differ
	// when the active one cannot be loaded, or hooks are off in the settings. A
	// command on the folder runs nothing and knows of no problems.
	Active   *string       `json:"active"`
	Running  *running      `json:"running"`
	Enabled  bool          `json:"enabled"`
	Problems []loadProblem `json:"problems"`
}

type running struct {
	Version string            `json:"version"`
	Since   time.Time         `json:"since"`
	Hooks   []engine.HookInfo `json:"hooks"`
}

func (p *Plugin) list(e *core.RequestEvent) error {
	versions, err := listVersions(p.app)
	if err != nil {
		return httpapi.Failure(err)
	}
	now := p.status.Load()
	answer := versionList{Items: versions, Enabled: p.cfg.Settings().JSHooks.Enabled, Problems: now.problems}
	if answer.Problems == nil {
		answer.Problems = []loadProblem{}
	}
	for i := range versions {
		if versions[i].Active {
			answer.Active = &versions[i].ID
		}
	}
	if now.version != "" {
		answer.Running = &running{now.version, now.since, now.hooks}
	}
	return e.JSON(http.StatusOK, answer)
}

func (p *Plugin) upload(e *core.RequestEvent) error {
	w, err := readWish(e)
	if err != nil {
		return httpapi.Failure(err)
	}
	if w.dryRun {
		return p.dryRun(e, w)
	}
	caller := httpapi.CallerOf(e)
	p.changing.Lock()
	defer p.changing.Unlock()
	v, fresh, err := p.store(e.Request.Context(), e, upload{
		files: w.files, label: w.label, source: sourceUpload, by: string(caller.Kind) + ":" + caller.Name, activate: w.activate,
	})
	if err != nil {
		return failure(err)
	}
	return e.JSON(statusOf(fresh), v)
}

// dryRun answers what the bundle would register.
func (p *Plugin) dryRun(e *core.RequestEvent, w wish) error {
	_, sum, err := pack(w.files)
	if err != nil {
		return httpapi.Failure(err)
	}
	generation, found := p.compile(e.Request.Context(), "", w.files)
	if len(found) > 0 {
		return httpapi.Error(invalid(found))
	}
	return e.JSON(http.StatusOK, map[string]any{
		"dryRun": true, "sha256": sum, "files": len(w.files), "size": sizeOf(w.files), "hooks": listed(generation),
	})
}

// listed is never null in JSON.
func listed(generation *engine.Generation) []engine.HookInfo {
	return append([]engine.HookInfo{}, generation.Hooks()...)
}

// versionFiles is one version with its files.
type versionFiles struct {
	Version
	Content map[string]string `json:"content"`
}

func (p *Plugin) get(e *core.RequestEvent) error {
	v, files, err := p.withFiles(e.Request.PathValue("version"))
	if err != nil {
		return failure(err)
	}
	answer := versionFiles{v, make(map[string]string, len(files))}
	for name, file := range files {
		answer.Content[name] = string(file)
	}
	return e.JSON(http.StatusOK, answer)
}

func (p *Plugin) withFiles(id string) (Version, engine.Bundle, error) {
	v, err := getVersion(p.app, id)
	if err != nil {
		return v, nil, err
	}
	files, err := readFiles(p.app, v.number)
	return v, files, err
}

// reactivate puts a version in force that is there already. It is compiled first:
// what it needs may be gone since.
func (p *Plugin) reactivate(e *core.RequestEvent) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	v, files, err := p.withFiles(e.Request.PathValue("version"))
	if err != nil {
		return failure(err)
	}
	generation, found := p.compile(e.Request.Context(), v.ID, files)
	if len(found) > 0 {
		return httpapi.Error(invalid(found))
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	if err := p.transact(e, func(tx core.App) error { return p.activate(tx, e, v, now) }); err != nil {
		return failure(err)
	}
	p.inForce(generation, v, now)
	v.Active, v.Activated = true, &now
	return e.JSON(http.StatusOK, v)
}

// deactivate switches all hooks off. Doing it twice is harmless.
func (p *Plugin) deactivate(e *core.RequestEvent) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	v, err := findVersion(p.app, "active = 1", nil)
	if errors.Is(err, errNotFound) {
		return e.NoContent(http.StatusNoContent)
	}
	if err != nil {
		return failure(err)
	}
	err = p.transact(e, func(tx core.App) error {
		if err := activate(tx, 0, time.Time{}); err != nil {
			return err
		}
		return p.cfg.Record(tx, e, Act{Action: "hook.deactivated", Type: "hook", ID: v.ID, Name: v.Label})
	})
	if err == nil {
		err = p.apply(e.Request.Context())
	}
	if err != nil {
		return failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

func (p *Plugin) delete(e *core.RequestEvent) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	v, err := getVersion(p.app, e.Request.PathValue("version"))
	if err != nil {
		return failure(err)
	}
	if v.Active {
		return httpapi.Error(errActive)
	}
	if newest, err := findVersion(p.app, newestOfFolder, nil); err == nil && newest.number == v.number {
		return httpapi.Error(errFolder)
	}
	err = p.transact(e, func(tx core.App) error {
		if err := deleteVersion(tx, v.number); err != nil {
			return err
		}
		return p.cfg.Record(tx, e, Act{Action: "hook.deleted", Type: "hook", ID: v.ID, Name: v.Label})
	})
	if err != nil {
		return failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

func (p *Plugin) types(e *core.RequestEvent) error {
	return e.Blob(http.StatusOK, "application/typescript; charset=utf-8", engine.Types())
}

// failure returns the error that is answered for err.
func failure(err error) error {
	var problems *problemsError
	if errors.As(err, &problems) {
		return httpapi.Error(invalid(problems.found))
	}
	var unreadable *unreadableError
	if errors.As(err, &unreadable) {
		return httpapi.Error(invalid([]engine.Problem{{Message: unreadable.Error()}}).WithCause(err))
	}
	var own *apierr.Error
	if errors.As(err, &own) {
		return httpapi.Error(own)
	}
	return httpapi.Failure(err)
}
