package hooks

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/event"
	"github.com/pocketbase/pocketbase/core"
)

// gate is an Asker that refuses email addresses with "evil" in them.
type gate struct {
	app    core.App
	t      *testing.T
	asked  []string
	bodies []string
}

func (g *gate) Wants(eventType, collection string) bool {
	return collection == "users" && strings.HasPrefix(eventType, "before ")
}

func (g *gate) Ask(_ context.Context, e event.Event) error {
	// Fails after a while if the one writing connection is taken.
	if _, err := g.app.NonconcurrentDB().NewQuery("PRAGMA user_version").WithContext(deadline(g.t)).Execute(); err != nil {
		g.t.Errorf("%s is asked while a transaction is open: %v", e.Type, err)
	}
	g.asked = append(g.asked, e.Type)
	body, _ := e.Body()
	g.bodies = append(g.bodies, string(body))
	if strings.Contains(string(body), "evil") {
		return apierr.New(http.StatusForbidden, "denied_by_webhook", "Not you.")
	}
	return nil
}

func TestAskBefore(t *testing.T) {
	t.Parallel()
	g := &gate{t: t}
	s := newSite(t, func(app core.App) {
		g.app = app
		AskBefore(app, g)
	})
	signUp := func(email string) map[string]any {
		return map[string]any{"email": email, "password": testPassword, "passwordConfirm": testPassword, "note": "hidden-note"}
	}
	inner := func(method, url string, body map[string]any) map[string]any {
		return map[string]any{"method": method, "url": url, "body": body}
	}
	batch := func(requests ...any) (int, map[string]any) {
		return s.call(http.MethodPost, "/api/batch", "", map[string]any{"requests": requests})
	}
	oauth2 := func(id, email string) (int, map[string]any) {
		s.oauth2 = map[string]any{"sub": id, "email": email, "email_verified": true, "name": "Ann"}
		return s.call(http.MethodPost, "auth-with-oauth2", "", map[string]any{"provider": "oidc", "code": "c", "redirectURL": "http://localhost/"})
	}
	password := func(email string) (int, map[string]any) {
		return s.call(http.MethodPost, "auth-with-password", "", map[string]any{"identity": email, "password": testPassword})
	}
	const path, created, signedIn = "/api/collections/users/records", event.BeforeUserCreated, event.BeforeUserSignedIn
	s.user("evil-old@example.com", true)
	known := s.user("known@example.com", true)
	for _, c := range []struct {
		name   string
		do     func() (int, map[string]any)
		status int
		asked  []string
	}{
		{"sign-up", func() (int, map[string]any) { return s.call(http.MethodPost, "records", "", signUp("a@example.com")) }, 200, []string{created}},
		{"sign-up, denied", func() (int, map[string]any) {
			return s.call(http.MethodPost, "records", "", signUp("evil-a@example.com"))
		}, 403, []string{created}},
		{"sign-in", func() (int, map[string]any) { return password("a@example.com") }, 200, []string{signedIn}},
		{"wrong password", func() (int, map[string]any) {
			return s.call(http.MethodPost, "auth-with-password", "", map[string]any{"identity": "a@example.com", "password": "not the one"})
		}, 400, nil},
		{"sign-in, denied", func() (int, map[string]any) { return password("evil-old@example.com") }, 403, []string{signedIn}},
		{"OAuth2, new", func() (int, map[string]any) { return oauth2("1", "o@example.com") }, 200, []string{created, signedIn}},
		{"OAuth2, again", func() (int, map[string]any) { return oauth2("1", "o@example.com") }, 200, []string{signedIn}},
		{"OAuth2, denied", func() (int, map[string]any) { return oauth2("2", "evil-o@example.com") }, 403, []string{created}},
		{"batch", func() (int, map[string]any) {
			return batch(inner("POST", path, signUp("b1@example.com")), inner("PUT", path, signUp("b2@example.com")))
		}, 200, []string{created, created}},
		{"batch, denied", func() (int, map[string]any) {
			return batch(inner("POST", path, signUp("b3@example.com")), inner("POST", path, signUp("evil-b@example.com")))
		}, 403, []string{created, created}},
		{"batch, an update", func() (int, map[string]any) {
			return batch(inner("PUT", path, map[string]any{"id": known.Id, "name": "Known"}))
		}, 200, nil},
		{"batch, a sign-up that nobody could foresee", func() (int, map[string]any) {
			again := signUp("evil-again@example.com")
			again["id"] = known.Id
			return batch(inner("DELETE", path+"/"+known.Id, nil), inner("PUT", path, again))
		}, 400, nil}, // the whole batch fails: it was an update when the batch began
		{"another collection", func() (int, map[string]any) {
			return s.call(http.MethodPost, "/api/collections/clients/records", "", map[string]any{})
		}, 403, nil}, // by its own rule
	} {
		g.asked = nil
		status, answer := c.do()
		if status != c.status || strings.Join(g.asked, " ") != strings.Join(c.asked, " ") {
			t.Errorf("%s: %d %v, asked %v", c.name, status, answer, g.asked)
		}
		if len(c.asked) > 0 && status == 403 && answer["message"] != "Not you." {
			t.Errorf("%s: %v", c.name, answer)
		}
	}
	for _, email := range []string{"evil-a@example.com", "evil-o@example.com", "b3@example.com", "evil-b@example.com", "evil-again@example.com"} {
		if _, err := s.app.FindAuthRecordByEmail("users", email); err == nil {
			t.Errorf("%s was created", email)
		}
	}
	for _, body := range g.bodies {
		for _, secret := range []string{testPassword, "hidden-note", "tokenKey", "$2a$"} {
			if strings.Contains(body, secret) {
				t.Errorf("%q is in %s", secret, body)
			}
		}
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}
