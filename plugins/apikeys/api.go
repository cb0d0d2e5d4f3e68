package apikeys

import (
	"net/http"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/pocketbase/pocketbase/tools/types"
)

// bindAPI binds /api/v1/keys.
func (p *Plugin) bindAPI(r *router.Router[*core.RequestEvent]) {
	g := r.Group(httpapi.PathPrefix + "/keys")
	g.Bind(httpapi.Require(scope.Keys))
	g.GET("", p.list)
	g.POST("", p.create)
	g.GET("/{id}", p.get)
	g.PATCH("/{id}", p.update)
	g.DELETE("/{id}", p.revoke)
	g.POST("/{id}/rotate", p.rotate)
}

// keyList is the answer of list.
type keyList struct {
	Items      []Key `json:"items"`
	TotalItems int   `json:"totalItems"`
}

func (p *Plugin) list(e *core.RequestEvent) error {
	var records []*core.Record
	if err := e.App.RecordQuery(migrations.KeysCollection).OrderBy("created DESC", "id").All(&records); err != nil {
		return httpapi.Failure(err)
	}
	answer := keyList{Items: make([]Key, 0, len(records)), TotalItems: len(records)}
	for _, record := range records {
		answer.Items = append(answer.Items, p.view(record, ""))
	}
	return e.JSON(http.StatusOK, answer)
}

func (p *Plugin) get(e *core.RequestEvent) error {
	record, err := p.find(e)
	if err != nil {
		return err
	}
	return e.JSON(http.StatusOK, p.view(record, ""))
}

func (p *Plugin) create(e *core.RequestEvent) error {
	var in createInput
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	record, err := p.newRecord(e.App, in)
	if err != nil {
		return httpapi.Failure(err)
	}
	caller := httpapi.CallerOf(e)
	record.Set("createdBy", string(caller.Kind)+":"+caller.Name)
	raw, err := p.mint(record)
	if err != nil {
		return httpapi.Failure(err)
	}
	if err := p.checkStrength(caller, record); err != nil {
		return httpapi.Error(err)
	}
	if err := p.cfg.Transact(e, func(tx core.App) error { return tx.Save(record) }); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusCreated, p.view(record, raw))
}

func (p *Plugin) update(e *core.RequestEvent) error {
	var in updateInput
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	record, err := p.findActive(e)
	if err != nil {
		return err
	}
	if err := p.apply(record, in); err != nil {
		return httpapi.Failure(err)
	}
	if err := p.checkStrength(httpapi.CallerOf(e), record); err != nil {
		return httpapi.Error(err)
	}
	if err := p.cfg.Transact(e, func(tx core.App) error { return tx.Save(record) }); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, p.view(record, ""))
}

// revoke ends a key for good. The line stays, so that its holder is told
// "revoked" and the audit trail's ids keep their meaning.
func (p *Plugin) revoke(e *core.RequestEvent) error {
	record, err := p.find(e)
	if err != nil {
		return err
	}
	if err := p.checkStrength(httpapi.CallerOf(e), record); err != nil {
		return httpapi.Error(err)
	}
	if record.GetDateTime("revoked").IsZero() {
		record.Set("revoked", p.cfg.Now())
		if err := p.cfg.Transact(e, func(tx core.App) error { return tx.Save(record) }); err != nil {
			return httpapi.Failure(err)
		}
	}
	return e.JSON(http.StatusOK, p.view(record, ""))
}

// rotate makes a successor of a key; the old one works on for the grace time.
func (p *Plugin) rotate(e *core.RequestEvent) error {
	in := rotateInput{Grace: defaultGrace}
	if e.Request.ContentLength != 0 {
		if err := httpapi.Decode(e, &in); err != nil {
			return err
		}
	}
	grace, err := parseGrace(in.Grace)
	if err != nil {
		return httpapi.Failure(err)
	}
	old, err := p.findActive(e)
	if err != nil {
		return err
	}
	if err := p.checkStrength(httpapi.CallerOf(e), old); err != nil {
		return httpapi.Error(err)
	}
	next, raw, err := p.successor(e, old, grace)
	if err != nil {
		return httpapi.Failure(err)
	}
	err = p.cfg.Transact(e, func(tx core.App) error {
		if err := tx.Save(next); err != nil {
			return err
		}
		return tx.Save(old)
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusCreated, p.view(next, raw))
}

func (p *Plugin) find(e *core.RequestEvent) (*core.Record, error) {
	record, err := e.App.FindRecordById(migrations.KeysCollection, e.Request.PathValue("id"))
	if err != nil {
		return nil, httpapi.Error(ErrKeyNotFound.WithCause(err))
	}
	return record, nil
}

// findActive returns a key that is neither revoked nor expired, and that the
// caller may change.
func (p *Plugin) findActive(e *core.RequestEvent) (*core.Record, error) {
	record, err := p.find(e)
	if err != nil {
		return nil, err
	}
	if p.status(record) != statusActive {
		return nil, httpapi.Error(ErrKeyInactive)
	}
	if err := p.checkStrength(httpapi.CallerOf(e), record); err != nil {
		return nil, httpapi.Error(err)
	}
	return record, nil
}

// checkStrength lets a key make or change only keys that may do no more than
// itself: no scope beyond its own, no longer life, no further addresses, no
// higher rate.
func (p *Plugin) checkStrength(caller httpapi.Caller, record *core.Record) *apierr.Error {
	if caller.IsOwner() {
		return nil
	}
	own := p.callerEntry(caller)
	if own == nil {
		return ErrStrongerKey
	}
	target, err := rowOf(record).entry()
	if err != nil {
		return ErrStrongerKey.WithCause(err)
	}
	outlives := !own.expires.IsZero() && (target.expires.IsZero() || target.expires.After(own.expires))
	roams := len(own.allowed) > 0 && len(target.allowed) == 0
	for _, prefix := range target.allowed {
		roams = roams || !own.covers(prefix)
	}
	ownRate, rate := own.identity.RateLimit, target.identity.RateLimit
	races := ownRate != nil && (rate == nil || rate.Rate > ownRate.Rate || rate.Burst > ownRate.Burst)
	switch {
	case !own.identity.Scopes.Contains(target.identity.Scopes):
		return ErrStrongerKey.WithDetail("reason", "scopes")
	case outlives:
		return ErrStrongerKey.WithDetail("reason", "expires")
	case roams:
		return ErrStrongerKey.WithDetail("reason", "allowedIPs")
	case races:
		return ErrStrongerKey.WithDetail("reason", "rateLimit")
	}
	return nil
}

func (p *Plugin) callerEntry(caller httpapi.Caller) *entry {
	if caller.Kind != httpapi.CallerSecretKey {
		return nil
	}
	return p.keys.Load().byID[caller.ID]
}

// CreateFirst gives a folder that never had any keys its first. Without given
// ones it makes one of each kind, and returns them: the only time that they can be
// shown. Given ones are stored and not returned, since others have them.
func (p *Plugin) CreateFirst(given []apikey.Stored) ([]Key, error) {
	total, err := p.app.CountRecords(migrations.KeysCollection)
	if err != nil || total > 0 {
		return nil, err
	}
	var created []Key
	err = p.app.RunInTransaction(func(tx core.App) error {
		if len(given) > 0 {
			return p.storeFirst(tx, given)
		}
		for _, kind := range []Kind{Publishable, Secret} {
			record, err := p.newRecord(tx, createInput{Kind: kind, Label: "first " + string(kind) + " key"})
			if err != nil {
				return err
			}
			record.Set("createdBy", "system:first start")
			raw, err := p.mint(record)
			if err != nil {
				return err
			}
			if err := tx.Save(record); err != nil {
				return err
			}
			created = append(created, p.view(record, raw))
		}
		return nil
	})
	return created, err
}

func (p *Plugin) storeFirst(tx core.App, given []apikey.Stored) error {
	for _, key := range given {
		in := createInput{Kind: key.Kind, Label: key.Label}
		if key.Kind == Secret {
			in.Scopes = key.Scopes
		}
		record, err := p.newRecord(tx, in)
		if err != nil {
			return err
		}
		record.Set("createdBy", "platform:first keys")
		record.Set("hash", key.Hash)
		record.Set("prefix", key.Kind.Prefix())
		record.Set("lastFour", key.LastFour)
		if err := tx.Save(record); err != nil {
			return err
		}
	}
	return nil
}

// rowOf reads a record as the gate would read its line.
func rowOf(record *core.Record) keyRow {
	row := keyRow{
		ID: record.Id, Kind: record.GetString("kind"), Hash: record.GetString("hash"), Label: record.GetString("label"),
		Expires: record.GetDateTime("expires"), Revoked: record.GetDateTime("revoked"),
	}
	_ = record.UnmarshalJSONField("scopes", &row.Scopes)
	_ = record.UnmarshalJSONField("allowedIPs", &row.AllowedIPs)
	row.RateLimit, _ = record.Get("rateLimit").(types.JSONRaw)
	return row
}
