package platform

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/fleet"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/picobase/picobase/internal/secret"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// registry is the fleet's store: the collection of projects, past the hooks of
// records, for each wake writes to it.
type registry struct{ *Platform }

type projectRow struct {
	ID           string         `db:"id"`
	Name         string         `db:"name"`
	Organization string         `db:"organization"`
	Want         string         `db:"want"`
	Message      string         `db:"message"`
	Due          types.DateTime `db:"due"`
	DeletedAt    types.DateTime `db:"deletedAt"`
}

// Load implements [fleet.Store].
func (r registry) Load(context.Context) ([]fleet.Project, error) {
	var rows []projectRow
	if err := r.App.DB().Select("id", "name", "organization", "want", "message", "due", "deletedAt").From(schema.Projects).All(&rows); err != nil {
		return nil, err
	}
	domains, err := r.verifiedDomains(nil)
	if err != nil {
		return nil, err
	}
	projects := make([]fleet.Project, 0, len(rows))
	for _, row := range rows {
		projects = append(projects, fleet.Project{
			ID: row.ID, Name: row.Name, Organization: row.Organization, Hosts: append([]string{r.hostOf(row.Name)}, domains[row.ID]...),
			State: fleet.State{Want: fleet.Want(row.Want), Message: row.Message, Due: row.Due.Time(), DeletedAt: row.DeletedAt.Time()},
		})
	}
	return projects, nil
}

// SetState implements [fleet.Store].
func (r registry) SetState(_ context.Context, id string, s fleet.State) error {
	_, err := r.App.NonconcurrentDB().Update(schema.Projects, dbx.Params{
		"want": string(s.Want), "message": s.Message, "due": dateText(s.Due), "deletedAt": dateText(s.DeletedAt),
	}, dbx.HashExp{"id": id}).Execute()
	return err
}

// Forget implements [fleet.Store].
func (r registry) Forget(_ context.Context, id string) error {
	return r.App.RunInTransaction(func(tx core.App) error {
		record, err := tx.FindRecordById(schema.Projects, id)
		if err != nil {
			return or(err, errProjectNotFound)
		}
		if err := tx.Delete(record); err != nil { // its domains too
			return err
		}
		return r.record(tx, nil, act{record.GetString("organization"), id, "project.purged", map[string]any{"name": record.GetString("name")}})
	})
}

// dateText is a time as PocketBase stores it.
func dateText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	date, _ := types.ParseDateTime(t) // a time is always one
	return date.String()
}

// verifiedDomains returns the domains of the project, or of all.
func (p *Platform) verifiedDomains(where dbx.Expression) (map[string][]string, error) {
	var rows []struct {
		Project string `db:"project"`
		Name    string `db:"name"`
	}
	err := p.App.DB().Select("project", "name").From(schema.Domains).Where(dbx.HashExp{"status": verified}).AndWhere(where).All(&rows)
	domains := map[string][]string{}
	for _, row := range rows {
		domains[row.Project] = append(domains[row.Project], row.Name)
	}
	for _, names := range domains {
		slices.Sort(names)
	}
	return domains, err
}

// reroute publishes where a project is reached now.
func (p *Platform) reroute(id string) error {
	record, err := p.App.FindRecordById(schema.Projects, id)
	if err != nil {
		return or(err, errProjectNotFound)
	}
	domains, err := p.verifiedDomains(dbx.HashExp{"project": id})
	if err != nil {
		return err
	}
	name := record.GetString("name")
	p.fleet.Rename(id, name, append([]string{p.hostOf(name)}, domains[id]...))
	p.settle()
	return nil
}

// settle waits until the routers know what was just made or renamed, for a second at
// most: its owner may use it before they do otherwise, and find nothing there.
func (p *Platform) settle() {
	ctx, cancel := context.WithTimeout(p.life, time.Second)
	defer cancel()
	p.routes.Settle(ctx)
}

// spec is what a tenant is made of.
func (p *Platform) spec(_ context.Context, id string) (driver.Spec, error) {
	record, err := p.App.FindRecordById(schema.Projects, id)
	if err != nil {
		return driver.Spec{}, err
	}
	env := map[string]secret.String{}
	for name, value := range p.cfg.TenantEnv {
		env[name] = value
	}
	set := func(name, value string) {
		if value != "" {
			env["PICOBASE_"+name] = secret.New(value)
		}
	}
	set("PROJECT_ID", id)
	set("PLATFORM_PUBLIC_KEY", p.key.Public())
	set("FIRST_KEYS", record.GetString("firstKeys"))
	set("ROUTERS", p.cfg.Routers)
	if key := p.cfg.Storage.EncryptionKey; !key.IsZero() {
		env["PICOBASE_ENCRYPTION_KEY"] = key
	}
	if p.bucket != nil {
		bucket := p.cfg.Storage.Project(id)
		set("S3_ENDPOINT", bucket.Endpoint)
		set("S3_REGION", bucket.Region)
		set("S3_BUCKET", bucket.Bucket)
		set("S3_PREFIX", bucket.Prefix)
		env["PICOBASE_S3_ACCESS_KEY_ID"], env["PICOBASE_S3_SECRET_ACCESS_KEY"] = bucket.AccessKeyID, bucket.SecretAccessKey
	}
	if from := record.GetString("branchFrom"); from != "" {
		source, err := p.branchSource(from)
		if err != nil {
			return driver.Spec{}, err
		}
		set("BRANCH_FROM", source)
		set("BRANCH_AT", record.GetString("branchAt"))
		// A copy must not tell the world what its original tells already.
		set("WEBHOOKS", "paused")
	}
	return driver.Spec{
		ID: id, Name: record.GetString("name"), Env: env,
		Memory: p.cfg.TenantMemory, CPU: p.cfg.TenantCPU, Region: p.cfg.TenantRegion,
	}, nil
}

// purge deletes a project's folder in the bucket.
func (p *Platform) purge(ctx context.Context, id string) error {
	if p.bucket == nil {
		return nil // it was in the tenant's own folder
	}
	const batch = 1000
	var keys []string
	for info, err := range p.bucket.List(ctx, id+"/", "") {
		if err != nil {
			return fmt.Errorf("list the replica: %w", err)
		}
		if keys = append(keys, info.Key); len(keys) == batch {
			if err := p.bucket.Delete(ctx, keys...); err != nil {
				return fmt.Errorf("delete the replica: %w", err)
			}
			keys = keys[:0]
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if err := p.bucket.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("delete the replica: %w", err)
	}
	return nil
}
