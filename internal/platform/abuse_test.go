package platform

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/fleet"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
)

func TestInvitationsAreNoWayToMailTheWorld(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, organization := f.user("anna@example.com")
	path := "/organizations/" + organization + "/invitations"
	invite := func(i int) answer {
		return f.call("POST", path, anna, map[string]string{"email": fmt.Sprintf("%d@example.org", i), "role": "viewer"})
	}
	for i := range maxInvited {
		// That it is taken back does not make it unsent.
		f.call("DELETE", path+"/"+invite(i).want(http.StatusCreated).str("id"), anna, nil).want(http.StatusNoContent)
	}
	invite(maxInvited).want(http.StatusTooManyRequests, "rate_limited")
	f.pass(25 * time.Hour)
	invite(maxInvited).want(http.StatusCreated)
}

func TestOnePersonsOrganizations(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.OpenSignUp = true })
	anna, _ := f.user("anna@example.com")
	for _, name := range []string{"", "a\nBcc: b@example.org", "a\x00b"} {
		f.call("POST", "/organizations", anna, map[string]string{"name": name}).want(http.StatusBadRequest)
	}
	for range maxOwned - 1 {
		f.call("POST", "/organizations", anna, map[string]string{"name": "more"}).want(http.StatusCreated)
	}
	f.call("POST", "/organizations", anna, map[string]string{"name": "more"}).want(http.StatusForbidden, "quota_exceeded")
}

func TestAnAlertIsNoAlertToStrangers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, _ := f.user("anna@example.com")
	eve, _ := f.user("eve@example.com")
	id := f.call("POST", "/projects", anna, map[string]string{"name": "shop"}).want(http.StatusCreated).str("id")
	f.openAlert(id, fleet.Down, "It is down.")
	alert, err := f.App.FindFirstRecordByFilter(schema.Alerts, "project = {:p}", dbx.Params{"p": id})
	if err != nil {
		t.Fatal(err)
	}
	there := f.call("POST", "/alerts/"+alert.Id+"/acknowledge", eve, nil).want(http.StatusNotFound)
	missing := f.call("POST", "/alerts/none/acknowledge", eve, nil).want(http.StatusNotFound)
	code := func(a answer) string { return fmt.Sprint(a.body["error"].(map[string]any)["code"], a.str("message")) }
	if code(there) != code(missing) {
		t.Errorf("%s, and without one %s", there.text, missing.text)
	}
}
