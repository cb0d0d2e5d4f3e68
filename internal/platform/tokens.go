package platform

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

func (p *Platform) bindTokens(api *router.RouterGroup[*core.RequestEvent]) {
	g := api.Group("/tokens")
	g.GET("", p.listTokens)
	g.POST("", p.createToken)
	g.DELETE("/{token}", p.revokeToken)
	api.GET("/me", p.me)
	api.POST("/device/approve", p.approveDevice)
}

type tokenView struct {
	ID       string   `json:"id"`
	Label    string   `json:"label"`
	LastFour string   `json:"lastFour"`
	Scopes   []string `json:"scopes"`
	Expires  string   `json:"expires,omitempty"`
	LastUsed string   `json:"lastUsed,omitempty"`
	Created  string   `json:"created"`
	Token    string   `json:"token,omitempty"` // when it is made only
}

func viewToken(r *core.Record) tokenView {
	return tokenView{
		ID: r.Id, Label: r.GetString("label"), LastFour: r.GetString("lastFour"), Scopes: r.GetStringSlice("scopes"),
		Expires: r.GetDateTime("expires").String(), LastUsed: r.GetDateTime("lastUsed").String(), Created: r.GetDateTime("created").String(),
	}
}

// me tells who the caller is.
func (p *Platform) me(e *core.RequestEvent) error {
	return e.JSON(http.StatusOK, map[string]any{
		"id": e.Auth.Id, "email": e.Auth.Email(), "name": e.Auth.GetString("name"), "operator": e.Auth.IsSuperuser(),
	})
}

func (p *Platform) listTokens(e *core.RequestEvent) error {
	records, err := p.App.FindAllRecords(schema.Tokens, dbx.HashExp{"user": e.Auth.Id})
	if err != nil {
		return httpapi.Failure(err)
	}
	items := []tokenView{}
	for _, record := range records {
		items = append(items, viewToken(record))
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

func (p *Platform) createToken(e *core.RequestEvent) error {
	var in struct {
		Label   string   `json:"label"`
		Scopes  []string `json:"scopes"`
		Expires string   `json:"expires"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	if e.Auth.IsSuperuser() {
		return httpapi.Error(errRole.WithMessage("Tokens are of people. Sign in as a user of the platform."))
	}
	if len(in.Label) > 100 {
		return httpapi.Error(apierr.Invalid("label", "must have at most 100 characters."))
	}
	if in.Scopes == nil {
		in.Scopes = []string{"read", "write"}
	}
	// Whoever writes is answered what there is, so that every token reads.
	if !slices.Contains(in.Scopes, "read") || slices.ContainsFunc(in.Scopes, func(s string) bool { return s != "read" && s != "write" }) || len(in.Scopes) > 2 {
		return httpapi.Error(apierr.Invalid("scopes", "must be read, or read and write."))
	}
	var expires time.Time
	if in.Expires != "" {
		var err error
		if expires, err = time.Parse(time.RFC3339, in.Expires); err != nil || !expires.After(p.cfg.Now()) {
			return httpapi.Error(apierr.Invalid("expires", "must be a time to come such as 2027-01-31T00:00:00Z."))
		}
	}
	if own, ok := e.Get(tokenKey).(*core.Record); ok {
		// A token must not outlive itself by making another.
		if end := own.GetDateTime("expires").Time(); !end.IsZero() && (expires.IsZero() || expires.After(end)) {
			expires = end
		}
	}
	var view tokenView
	err := p.App.RunInTransaction(func(tx core.App) (err error) {
		if view, err = p.newToken(tx, e.Auth.Id, in.Label, in.Scopes, expires); err != nil {
			return err
		}
		return p.record(tx, e, act{"", "", "token.created", map[string]any{"id": view.ID, "label": in.Label}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusCreated, view)
}

func (p *Platform) newToken(tx core.App, user, label string, scopes []string, expires time.Time) (tokenView, error) {
	collection, err := tx.FindCachedCollectionByNameOrId(schema.Tokens)
	if err != nil {
		return tokenView{}, err
	}
	token := newToken()
	record := core.NewRecord(collection)
	record.Set("user", user)
	record.Set("label", strings.TrimSpace(label))
	record.Set("hash", hashOf(token))
	record.Set("lastFour", token[len(token)-4:])
	record.Set("scopes", scopes)
	if !expires.IsZero() {
		record.Set("expires", expires)
	}
	if err := tx.Save(record); err != nil {
		return tokenView{}, err
	}
	view := viewToken(record)
	view.Token = token
	return view, nil
}

// NewToken makes a personal access token that does not expire.
func (p *Platform) NewToken(user, label string) (string, error) {
	view, err := p.newToken(p.App, user, label, []string{"read", "write"}, time.Time{})
	return view.Token, err
}

func (p *Platform) revokeToken(e *core.RequestEvent) error {
	record, err := p.App.FindRecordById(schema.Tokens, e.Request.PathValue("token"))
	if err != nil || record.GetString("user") != e.Auth.Id {
		return httpapi.Error(errTokenNotFound)
	}
	err = p.App.RunInTransaction(func(tx core.App) error {
		if err := tx.Delete(record); err != nil {
			return err
		}
		return p.record(tx, e, act{"", "", "token.revoked", map[string]any{"id": record.Id, "label": record.GetString("label")}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}
