package platform

import (
	"net/http"
	"testing"

	"github.com/picobase/picobase/internal/platform/schema"
)

func TestTokensEndWithThePassword(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	session, _ := f.user("anna@example.com")
	other, _ := f.user("bob@example.com")
	token := f.call("POST", "/tokens", session, map[string]string{"label": "ci"}).want(http.StatusCreated).str("token")
	bobs := f.call("POST", "/tokens", other, map[string]string{"label": "ci"}).want(http.StatusCreated).str("token")
	anna, err := f.App.FindAuthRecordByEmail(schema.Users, "anna@example.com")
	if err != nil {
		t.Fatal(err)
	}
	profile := "/api/collections/users/records/" + anna.Id
	f.call("PATCH", profile, session, map[string]string{"name": "Anna"}).want(http.StatusOK)
	f.call("GET", "/me", token, nil).want(http.StatusOK)
	f.call("PATCH", profile, session, map[string]string{
		"oldPassword": "correct horse", "password": "battery staple", "passwordConfirm": "battery staple",
	}).want(http.StatusOK)
	f.call("GET", "/me", token, nil).want(http.StatusUnauthorized, "token_invalid")
	f.call("GET", "/me", bobs, nil).want(http.StatusOK)
}

func TestScopesOfTokens(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	session, organization := f.user("anna@example.com")
	for _, scopes := range [][]string{{}, {"write"}, {"read", "admin"}, {"read", "read", "write"}} {
		f.call("POST", "/tokens", session, map[string]any{"scopes": scopes}).want(http.StatusBadRequest)
	}
	reader := f.call("POST", "/tokens", session, map[string]any{"scopes": []string{"read"}}).want(http.StatusCreated).str("token")
	f.call("GET", "/me", reader, nil).want(http.StatusOK)
	for _, path := range []string{"/organizations", "/projects", "/tokens", "/organizations/" + organization + "/invitations", "/invitations/accept"} {
		f.call("POST", path, reader, map[string]string{}).want(http.StatusForbidden, "token_scope_required")
	}
}
