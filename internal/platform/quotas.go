package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/picobase/picobase/internal/platform/fleet"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// Quotas bound what an organization may have. Zero is no bound.
type Quotas struct {
	Projects int   `json:"projects"` // that are not deleted
	Running  int   `json:"running"`  // at once
	Storage  int64 `json:"storage"`  // bytes of all its databases
	Requests int64 `json:"requests"` // in a calendar month, UTC
}

func (p *Platform) quotasOf(organization *core.Record) Quotas {
	quotas := p.cfg.Quotas
	// What an operator has set stands before the defaults, field by field.
	_ = json.Unmarshal([]byte(organization.GetString("quotas")), &quotas) // null, or what was checked when it was stored
	return quotas
}

// mayCreate refuses one more project.
func (p *Platform) mayCreate(tx core.App, organization string) error {
	record, err := tx.FindRecordById(schema.Organizations, organization)
	if err != nil {
		return or(err, errOrganizationNotFound)
	}
	quotas := p.quotasOf(record)
	if quotas.Projects > 0 {
		total, err := tx.CountRecords(schema.Projects, dbx.HashExp{"organization": organization}, dbx.Not(dbx.HashExp{"want": string(fleet.Deleted)}))
		if err != nil {
			return err
		}
		if total >= int64(quotas.Projects) {
			return p.overQuota(organization, "projects", total, int64(quotas.Projects), "delete one, or ask the operator for more")
		}
	}
	return p.overUse(tx, organization, quotas)
}

// mayWake refuses to wake a project of an organization that has used up its quota.
func (p *Platform) mayWake(_ context.Context, project fleet.Project, running int) error {
	record, err := p.App.FindRecordById(schema.Organizations, project.Organization)
	if err != nil {
		return or(err, errOrganizationNotFound)
	}
	quotas := p.quotasOf(record)
	if quotas.Running > 0 && running >= quotas.Running {
		return p.overQuota(project.Organization, "running", int64(running), int64(quotas.Running), "stop one, or wait until one sleeps")
	}
	return p.overUse(p.App, project.Organization, quotas)
}

// overUse refuses what an organization asks for that has used too much.
func (p *Platform) overUse(tx core.App, organization string, quotas Quotas) error {
	if quotas.Storage <= 0 && quotas.Requests <= 0 {
		return nil
	}
	used, err := p.usedBy(tx, organization)
	switch {
	case err != nil:
		return err
	case quotas.Storage > 0 && used.Storage > quotas.Storage:
		return p.overQuota(organization, "storage", used.Storage, quotas.Storage, "delete data or projects, or ask the operator for more")
	case quotas.Requests > 0 && used.Requests > quotas.Requests:
		return p.overQuota(organization, "requests", used.Requests, quotas.Requests, "wait for the next month, or ask the operator for more")
	}
	return nil
}

func (p *Platform) overQuota(_, which string, used, quota int64, next string) error {
	return errQuota.WithMessage(fmt.Sprintf("The organization's quota of %s is used up (%d of %d): %s.", which, used, quota, next)).
		WithDetail("quota", which).WithDetail("used", used).WithDetail("limit", quota)
}

// used is what an organization has used: storage now, requests this month.
type used struct {
	Storage  int64 `db:"storage" json:"storage"`
	Requests int64 `db:"requests" json:"requests"`
}

func (p *Platform) usedBy(tx core.App, organization string) (u used, err error) {
	month := p.cfg.Now().UTC().Format("2006-01") + "-01"
	// The storage of a project that sleeps is what was seen last.
	err = tx.DB().NewQuery(`
SELECT COALESCE((SELECT SUM(requests) FROM ` + schema.UsageTable + ` WHERE organization = {:o} AND day >= {:m}), 0) AS requests,
       COALESCE((SELECT SUM(storage) FROM (
           SELECT storage, MAX(day) FROM ` + schema.UsageTable + ` u JOIN projects p ON p.id = u.project
           WHERE u.organization = {:o} AND p.want != 'deleted' GROUP BY u.project)), 0) AS storage`).
		Bind(dbx.Params{"o": organization, "m": month}).One(&u)
	return u, err
}

// checkUse opens or closes the quota alert of an organization.
func (p *Platform) checkUse(organization string) {
	record, err := p.App.FindRecordById(schema.Organizations, organization)
	if err != nil {
		return // it is gone
	}
	if err := p.overUse(p.App, organization, p.quotasOf(record)); err != nil {
		p.open(alert{organization: organization, kind: "quota", message: err.Error()})
		return
	}
	p.close(alert{organization: organization, kind: "quota"})
}

// day is a day as the usage table has it.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
