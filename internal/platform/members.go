package platform

import (
	"net/http"
	"net/mail"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/mailer"
	"github.com/pocketbase/pocketbase/tools/router"
)

// invitationTime is how long an invitation holds.
const invitationTime = 7 * 24 * time.Hour

func (p *Platform) bindMembers(api *router.RouterGroup[*core.RequestEvent]) {
	g := api.Group("/organizations/{organization}")
	g.GET("/members", p.listMembers)
	g.PATCH("/members/{member}", p.patchMember)
	g.DELETE("/members/{member}", p.deleteMember)
	g.GET("/invitations", p.listInvitations)
	g.POST("/invitations", p.invite)
	g.DELETE("/invitations/{invitation}", p.uninvite)
}

type memberView struct {
	ID      string `json:"id"` // of the person
	Email   string `json:"email"`
	Name    string `json:"name"`
	Role    role   `json:"role"`
	Created string `json:"created"`
}

func (p *Platform) listMembers(e *core.RequestEvent) error {
	organization, _, err := p.organization(e, viewer)
	if err != nil {
		return httpapi.Failure(err)
	}
	members, err := p.App.FindAllRecords(schema.Members, dbx.HashExp{"organization": organization.Id})
	if err != nil {
		return httpapi.Failure(err)
	}
	items := []memberView{}
	for _, member := range members {
		user, err := p.App.FindRecordById(schema.Users, member.GetString("user"))
		if err != nil {
			return httpapi.Failure(err)
		}
		items = append(items, memberView{user.Id, user.Email(), user.GetString("name"), role(member.GetString("role")), member.GetDateTime("created").String()})
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

// member returns the membership in the path.
func member(tx core.App, organization, user string) (*core.Record, error) {
	record, err := tx.FindFirstRecordByFilter(schema.Members, "organization = {:o} && user = {:u}", dbx.Params{"o": organization, "u": user})
	return record, or(err, errMemberNotFound)
}

// keepOwner makes sure that the organization has an owner beside that one.
func keepOwner(tx core.App, record *core.Record) error {
	if role(record.GetString("role")) != owner {
		return nil
	}
	owners, err := tx.CountRecords(schema.Members, dbx.HashExp{"organization": record.GetString("organization"), "role": string(owner)})
	if err == nil && owners < 2 {
		return errLastOwner
	}
	return err
}

func (p *Platform) patchMember(e *core.RequestEvent) error {
	organization, has, err := p.organization(e, admin)
	if err != nil {
		return httpapi.Failure(err)
	}
	var in struct {
		Role string `json:"role"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	next, wrong := parseRole(in.Role)
	if wrong != nil {
		return httpapi.Error(wrong)
	}
	err = p.App.RunInTransaction(func(tx core.App) error {
		record, err := member(tx, organization.Id, e.Request.PathValue("member"))
		if err != nil {
			return err
		}
		before := role(record.GetString("role"))
		if has != owner && (before == owner || next == owner) {
			return errRole.WithMessage("Only owners make and unmake owners.")
		}
		if next != owner {
			if err := keepOwner(tx, record); err != nil {
				return err
			}
		}
		record.Set("role", string(next))
		if err := tx.Save(record); err != nil {
			return err
		}
		return p.record(tx, e, act{organization.Id, "", "member.changed", map[string]any{"user": record.GetString("user"), "from": before, "to": next}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

// deleteMember removes a member; everybody may leave.
func (p *Platform) deleteMember(e *core.RequestEvent) error {
	leaves := e.Request.PathValue("member") == e.Auth.Id
	least := admin
	if leaves {
		least = viewer
	}
	organization, has, err := p.organization(e, least)
	if err != nil {
		return httpapi.Failure(err)
	}
	err = p.App.RunInTransaction(func(tx core.App) error {
		record, err := member(tx, organization.Id, e.Request.PathValue("member"))
		if err != nil {
			return err
		}
		if !leaves && has != owner && role(record.GetString("role")) == owner {
			return errRole.WithMessage("Only owners remove owners.")
		}
		if err := keepOwner(tx, record); err != nil {
			return err
		}
		if err := tx.Delete(record); err != nil {
			return err
		}
		return p.record(tx, e, act{organization.Id, "", "member.removed", map[string]any{"user": record.GetString("user")}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

type invitationView struct {
	ID      string `json:"id"`
	Email   string `json:"email"`
	Role    role   `json:"role"`
	Expires string `json:"expires"`

	// Token and URL are there when it is made only.
	Token  string `json:"token,omitempty"`
	Mailed bool   `json:"mailed"`
}

func (p *Platform) listInvitations(e *core.RequestEvent) error {
	organization, _, err := p.organization(e, admin)
	if err != nil {
		return httpapi.Failure(err)
	}
	records, err := p.App.FindAllRecords(schema.Invitations, dbx.HashExp{"organization": organization.Id})
	if err != nil {
		return httpapi.Failure(err)
	}
	items := []invitationView{}
	for _, r := range records {
		items = append(items, invitationView{ID: r.Id, Email: r.GetString("email"), Role: role(r.GetString("role")), Expires: r.GetDateTime("expires").String(), Mailed: r.GetBool("mailed")})
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

// invite makes an invitation, in the place of an earlier one for the same address.
// Who invites gets its token too: without a mail server there is no other way.
func (p *Platform) invite(e *core.RequestEvent) error {
	organization, has, err := p.organization(e, admin)
	if err != nil {
		return httpapi.Failure(err)
	}
	var in struct {
		Email string `json:"email"`
		Role  string `json:"role"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	as, wrong := parseRole(in.Role)
	if wrong != nil {
		return httpapi.Error(wrong)
	}
	if as == owner && has != owner {
		return httpapi.Error(errRole.WithMessage("Only owners invite owners."))
	}
	address, err := mail.ParseAddress(in.Email)
	if err != nil || address.Address != in.Email {
		return httpapi.Error(apierr.Invalid("email", "must be an email address such as anna@example.com."))
	}
	email := strings.ToLower(in.Email)
	token := randomText()
	var record *core.Record
	err = p.App.RunInTransaction(func(tx core.App) error {
		if user, err := tx.FindAuthRecordByEmail(schema.Users, email); err == nil {
			if _, err := member(tx, organization.Id, user.Id); err == nil {
				return errAlreadyMember
			}
		}
		if err := p.mayInvite(tx, organization.Id); err != nil {
			return err
		}
		record, err = tx.FindFirstRecordByFilter(schema.Invitations, "organization = {:o} && email = {:e}", dbx.Params{"o": organization.Id, "e": email})
		if err != nil {
			collection, err := tx.FindCachedCollectionByNameOrId(schema.Invitations)
			if err != nil {
				return err
			}
			record = core.NewRecord(collection)
		}
		record.Set("organization", organization.Id)
		record.Set("email", email)
		record.Set("role", string(as))
		record.Set("hash", hashOf(token))
		record.Set("expires", p.cfg.Now().Add(invitationTime))
		record.Set("mailed", false)
		if !e.Auth.IsSuperuser() {
			record.Set("invitedBy", e.Auth.Id)
		}
		if err := tx.Save(record); err != nil {
			return err
		}
		return p.record(tx, e, act{organization.Id, "", "member.invited", map[string]any{"email": email, "role": as}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	view := invitationView{ID: record.Id, Email: email, Role: as, Expires: record.GetDateTime("expires").String(), Token: token}
	if p.App.Settings().SMTP.Enabled {
		text := e.Auth.Email() + " invites you to the organization " + organization.GetString("name") + " on " + p.cfg.PublicURL +
			".\n\nTo accept, open\n\n  " + p.cfg.PublicURL + "/invitation#" + token + "\n\nThe invitation holds for a week."
		if err := p.mail([]string{email}, "Invitation to "+organization.GetString("name"), text); err != nil {
			p.cfg.Logger.Warn("invitation not mailed", "error", err)
		} else {
			view.Mailed = true
			record.Set("mailed", true)
			if err := p.App.Save(record); err != nil {
				return httpapi.Failure(err)
			}
			view.Token = "" // whoever reads the mailbox has it, and nobody else
		}
	}
	return e.JSON(http.StatusCreated, view)
}

// maxInvited bounds how many invitations an organization sends within a day: they
// are mails in the platform's name to anybody.
const maxInvited = 50

// mayInvite counts in the events, which an invitation that is taken back stays in.
func (p *Platform) mayInvite(tx core.App, organization string) error {
	invited, err := tx.CountRecords(schema.Events, dbx.HashExp{"organization": organization, "action": "member.invited"},
		dbx.NewExp("created > {:t}", dbx.Params{"t": dateText(p.cfg.Now().Add(-24 * time.Hour))}))
	if err == nil && invited >= maxInvited {
		return errTooManyInvitations
	}
	return err
}

func (p *Platform) uninvite(e *core.RequestEvent) error {
	organization, _, err := p.organization(e, admin)
	if err != nil {
		return httpapi.Failure(err)
	}
	record, err := p.App.FindRecordById(schema.Invitations, e.Request.PathValue("invitation"))
	if err != nil || record.GetString("organization") != organization.Id {
		return httpapi.Error(errInvitationNotFound)
	}
	err = p.App.RunInTransaction(func(tx core.App) error {
		if err := tx.Delete(record); err != nil {
			return err
		}
		return p.record(tx, e, act{organization.Id, "", "member.uninvited", map[string]any{"email": record.GetString("email")}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

// accept makes whoever has an invitation's token a member: the account of that
// address, which is made if there is none.
func (p *Platform) accept(e *core.RequestEvent) error {
	var in struct {
		Token    string `json:"token"`
		Password string `json:"password"`
		Name     string `json:"name"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	var organization string
	err := p.App.RunInTransaction(func(tx core.App) error {
		record, err := tx.FindFirstRecordByData(schema.Invitations, "hash", hashOf(in.Token))
		if err != nil {
			return or(err, errInvitationNotFound)
		}
		if !p.cfg.Now().Before(record.GetDateTime("expires").Time()) {
			return errInvitationNotFound
		}
		organization = record.GetString("organization")
		user, err := p.accountFor(tx, e, record, in.Password, in.Name)
		if err != nil {
			return err
		}
		if _, err := member(tx, organization, user.Id); err == nil {
			return errAlreadyMember
		}
		if err := addMember(tx, organization, user.Id, role(record.GetString("role"))); err != nil {
			return err
		}
		if err := tx.Delete(record); err != nil {
			return err
		}
		return p.record(tx, e, act{organization, "", "member.joined", map[string]any{"user": user.Id, "email": user.Email()}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, map[string]any{"organization": organization})
}

// accountFor returns the account that an invitation is for.
func (p *Platform) accountFor(tx core.App, e *core.RequestEvent, invitation *core.Record, password, name string) (*core.Record, error) {
	email := invitation.GetString("email")
	_, err := tx.FindAuthRecordByEmail(schema.Users, email)
	switch {
	case e.Auth != nil && !e.Auth.IsSuperuser():
		if !strings.EqualFold(e.Auth.Email(), email) {
			return nil, errInvitationOther
		}
		return e.Auth, nil
	case err == nil:
		return nil, errInvitationAccount
	}
	users, err := tx.FindCachedCollectionByNameOrId(schema.Users)
	if err != nil {
		return nil, err
	}
	user := core.NewRecord(users)
	user.SetEmail(email)
	user.SetPassword(password)
	user.Set("name", name)
	// Who has the token of a mail reads that mailbox.
	user.SetVerified(invitation.GetBool("mailed"))
	if err := tx.Save(user); err != nil {
		return nil, apierr.Invalid("password", "must have at least 8 characters.").WithCause(err)
	}
	return user, nil
}

// mail sends a text through PocketBase's mailer.
func (p *Platform) mail(to []string, subject, text string) error {
	meta := p.App.Settings().Meta
	message := &mailer.Message{
		From:    mail.Address{Name: meta.SenderName, Address: meta.SenderAddress},
		Subject: subject, Text: text,
	}
	for _, address := range to {
		message.To = append(message.To, mail.Address{Address: address})
	}
	return p.App.NewMailClient().Send(message)
}
