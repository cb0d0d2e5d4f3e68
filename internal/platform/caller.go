package platform

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// PathPrefix is where the platform's own API lives.
const PathPrefix = "/api/platform/v1"

// Role is what somebody may do in an organization. Each may do what those before
// it may.
type role string

const (
	viewer    role = "viewer"    // sees
	developer role = "developer" // makes, starts and stops projects, acts on their data
	admin     role = "admin"     // deletes projects, manages people but owners
	owner     role = "owner"     // all
)

var rolesUpwards = []role{viewer, developer, admin, owner}

func (r role) atLeast(least role) bool {
	return slices.Index(rolesUpwards, r) >= slices.Index(rolesUpwards, least)
}

func parseRole(text string) (role, *apierr.Error) {
	if !slices.Contains(rolesUpwards, role(text)) {
		return "", apierr.Invalid("role", "must be owner, admin, developer or viewer.")
	}
	return role(text), nil
}

// Personal access tokens look as API keys do: prefix, random part, checksum.
const tokenPrefix = "pbp_"

const tokenKey = "picoPlatformToken"

func newToken() string {
	body := tokenPrefix + randomText()
	return body + checksum(body)
}

func checksum(body string) string {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc32.ChecksumIEEE([]byte(body))
	digits := make([]byte, 6)
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return string(digits)
}

func wellFormed(token string) bool {
	const length = len(tokenPrefix) + 32 + 6
	return len(token) == length && checksum(token[:length-6]) == token[length-6:]
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func bearer(r *http.Request) string {
	text := r.Header.Get("Authorization")
	if len(text) > 7 && strings.EqualFold(text[:7], "Bearer ") {
		return text[7:]
	}
	return text
}

// loadToken lets a personal access token act as its person, in the platform's API
// and nowhere else: PocketBase's would let it change the password.
func (p *Platform) loadToken(e *core.RequestEvent) error {
	raw := bearer(e.Request)
	if !strings.HasPrefix(raw, tokenPrefix) {
		return e.Next()
	}
	if !strings.HasPrefix(e.Request.URL.Path, PathPrefix+"/") {
		return httpapi.Error(errTokenElsewhere)
	}
	if !wellFormed(raw) {
		return httpapi.Error(errTokenInvalid)
	}
	record, err := p.App.FindFirstRecordByData(schema.Tokens, "hash", hashOf(raw))
	if err != nil {
		return httpapi.Failure(or(err, errTokenInvalid))
	}
	now := p.cfg.Now()
	if expires := record.GetDateTime("expires"); !expires.IsZero() && !now.Before(expires.Time()) {
		return httpapi.Error(errTokenInvalid)
	}
	// Wherever the request goes: not all that changes something is behind requireCaller.
	if e.Request.Method != http.MethodGet && e.Request.Method != http.MethodHead && !slices.Contains(record.GetStringSlice("scopes"), "write") {
		return httpapi.Error(errTokenReadOnly)
	}
	user, err := p.App.FindRecordById(schema.Users, record.GetString("user"))
	if err != nil {
		return httpapi.Failure(or(err, errTokenInvalid))
	}
	// Once a minute is enough, and a write for each request would not be.
	if now.Sub(record.GetDateTime("lastUsed").Time()) > time.Minute {
		_, err := p.App.NonconcurrentDB().Update(schema.Tokens, dbx.Params{"lastUsed": types.NowDateTime().String()}, dbx.HashExp{"id": record.Id}).Execute()
		if err != nil {
			return httpapi.Failure(err)
		}
	}
	e.Auth = user
	e.Set(tokenKey, record)
	return e.Next()
}

// requireCaller lets people and the operator pass.
func (p *Platform) requireCaller(e *core.RequestEvent) error {
	if e.Auth == nil || (e.Auth.Collection().Name != schema.Users && !e.Auth.IsSuperuser()) {
		if raw := bearer(e.Request); raw != "" {
			return httpapi.Error(errSignIn.WithMessage("This token is not valid here, or has expired. Sign in again."))
		}
		return httpapi.Error(errSignIn)
	}
	e.Response.Header().Set("Cache-Control", "no-store")
	return e.Next()
}

// membership returns the caller's role in the organization; no access is no such
// organization.
func (p *Platform) membership(e *core.RequestEvent, organization string) (role, error) {
	if e.Auth.IsSuperuser() {
		if _, err := p.App.FindRecordById(schema.Organizations, organization); err != nil {
			return "", or(err, errOrganizationNotFound)
		}
		return owner, nil
	}
	member, err := p.App.FindFirstRecordByFilter(schema.Members, "organization = {:o} && user = {:u}",
		dbx.Params{"o": organization, "u": e.Auth.Id})
	if err != nil {
		return "", or(err, errOrganizationNotFound)
	}
	return role(member.GetString("role")), nil
}

// need makes sure that the caller has at least the role.
func (p *Platform) need(e *core.RequestEvent, organization string, least role) error {
	has, err := p.membership(e, organization)
	if err != nil {
		return err
	}
	if !has.atLeast(least) {
		return errRole.WithMessage(fmt.Sprintf("That needs the role %s in this organization; yours is %s.", least, has)).
			WithDetail("role", string(has)).WithDetail("needs", string(least))
	}
	return nil
}

// project returns the project in the path, if the caller has the role there.
func (p *Platform) project(e *core.RequestEvent, least role) (*core.Record, error) {
	record, err := p.App.FindRecordById(schema.Projects, e.Request.PathValue("id"))
	if err != nil {
		return nil, or(err, errProjectNotFound)
	}
	err = p.need(e, record.GetString("organization"), least)
	if apiErr, ok := err.(*apierr.Error); ok && apiErr.Code == errOrganizationNotFound.Code { //nolint:errorlint // it is made above
		err = errProjectNotFound
	}
	return record, err
}

// organizationOf returns the organization that a request is about: the one named,
// or the caller's only one.
func (p *Platform) organizationOf(e *core.RequestEvent, named string, least role) (string, error) {
	if named != "" || e.Auth.IsSuperuser() {
		if named == "" {
			return "", errOrganizationNeeded
		}
		return named, p.need(e, named, least)
	}
	members, err := p.App.FindAllRecords(schema.Members, dbx.HashExp{"user": e.Auth.Id})
	if err != nil {
		return "", err
	}
	var found []string
	for _, member := range members {
		if role(member.GetString("role")).atLeast(least) {
			found = append(found, member.GetString("organization"))
		}
	}
	switch len(found) {
	case 0:
		return "", errRole.WithMessage("You are in no organization in which you may do that. Create one first.")
	case 1:
		return found[0], nil
	}
	return "", errOrganizationNeeded
}

// act is something that was done, for the events.
type act struct {
	organization, project, action string
	details                       map[string]any
}

// record keeps what was done and by whom, in the same transaction.
func (p *Platform) record(tx core.App, e *core.RequestEvent, a act) error {
	events, err := tx.FindCachedCollectionByNameOrId(schema.Events)
	if err != nil {
		return err
	}
	event := core.NewRecord(events)
	event.Set("organization", a.organization)
	event.Set("project", a.project)
	event.Set("action", a.action)
	event.Set("details", a.details)
	switch {
	case e == nil || e.Auth == nil:
		event.Set("actor", "platform")
	default:
		event.Set("actor", e.Auth.Collection().Name+"/"+e.Auth.Id)
		event.Set("actorName", e.Auth.Email())
	}
	return tx.Save(event)
}

// happened records what the fleet did by itself.
func (p *Platform) happened(id, what, message string) {
	view, _ := p.fleet.View(id)
	err := p.record(p.App, nil, act{view.Organization, id, what, map[string]any{"message": message}})
	if err != nil {
		p.cfg.Logger.Error("event not recorded", "error", err)
	}
}
