// Package schema makes the collections of the platform's registry.
//
// PocketBase's lists of migrations are global, and a tenant comes from the same
// binary: registering there would give every project an organizations table. So
// the platform applies a list of its own to its own app.
//
//	err := schema.Apply(app) // after bootstrap
package schema

import (
	"errors"
	"fmt"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// Names of the collections and tables.
const (
	Users         = "users" // PocketBase's own
	Organizations = "organizations"
	Members       = "members"
	Invitations   = "invitations"
	Projects      = "projects"
	Domains       = "domains"
	Tokens        = "tokens"
	Events        = "events"
	Alerts        = "alerts"
	UsageTable    = "platform_usage"
)

// Apply brings the registry up to date.
func Apply(app core.App) error {
	var list core.MigrationsList
	list.Register(create, nil, "1800100001_platform.go")
	if _, err := core.NewMigrationsRunner(app, list).Up(); err != nil {
		return fmt.Errorf("migrate the registry: %w", err)
	}
	return nil
}

func create(tx core.App) error {
	if err := errors.Join(closeUsers(tx), limitGuesses(tx)); err != nil {
		return err
	}
	organizations, err := save(tx, Organizations, []core.Field{
		&core.TextField{Name: "name", Required: true, Max: 100},
		&core.JSONField{Name: "quotas", MaxSize: 1000},
	})
	if err != nil {
		return err
	}
	users, err := tx.FindCollectionByNameOrId(Users)
	if err != nil {
		return err
	}
	organization := func() core.Field {
		return &core.RelationField{Name: "organization", CollectionId: organizations.Id, Required: true, MaxSelect: 1, CascadeDelete: true}
	}
	user := func(name string, required bool) core.Field {
		return &core.RelationField{Name: name, CollectionId: users.Id, Required: required, MaxSelect: 1, CascadeDelete: required}
	}
	role := func() core.Field {
		return &core.SelectField{Name: "role", Required: true, MaxSelect: 1, Values: []string{"owner", "admin", "developer", "viewer"}}
	}
	if _, err = save(tx, Members, []core.Field{organization(), user("user", true), role()},
		"CREATE UNIQUE INDEX idx_members ON members (organization, user)", "CREATE INDEX idx_members_user ON members (user)"); err != nil {
		return err
	}
	if _, err = save(tx, Invitations, []core.Field{
		organization(), &core.EmailField{Name: "email", Required: true}, role(),
		&core.TextField{Name: "hash", Required: true, Hidden: true},
		&core.BoolField{Name: "mailed"},
		&core.DateField{Name: "expires", Required: true}, user("invitedBy", false),
	}, "CREATE UNIQUE INDEX idx_invitations ON invitations (organization, email)",
		"CREATE UNIQUE INDEX idx_invitations_hash ON invitations (hash)"); err != nil {
		return err
	}
	projects, err := save(tx, Projects, []core.Field{
		// Its organization cannot be deleted while there are projects.
		&core.RelationField{Name: "organization", CollectionId: organizations.Id, Required: true, MaxSelect: 1},
		&core.TextField{Name: "name", Required: true, Max: 63},
		&core.TextField{Name: "want", Required: true, Max: 20},
		&core.TextField{Name: "message", Max: 20000},
		&core.DateField{Name: "due"}, &core.DateField{Name: "deletedAt"},
		&core.TextField{Name: "firstKeys", Hidden: true, Max: 5000}, // hashes, never keys
		&core.TextField{Name: "branchFrom", Max: 15}, &core.TextField{Name: "branchAt", Max: 40},
		user("createdBy", false),
	}, "CREATE UNIQUE INDEX idx_projects_name ON projects (name)", "CREATE INDEX idx_projects_organization ON projects (organization)")
	if err != nil {
		return err
	}
	if _, err = save(tx, Domains, []core.Field{
		&core.RelationField{Name: "project", CollectionId: projects.Id, Required: true, MaxSelect: 1, CascadeDelete: true},
		&core.TextField{Name: "name", Required: true, Max: 253},
		&core.TextField{Name: "token", Required: true, Max: 100},
		&core.SelectField{Name: "status", Required: true, MaxSelect: 1, Values: []string{"pending", "verified", "failed"}},
		&core.TextField{Name: "message", Max: 1000},
		&core.DateField{Name: "checked"}, &core.DateField{Name: "verified"},
	}, "CREATE UNIQUE INDEX idx_domains ON domains (project, name)",
		"CREATE UNIQUE INDEX idx_domains_verified ON domains (name) WHERE status = 'verified'"); err != nil {
		return err
	}
	if _, err = save(tx, Tokens, []core.Field{
		user("user", true),
		&core.TextField{Name: "label", Max: 100},
		&core.TextField{Name: "hash", Required: true, Hidden: true, Max: 64},
		&core.TextField{Name: "lastFour", Max: 4},
		&core.JSONField{Name: "scopes", MaxSize: 1000},
		&core.DateField{Name: "expires"}, &core.DateField{Name: "lastUsed"},
	}, "CREATE UNIQUE INDEX idx_tokens_hash ON tokens (hash)", "CREATE INDEX idx_tokens_user ON tokens (user)"); err != nil {
		return err
	}
	if err = createEvents(tx); err != nil {
		return err
	}
	if _, err = save(tx, Alerts, []core.Field{
		&core.TextField{Name: "organization", Max: 15}, &core.TextField{Name: "project", Max: 15},
		&core.TextField{Name: "kind", Required: true, Max: 40},
		&core.TextField{Name: "message", Max: 5000},
		&core.DateField{Name: "closed"}, &core.DateField{Name: "acknowledged"},
		&core.TextField{Name: "acknowledgedBy", Max: 200},
		&core.BoolField{Name: "openTold"}, &core.BoolField{Name: "closeTold"},
		&core.NumberField{Name: "attempts"}, &core.DateField{Name: "nextTry"}, // empty when all is told
	}, "CREATE UNIQUE INDEX idx_alerts_open ON alerts (organization, project, kind) WHERE closed = ''",
		"CREATE INDEX idx_alerts_untold ON alerts (nextTry) WHERE nextTry != ''"); err != nil {
		return err
	}
	_, err = tx.NonconcurrentDB().NewQuery(`
CREATE TABLE ` + UsageTable + ` (
	project  TEXT NOT NULL,
	day      TEXT NOT NULL, -- 2027-01-31, UTC
	organization TEXT NOT NULL,
	requests INTEGER NOT NULL DEFAULT 0,
	errors   INTEGER NOT NULL DEFAULT 0,
	bytesIn  INTEGER NOT NULL DEFAULT 0,
	bytesOut INTEGER NOT NULL DEFAULT 0,
	storage  INTEGER NOT NULL DEFAULT 0, -- bytes, as last seen that day
	PRIMARY KEY (project, day)
) WITHOUT ROWID;
CREATE INDEX idx_platform_usage ON ` + UsageTable + ` (organization, day);`).Execute()
	return err
}

// closeUsers takes away what PocketBase lets users do by default: who may sign up
// is the platform's to say, and an organization must not lose its last owner.
func closeUsers(tx core.App) error {
	users, err := tx.FindCollectionByNameOrId(Users)
	if err != nil {
		return err
	}
	users.DeleteRule = nil
	users.ListRule = nil
	users.CreateRule = types.Pointer("") // checked by the platform, see sign-up
	return tx.Save(users)
}

// limitGuesses bounds how fast an address can try passwords and codes.
func limitGuesses(tx core.App) error {
	settings := tx.Settings()
	settings.Meta.AppName = "PicoBase"
	settings.RateLimits.Enabled = true
	settings.RateLimits.Rules = []core.RateLimitRule{
		{Label: "*:auth", MaxRequests: 10, Duration: 30},
		{Label: "*:create", MaxRequests: 20, Duration: 60},
		{Label: "*:requestPasswordReset", MaxRequests: 5, Duration: 60},
		{Label: "POST /api/platform/v1/device/code", MaxRequests: 10, Duration: 60},
		{Label: "POST /api/platform/v1/device/token", MaxRequests: 60, Duration: 60},
		{Label: "POST /api/platform/v1/invitations/accept", MaxRequests: 10, Duration: 60},
	}
	return tx.Save(settings)
}

func createEvents(tx core.App) error {
	if _, err := save(tx, Events, []core.Field{
		&core.TextField{Name: "organization", Max: 15}, &core.TextField{Name: "project", Max: 15},
		&core.TextField{Name: "action", Required: true, Max: 60},
		&core.TextField{Name: "actor", Max: 100}, &core.TextField{Name: "actorName", Max: 255},
		&core.JSONField{Name: "details", MaxSize: 20000},
	}, "CREATE INDEX idx_events ON events (organization, created)", "CREATE INDEX idx_events_project ON events (project, created)"); err != nil {
		return err
	}
	// What was done stays, whoever asks: neither the dashboard nor a bug changes it.
	_, err := tx.NonconcurrentDB().NewQuery(`
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;`).Execute()
	return err
}

// save makes a system collection that only the platform's own API, and the
// operator's superuser, can reach.
func save(tx core.App, name string, fields []core.Field, indexes ...string) (*core.Collection, error) {
	c := core.NewBaseCollection(name)
	c.System = true
	c.Fields.Add(fields...)
	c.Fields.Add(
		&core.AutodateField{Name: "created", OnCreate: true},
		&core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
	c.Indexes = indexes
	return c, tx.Save(c)
}
