package platform

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

type organizationView struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Role    role   `json:"role"`
	Quotas  Quotas `json:"quotas"`
	Created string `json:"created"`
}

func (p *Platform) bindOrganizations(api *router.RouterGroup[*core.RequestEvent]) {
	g := api.Group("/organizations")
	g.GET("", p.listOrganizations)
	g.POST("", p.createOrganization)
	g.GET("/{organization}", p.getOrganization)
	g.PATCH("/{organization}", p.patchOrganization)
	g.DELETE("/{organization}", p.deleteOrganization)
}

func (p *Platform) organizationView(record *core.Record, has role) organizationView {
	return organizationView{
		ID: record.Id, Name: record.GetString("name"), Role: has,
		Quotas: p.quotasOf(record), Created: record.GetDateTime("created").String(),
	}
}

func (p *Platform) listOrganizations(e *core.RequestEvent) error {
	items := []organizationView{}
	if e.Auth.IsSuperuser() {
		all, err := p.App.FindAllRecords(schema.Organizations)
		if err != nil {
			return httpapi.Failure(err)
		}
		for _, record := range all {
			items = append(items, p.organizationView(record, owner))
		}
		return e.JSON(http.StatusOK, map[string]any{"items": items})
	}
	members, err := p.App.FindAllRecords(schema.Members, dbx.HashExp{"user": e.Auth.Id})
	if err != nil {
		return httpapi.Failure(err)
	}
	for _, member := range members {
		record, err := p.App.FindRecordById(schema.Organizations, member.GetString("organization"))
		if err != nil {
			return httpapi.Failure(err)
		}
		items = append(items, p.organizationView(record, role(member.GetString("role"))))
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

type organizationInput struct {
	Name   string  `json:"name"`
	Quotas *Quotas `json:"quotas"`
}

func checkTitle(name string) (string, error) {
	name = strings.TrimSpace(name)
	// It is in the subject and text of mails, which must not become others' words.
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, unicode.IsControl) {
		return "", apierr.Invalid("name", "must have 1 to 100 characters, in one line.")
	}
	return name, nil
}

func (p *Platform) createOrganization(e *core.RequestEvent) error {
	var in organizationInput
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	name, err := checkTitle(in.Name)
	if err != nil {
		return httpapi.Failure(err)
	}
	if in.Quotas != nil && !e.Auth.IsSuperuser() {
		return httpapi.Error(errRole.WithMessage("Only the platform's operator sets quotas."))
	}
	var record *core.Record
	err = p.App.RunInTransaction(func(tx core.App) error {
		if err := p.mayOwnOneMore(tx, e.Auth); err != nil {
			return err
		}
		var user *core.Record
		if !e.Auth.IsSuperuser() {
			user = e.Auth
		}
		if record, err = newOrganization(tx, name, user); err != nil {
			return err
		}
		if in.Quotas != nil {
			record.Set("quotas", in.Quotas)
			if err := tx.Save(record); err != nil {
				return err
			}
		}
		return p.record(tx, e, act{record.Id, "", "organization.created", map[string]any{"name": name}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusCreated, p.organizationView(record, owner))
}

// maxOwned bounds the organizations of one person: each has a quota of its own.
const maxOwned = 10

// mayOwnOneMore refuses another organization to those who may not make it.
func (p *Platform) mayOwnOneMore(tx core.App, user *core.Record) error {
	if user.IsSuperuser() {
		return nil
	}
	owned, err := tx.CountRecords(schema.Members, dbx.HashExp{"user": user.Id, "role": string(owner)})
	switch {
	case err != nil:
		return err
	case owned == 0 && !p.cfg.OpenSignUp:
		// A guest of one organization does not get a second quota by making another.
		return errRole.WithMessage("On this platform only owners of an organization create another one.")
	case owned >= maxOwned:
		return errQuota.WithMessage(fmt.Sprintf("One person owns at most %d organizations.", maxOwned)).WithDetail("quota", "organizations")
	}
	return nil
}

// newOrganization makes an organization that user owns; nil for nobody yet.
func newOrganization(tx core.App, name string, user *core.Record) (*core.Record, error) {
	collection, err := tx.FindCachedCollectionByNameOrId(schema.Organizations)
	if err != nil {
		return nil, err
	}
	record := core.NewRecord(collection)
	record.Id = newID()
	record.Set("name", name)
	if err := tx.Save(record); err != nil || user == nil {
		return record, err
	}
	return record, addMember(tx, record.Id, user.Id, owner)
}

func addMember(tx core.App, organization, user string, as role) error {
	members, err := tx.FindCachedCollectionByNameOrId(schema.Members)
	if err != nil {
		return err
	}
	member := core.NewRecord(members)
	member.Set("organization", organization)
	member.Set("user", user)
	member.Set("role", string(as))
	return tx.Save(member)
}

// organization returns the one in the path and the caller's role there.
func (p *Platform) organization(e *core.RequestEvent, least role) (*core.Record, role, error) {
	id := e.Request.PathValue("organization")
	if err := p.need(e, id, least); err != nil {
		return nil, "", err
	}
	has, err := p.membership(e, id)
	if err != nil {
		return nil, "", err
	}
	record, err := p.App.FindRecordById(schema.Organizations, id)
	return record, has, or(err, errOrganizationNotFound)
}

func (p *Platform) getOrganization(e *core.RequestEvent) error {
	record, has, err := p.organization(e, viewer)
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, p.organizationView(record, has))
}

func (p *Platform) patchOrganization(e *core.RequestEvent) error {
	record, has, err := p.organization(e, admin)
	if err != nil {
		return httpapi.Failure(err)
	}
	in := organizationInput{Name: record.GetString("name")}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	name, err := checkTitle(in.Name)
	if err != nil {
		return httpapi.Failure(err)
	}
	record.Set("name", name)
	if in.Quotas != nil {
		if !e.Auth.IsSuperuser() {
			return httpapi.Error(errRole.WithMessage("Only the platform's operator sets quotas."))
		}
		record.Set("quotas", in.Quotas)
	}
	err = p.App.RunInTransaction(func(tx core.App) error {
		if err := tx.Save(record); err != nil {
			return err
		}
		return p.record(tx, e, act{record.Id, "", "organization.changed", map[string]any{"name": name}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, p.organizationView(record, has))
}

func (p *Platform) deleteOrganization(e *core.RequestEvent) error {
	record, _, err := p.organization(e, owner)
	if err != nil {
		return httpapi.Failure(err)
	}
	err = p.App.RunInTransaction(func(tx core.App) error {
		projects, err := tx.CountRecords(schema.Projects, dbx.HashExp{"organization": record.Id})
		if err != nil {
			return err
		}
		if projects > 0 {
			return errOrganizationInUse
		}
		if err := tx.Delete(record); err != nil {
			return err
		}
		return p.record(tx, e, act{record.Id, "", "organization.deleted", map[string]any{"name": record.GetString("name")}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}
