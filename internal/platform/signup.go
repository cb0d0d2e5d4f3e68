package platform

import (
	"database/sql"
	"errors"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// bindSignUp decides who may make an account by PocketBase's own API (a first
// sign-in by OAuth2 comes here too), and gives whoever does an organization. People
// who are invited come another way, see accept.
func (p *Platform) bindSignUp() {
	p.App.OnRecordCreateRequest(schema.Users).Bind(&hook.Handler[*core.RecordRequestEvent]{
		Id: "picoPlatformSignUp",
		Func: func(e *core.RecordRequestEvent) error {
			if !p.maySignUp(e.RequestEvent) {
				return httpapi.Error(errSignUpClosed)
			}
			return p.withOrganization(&e.App, e.Record, e.Next)
		},
	})
}

// bindTokenEnd lets personal access tokens end with the sessions of their person.
// PocketBase ends those when the password or the address changes, which is what
// people do who have lost control of an account, or taken it back from somebody who
// made it before them.
func (p *Platform) bindTokenEnd() {
	p.App.OnRecordUpdateExecute(schema.Users).Bind(&hook.Handler[*core.RecordEvent]{
		Id: "picoPlatformTokenEnd",
		Func: func(e *core.RecordEvent) error {
			before := e.Record.Original().TokenKey()
			if err := e.Next(); err != nil || e.Record.TokenKey() == before {
				return err
			}
			_, err := e.App.NonconcurrentDB().Delete(schema.Tokens, dbx.HashExp{"user": e.Record.Id}).Execute()
			return err
		},
	})
}

func (p *Platform) maySignUp(e *core.RequestEvent) bool {
	return p.cfg.OpenSignUp || e.HasSuperuserAuth()
}

// withOrganization makes the account and its first organization together.
func (p *Platform) withOrganization(app *core.App, user *core.Record, next func() error) error {
	outer := *app
	defer func() { *app = outer }()
	return outer.RunInTransaction(func(tx core.App) error {
		*app = tx
		if err := next(); err != nil {
			return err
		}
		_, err := newOrganization(tx, organizationName(user), user)
		return err
	})
}

func organizationName(user *core.Record) string {
	if name, err := checkTitle(user.GetString("name")); err == nil {
		return name
	}
	return user.Email()[:min(len(user.Email()), 100)]
}

// FirstUser makes the first account with its organization, and returns their ids.
// Made is false if there is an account already; the ids are those of the one with
// that address then, or empty.
func (p *Platform) FirstUser(email, password string) (user, organization string, made bool, err error) {
	err = p.App.RunInTransaction(func(tx core.App) error {
		total, err := tx.CountRecords(schema.Users)
		if err != nil {
			return err
		}
		if total > 0 {
			user, organization, err = owned(tx, email)
			return err
		}
		users, err := tx.FindCachedCollectionByNameOrId(schema.Users)
		if err != nil {
			return err
		}
		record := core.NewRecord(users)
		record.SetEmail(email)
		record.SetPassword(password)
		record.SetVerified(true)
		if err := tx.Save(record); err != nil {
			return err
		}
		first, err := newOrganization(tx, organizationName(record), record)
		if err != nil {
			return err
		}
		user, organization, made = record.Id, first.Id, true
		return nil
	})
	return user, organization, made, err
}

// owned returns the account with that address and an organization that it owns, or
// nothing.
func owned(tx core.App, email string) (user, organization string, err error) {
	record, err := tx.FindAuthRecordByEmail(schema.Users, email)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", nil
	} else if err != nil {
		return "", "", err
	}
	member, err := tx.FindFirstRecordByFilter(schema.Members, "user = {:u} && role = {:r}", dbx.Params{"u": record.Id, "r": string(owner)})
	if err != nil {
		return "", "", err
	}
	return record.Id, member.GetString("organization"), nil
}

// FirstSuperuser makes the operator's account for PocketBase's own dashboard, unless
// there is one.
func (p *Platform) FirstSuperuser(email, password string) error {
	total, err := p.App.CountRecords(core.CollectionNameSuperusers)
	if err != nil || total > 0 {
		return err
	}
	superusers, err := p.App.FindCachedCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return err
	}
	record := core.NewRecord(superusers)
	record.SetEmail(email)
	record.SetPassword(password)
	return p.App.Save(record)
}
