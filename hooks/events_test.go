package hooks

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/event"
	"github.com/pocketbase/pocketbase/core"
)

func newPublishing(t *testing.T) *site {
	t.Helper()
	n := &notebook{}
	s := newSite(t, func(app core.App) {
		PublishRecords(app, n)
		PublishAuth(app, n)
		app.OnRecordRequestOTPRequest().BindFunc(func(e *core.RecordCreateOTPRequestEvent) error {
			e.Password = "123456"
			return e.Next()
		})
	})
	s.notebook = n
	return s
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// Every fact, by its own route.
func TestAuthFacts(t *testing.T) {
	t.Parallel()
	s := newPublishing(t)
	text := must[string](t)
	otp := func(email string) {
		t.Helper()
		_, answer := s.call(http.MethodPost, "request-otp", "", map[string]any{"email": email})
		s.sent(answer["otpId"])
		s.notebook.take()
		if status, body := s.call(http.MethodPost, "auth-with-otp", "", map[string]any{"otpId": answer["otpId"], "password": "123456"}); status != 200 {
			t.Errorf("auth-with-otp: %d %v", status, body)
		}
	}
	oauth2 := func(id, email string) {
		t.Helper()
		s.oauth2 = map[string]any{"sub": id, "email": email, "email_verified": true, "name": "Ann"}
		status, body := s.call(http.MethodPost, "auth-with-oauth2", "", map[string]any{"provider": "oidc", "code": "c", "redirectURL": "http://localhost/"})
		if status != 200 {
			t.Errorf("auth-with-oauth2: %d %v", status, body)
		}
	}
	var all []noted
	for _, c := range []struct {
		name   string
		do     func()
		want   []string
		atomic bool
		data   string // in the body of the first
	}{
		{"sign-up", func() {
			s.call(http.MethodPost, "records", "", map[string]any{"email": "up@example.com", "password": testPassword, "passwordConfirm": testPassword, "note": "hidden-note"})
		}, []string{event.UserCreated, event.RecordCreated}, true, `"email":"up@example.com"`},
		{"password", func() {
			s.user("pw@example.com", true)
			s.call(http.MethodPost, "auth-with-password", "", map[string]any{"identity": "pw@example.com", "password": testPassword})
		}, []string{event.UserSignedIn}, false, `"method":"password","new":false,"provider":""`},
		{"wrong password", func() {
			s.call(http.MethodPost, "auth-with-password", "", map[string]any{"identity": "pw@example.com", "password": "not the one"})
		}, []string{}, false, ""},
		{"refresh", func() {
			s.call(http.MethodPost, "auth-refresh", s.token(s.user("re@example.com", true)), nil)
		}, []string{}, false, ""},
		{"OTP request", func() {
			s.user("otp1@example.com", true)
			s.call(http.MethodPost, "request-otp", "", map[string]any{"email": "otp1@example.com"})
		}, []string{event.UserOTPRequested}, false, `"email":"otp1@example.com"`},
		{"OTP request of nobody", func() {
			s.call(http.MethodPost, "request-otp", "", map[string]any{"email": "nobody@example.com"})
		}, []string{}, false, ""},
		{"OTP, verified", func() {
			s.user("otp2@example.com", true)
			otp("otp2@example.com")
		}, []string{event.UserSignedIn}, false, `"method":"otp"`},
		{"OTP, verifies silently", func() {
			s.user("otp3@example.com", false)
			otp("otp3@example.com")
		}, []string{event.UserUpdated, event.UserVerified, event.UserSignedOut, event.RecordUpdated, event.UserSignedIn}, true, `"changed":["password","verified"]`},
		{"OAuth2, new", func() { oauth2("1", "oa1@example.com") },
			[]string{event.UserCreated, event.RecordCreated, event.UserUpdated, event.UserVerified, event.RecordUpdated, event.UserSignedIn}, true, `"email":"oa1@example.com"`},
		{"OAuth2, again", func() { oauth2("1", "oa1@example.com") },
			[]string{event.UserSignedIn}, false, `"method":"oauth2","new":false,"provider":"oidc"`},
		{"OAuth2, verifies silently", func() {
			s.user("oa2@example.com", false)
			oauth2("2", "oa2@example.com")
		}, []string{event.UserUpdated, event.UserVerified, event.UserSignedOut, event.RecordUpdated, event.UserSignedIn}, true, ""},
		{"reset request", func() {
			s.user("rr@example.com", true)
			s.call(http.MethodPost, "request-password-reset", "", map[string]any{"email": "rr@example.com"})
		}, []string{event.UserPasswordResetRequested}, false, `"email":"rr@example.com"`},
		{"reset request of nobody", func() {
			s.call(http.MethodPost, "request-password-reset", "", map[string]any{"email": "nobody@example.com"})
		}, []string{}, false, ""},
		{"reset, verifies", func() {
			token := text(s.user("rs@example.com", false).NewPasswordResetToken())
			s.call(http.MethodPost, "confirm-password-reset", "", map[string]any{"token": token, "password": "another battery", "passwordConfirm": "another battery"})
		}, []string{event.UserUpdated, event.UserVerified, event.UserSignedOut, event.RecordUpdated, event.UserPasswordReset}, true, ""},
		{"verification request", func() {
			s.user("vr@example.com", false)
			s.call(http.MethodPost, "request-verification", "", map[string]any{"email": "vr@example.com"})
		}, []string{event.UserVerificationRequested}, false, ""},
		{"verification, twice", func() {
			token := text(s.user("vc@example.com", false).NewVerificationToken())
			s.call(http.MethodPost, "confirm-verification", "", map[string]any{"token": token})
			s.call(http.MethodPost, "confirm-verification", "", map[string]any{"token": token})
		}, []string{event.UserUpdated, event.UserVerified, event.RecordUpdated}, true, `"changed":["verified"]`},
		{"email change request", func() {
			s.call(http.MethodPost, "request-email-change", s.token(s.user("er@example.com", true)), map[string]any{"newEmail": "er2@example.com"})
		}, []string{event.UserEmailChangeRequested}, false, `"newEmail":"er2@example.com"`},
		{"email change", func() {
			token := text(s.user("ec@example.com", true).NewEmailChangeToken("ec2@example.com"))
			s.call(http.MethodPost, "confirm-email-change", "", map[string]any{"token": token, "password": testPassword})
		}, []string{event.UserUpdated, event.UserEmailChanged, event.UserSignedOut, event.RecordUpdated}, true, `"changed":["email"]`},
		{"update", func() {
			record := s.user("ud@example.com", true)
			s.call(http.MethodPatch, "records/"+record.Id, s.token(record), map[string]any{"name": "Another"})
		}, []string{event.UserUpdated, event.RecordUpdated}, true, `"changed":["name"]`},
		{"password change", func() {
			record := s.user("pc@example.com", true)
			s.call(http.MethodPatch, "records/"+record.Id, s.token(record), map[string]any{"oldPassword": testPassword, "password": "another battery", "passwordConfirm": "another battery"})
		}, []string{event.UserUpdated, event.UserSignedOut, event.RecordUpdated}, true, `"changed":["password"]`},
		{"sign-out everywhere", func() {
			record := s.user("so@example.com", true)
			record.RefreshTokenKey()
			if err := s.app.Save(record); err != nil {
				t.Error(err)
			}
		}, []string{event.UserSignedOut, event.RecordUpdated}, true, `"reason":"sessions_ended"`},
		{"deletion", func() {
			record := s.user("de@example.com", true)
			s.call(http.MethodDelete, "records/"+record.Id, s.token(record), nil)
		}, []string{event.UserDeleted, event.RecordDeleted}, true, `"email":"de@example.com"`},
		{"batch", func() {
			user := map[string]any{"email": "ba@example.com", "password": testPassword, "passwordConfirm": testPassword}
			s.call(http.MethodPost, "/api/batch", "", map[string]any{"requests": []any{map[string]any{"method": "POST", "url": "/api/collections/users/records", "body": user}}})
		}, []string{event.UserCreated, event.RecordCreated}, true, `"email":"ba@example.com"`},
		{"batch, rolled back", func() {
			good := map[string]any{"email": "bb@example.com", "password": testPassword, "passwordConfirm": testPassword}
			bad := map[string]any{"email": "nonsense"}
			var requests []any
			for _, user := range []any{good, bad} {
				requests = append(requests, map[string]any{"method": "POST", "url": "/api/collections/users/records", "body": user})
			}
			if status, _ := s.call(http.MethodPost, "/api/batch", "", map[string]any{"requests": requests}); status != 400 {
				t.Errorf("a batch with a bad request: %d", status)
			}
		}, []string{}, false, ""},
		{"a transaction, rolled back", func() {
			_ = s.app.RunInTransaction(func(tx core.App) error {
				record, err := tx.FindAuthRecordByEmail("users", "ud@example.com")
				if err != nil {
					t.Fatal(err)
				}
				record.Set("name", "Third")
				return errors.Join(tx.Save(record), errors.New("rolled back"))
			})
		}, []string{}, false, ""},
		{"a superuser", func() {
			superusers, err := s.app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
			if err != nil {
				t.Fatal(err)
			}
			record := core.NewRecord(superusers)
			record.SetEmail("root@example.com")
			record.SetPassword(testPassword)
			if err := s.app.Save(record); err != nil {
				t.Fatal(err)
			}
			s.call(http.MethodPost, "/api/collections/_superusers/auth-with-password", "", map[string]any{"identity": "root@example.com", "password": testPassword})
		}, []string{}, false, ""},
		{"another collection", func() {
			demo, err := s.app.FindCollectionByNameOrId("demo2")
			if err != nil {
				t.Fatal(err)
			}
			record := core.NewRecord(demo)
			record.Set("title", "A title")
			for range 2 {
				if err := s.app.Save(record); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.app.Delete(record); err != nil {
				t.Fatal(err)
			}
		}, []string{event.RecordCreated, event.RecordUpdated, event.RecordDeleted}, true, `"title":"A title"`},
	} {
		s.notebook.take()
		c.do()
		got := s.notebook.take()
		all = append(all, got...)
		if !slices.Equal(types(got), c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.name, types(got), c.want)
			continue
		}
		if len(got) > 0 && (got[0].atomic != c.atomic || !strings.Contains(got[0].body, c.data)) {
			t.Errorf("%s: in a transaction %v, body %s", c.name, got[0].atomic, got[0].body)
		}
	}
	scan(t, s, all)
}

// scan looks for what must be in no payload.
func scan(t *testing.T, s *site, events []noted) {
	t.Helper()
	if len(events) < 40 {
		t.Errorf("only %d events to look at", len(events))
	}
	secrets := []string{"hidden-note", "tokenKey", `"password":`, "passwordHash", testPassword, "another battery", "123456", "provider-token", "$2a$", "eyJ"}
	records, err := s.app.FindAllRecords("users")
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		secrets = append(secrets, record.TokenKey(), passwordHash(record))
	}
	for _, e := range events {
		for _, secret := range secrets {
			if secret == "" {
				t.Fatal("an empty secret is in everything")
			}
			if strings.Contains(e.body, secret) {
				t.Errorf("%s has %q: %s", e.Type, secret, e.body)
			}
		}
		if !strings.HasPrefix(e.Subject, e.Collection+"/") || len(e.Subject) < 10 {
			t.Errorf("%s: subject %q", e.Type, e.Subject)
		}
	}
}

// With a second factor there is one sign-in, when it is complete.
func TestSignInWithMFA(t *testing.T) {
	t.Parallel()
	s := newPublishing(t)
	s.changeUsers(func(users *core.Collection) { users.MFA.Enabled = true })
	s.user("mfa@example.com", true)
	status, first := s.call(http.MethodPost, "auth-with-password", "", map[string]any{"identity": "mfa@example.com", "password": testPassword})
	if status != http.StatusUnauthorized || first["mfaId"] == nil {
		t.Fatalf("%d %v", status, first)
	}
	_, answer := s.call(http.MethodPost, "request-otp", "", map[string]any{"email": "mfa@example.com"})
	if got := types(s.notebook.take()); !slices.Equal(got, []string{event.UserOTPRequested}) {
		t.Errorf("after the first factor: %v", got)
	}
	status, body := s.call(http.MethodPost, "auth-with-otp", "", map[string]any{"otpId": answer["otpId"], "password": "123456", "mfaId": first["mfaId"]})
	if got := types(s.notebook.take()); status != 200 || !slices.Equal(got, []string{event.UserSignedIn}) {
		t.Errorf("after the second: %d %v, %v", status, body, got)
	}
}

// An event that cannot be written undoes what it is about.
func TestFactAndEventAreOne(t *testing.T) {
	t.Parallel()
	s := newPublishing(t)
	kept := s.user("kept@example.com", true)
	s.notebook.fail = errors.New("disk full")
	if status, _ := s.call(http.MethodPost, "records", "", map[string]any{"email": "lost@example.com", "password": testPassword, "passwordConfirm": testPassword}); status < 400 {
		t.Errorf("create: %d", status)
	}
	if _, err := s.app.FindAuthRecordByEmail("users", "lost@example.com"); err == nil {
		t.Error("the user is there, without an event")
	}
	if status, _ := s.call(http.MethodDelete, "records/"+kept.Id, "", nil); status < 400 {
		t.Errorf("delete: %d", status)
	}
	token := must[string](t)(kept.NewPasswordResetToken())
	if status, _ := s.call(http.MethodPost, "confirm-password-reset", "", map[string]any{"token": token, "password": "another battery", "passwordConfirm": "another battery"}); status < 400 {
		t.Errorf("reset: %d", status)
	}
	if !s.fresh(kept).ValidatePassword(testPassword) {
		t.Error("the password is another one, without an event")
	}
}

// What nobody wants costs no transaction.
func TestUnwanted(t *testing.T) {
	t.Parallel()
	s := newPublishing(t)
	s.notebook.only = []string{event.UserVerified}
	var transactional bool
	s.app.OnRecordCreateExecute("users").BindFunc(func(e *core.RecordEvent) error {
		transactional = e.App.IsTransactional()
		return e.Next()
	})
	record := s.user("a@example.com", false)
	record.SetVerified(true)
	if err := s.app.Save(record); err != nil {
		t.Fatal(err)
	}
	if got := types(s.notebook.take()); transactional || !slices.Equal(got, []string{event.UserVerified}) {
		t.Errorf("in a transaction %v, events %v", transactional, got)
	}
}

// A record that somebody else has deleted is no error in PocketBase, and there is
// nothing to tell of it.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newPublishing(t)
	demo, err := s.app.FindCollectionByNameOrId("demo2")
	if err != nil {
		t.Fatal(err)
	}
	record := core.NewRecord(demo)
	record.Set("title", "A title")
	if err := s.app.Save(record); err != nil {
		t.Fatal(err)
	}
	stale := s.fresh(record)
	if err := s.app.Delete(record); err != nil {
		t.Fatal(err)
	}
	s.notebook.take()
	stale.Set("title", "Too late")
	if err := s.app.Save(stale); err != nil {
		t.Errorf("update: %v", err)
	}
	if err := s.app.Delete(stale); err != nil {
		t.Errorf("delete: %v", err)
	}
	if got := s.notebook.take(); len(got) > 0 {
		t.Errorf("events %v", types(got))
	}
}
