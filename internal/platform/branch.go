package platform

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/fleet"
	"github.com/picobase/picobase/plugins/backups/restore"
	"github.com/pocketbase/pocketbase/core"
)

// branchStart bounds how long the first start of a branch is waited for, by
// nobody: it may copy a large database.
const branchStart = 30 * time.Minute

// branchProject makes a new project that begins as this one was at a moment. It is
// started at once: its original may be gone when somebody asks for it.
func (p *Platform) branchProject(e *core.RequestEvent) error {
	record, err := p.project(e, developer)
	if err != nil {
		return httpapi.Failure(err)
	}
	var in struct {
		Name string `json:"name"`
		At   string `json:"at"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	if in.At != "" {
		at, err := time.Parse(time.RFC3339, in.At)
		if err != nil {
			return httpapi.Error(apierr.Invalid("at", "must be a time such as 2027-01-31T15:04:05Z."))
		}
		if at.After(p.cfg.Now()) {
			return httpapi.Error(apierr.Invalid("at", "must not be in the future."))
		}
	}
	if view, _ := p.fleet.View(record.Id); view.Want == fleet.Deleted {
		return httpapi.Error(errProjectDeleted)
	}
	if err := p.mayCreate(p.App, record.GetString("organization")); err != nil {
		return httpapi.Failure(err)
	}
	if err := p.checkSource(e.Request.Context(), record.Id); err != nil {
		return httpapi.Failure(err)
	}
	view, err := p.NewProject(e, record.GetString("organization"), in.Name, Branch{From: record.Id, At: in.At})
	if err != nil {
		return httpapi.Failure(err)
	}
	p.background.Go(func() {
		ctx, cancel := context.WithTimeout(p.life, branchStart)
		defer cancel()
		if err := p.fleet.StartProject(ctx, view.ID); err != nil && p.life.Err() == nil {
			p.cfg.Logger.Warn("a branch does not run yet", "project", view.ID, "error", err)
		}
	})
	return e.JSON(http.StatusCreated, view)
}

// branchSource is what PICOBASE_BRANCH_FROM says for a project: its folder in the
// bucket, or on this machine.
func (p *Platform) branchSource(id string) (string, error) {
	switch {
	case p.bucket != nil:
		return p.cfg.Storage.Project(id).Prefix, nil
	case p.cfg.Folder == nil:
		return "", errBranchBucket
	}
	return p.cfg.Folder(id)
}

// checkSource makes sure that there is something to branch from.
func (p *Platform) checkSource(ctx context.Context, id string) error {
	source, err := p.branchSource(id)
	if err != nil {
		return err
	}
	if p.bucket == nil {
		if _, err := os.Stat(filepath.Join(source, restore.Folder, "store", "replica")); err != nil {
			return errBranchNoReplica.WithCause(err)
		}
		return nil
	}
	for _, err := range p.bucket.List(ctx, id+"/replica/", "") {
		if err != nil {
			return fmt.Errorf("look for the replica: %w", err)
		}
		return nil
	}
	return errBranchNoReplica
}
