package platform

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/internal/token"
)

func TestAProjectsLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, _ := f.user("anna@example.com")

	made := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201)
	id := made.str("id")
	if made.str("url") != "https://shop.example.com" || made.str("status") != "asleep" || len(id) != 15 {
		t.Fatalf("made %s", made.text)
	}
	keys, _ := made.body["keys"].(map[string]any)
	publishable, _ := keys["publishable"].(string)
	secretKey, _ := keys["secret"].(string)
	if !strings.HasPrefix(publishable, "pbk_pub_") || !strings.HasPrefix(secretKey, "pbk_sec_") {
		t.Fatalf("keys %v", keys)
	}
	if len(f.engine.specs) != 0 {
		t.Error("the engine was asked before anybody needed the project")
	}
	f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(409, "name_taken")

	if got := f.call("POST", "/projects/"+id+"/start", anna, nil).want(200).str("status"); got != "running" {
		t.Errorf("started, it is %s", got)
	}
	spec := f.engine.specs[id]
	first := spec.Env["PICOBASE_FIRST_KEYS"].Reveal()
	if spec.Env["PICOBASE_PROJECT_ID"].Reveal() != id || first == "" || strings.Contains(first, secretKey) {
		t.Errorf("environment: id %q, first keys %q", spec.Env["PICOBASE_PROJECT_ID"].Reveal(), first)
	}
	if route, _ := f.routes.Get(id); route.Hosts[0] != "shop.example.com" || route.URL == "" {
		t.Errorf("route %+v", route)
	}
	if logs := f.call("GET", "/projects/"+id+"/logs", anna, nil).want(200); logs.text != "log of "+id+"\n" {
		t.Errorf("logs %q", logs.text)
	}
	if got := f.call("PATCH", "/projects/"+id, anna, map[string]any{"name": "store"}).want(200).str("url"); got != "https://store.example.com" {
		t.Errorf("renamed, it is at %s", got)
	}
	if route, _ := f.routes.Get(id); route.Hosts[0] != "store.example.com" {
		t.Errorf("route %+v", route)
	}
	if got := f.call("POST", "/projects/"+id+"/stop", anna, nil).want(200).str("status"); got != "off" {
		t.Errorf("stopped, it is %s", got)
	}
	if _, err := f.Wake(context.Background(), id); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("a stopped project was woken: %v", err)
	}
	f.call("POST", "/projects/"+id+"/restart", anna, nil).want(200)
	f.call("DELETE", "/projects/"+id, anna, nil).want(200)
	if _, ok := f.routes.Get(id); ok {
		t.Error("a deleted project is routed")
	}
	if n := len(f.call("GET", "/projects", anna, nil).want(200).items()); n != 0 {
		t.Errorf("%d projects are listed", n)
	}
	f.call("POST", "/projects/"+id+"/start", anna, nil).want(409, "project_deleted")
	f.call("POST", "/projects", anna, map[string]any{"name": "store"}).want(409, "name_taken")
	f.call("POST", "/projects/"+id+"/undelete", anna, nil).want(200)
	f.call("POST", "/projects/"+id+"/start", anna, nil).want(200)

	// Gone for good when the grace time is over.
	f.call("DELETE", "/projects/"+id, anna, nil).want(200)
	f.pass(8 * 24 * time.Hour)
	if err := f.fleet.Pass(context.Background()); err != nil {
		t.Fatal(err)
	}
	anna, _ = again(f, "anna@example.com")
	f.call("GET", "/projects/"+id, anna, nil).want(404, "project_not_found")
	if len(f.engine.specs) != 0 {
		t.Error("the engine has it still")
	}
	f.call("POST", "/projects", anna, map[string]any{"name": "store"}).want(201)
}

// again signs somebody in anew.
func again(f *fixture, email string) (string, error) {
	user, err := f.App.FindAuthRecordByEmail("users", email)
	if err != nil {
		f.t.Fatal(err)
	}
	return user.NewAuthToken()
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ab", "shop", "my-shop-2", strings.Repeat("a", 63)} {
		if wrong := checkName(name); wrong != nil {
			t.Errorf("%s is refused: %v", name, wrong)
		}
	}
	for _, name := range []string{"", "a", "Shop", "my_shop", "-a", "a-", "1st", "a.b", "xn--bcher-kva", "ab--cd", "api", "www", "läden", strings.Repeat("a", 64), "a b", "shop\n"} {
		if checkName(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestThePlatformsOwnHostIsNobodys(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.PublicURL = "https://panel.example.com:8443" })
	anna, _ := f.user("anna@example.com")
	f.call("POST", "/projects", anna, map[string]any{"name": "panel"}).want(400, "validation_failed")
	if got := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("url"); got != "https://shop.example.com:8443" {
		t.Errorf("it is at %s", got)
	}
	if got := strings.Join(f.ownHosts(), " "); got != "example.com panel.example.com" {
		t.Errorf("the platform is at %s", got)
	}
}

func TestStrangersSeeNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, organization := f.user("anna@example.com")
	eve, _ := f.user("eve@example.com")
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	for _, c := range []struct{ method, path string }{
		{"GET", "/projects/" + id}, {"PATCH", "/projects/" + id}, {"DELETE", "/projects/" + id},
		{"POST", "/projects/" + id + "/start"}, {"POST", "/projects/" + id + "/stop"}, {"POST", "/projects/" + id + "/token"},
		{"GET", "/projects/" + id + "/logs"}, {"GET", "/projects/" + id + "/domains"}, {"POST", "/projects/" + id + "/branch"},
		{"GET", "/organizations/" + organization}, {"GET", "/organizations/" + organization + "/members"},
		{"POST", "/organizations/" + organization + "/invitations"}, {"GET", "/organizations/" + organization + "/usage"},
		{"GET", "/organizations/" + organization + "/events"}, {"GET", "/organizations/" + organization + "/alerts"},
	} {
		if a := f.call(c.method, c.path, eve, map[string]any{"name": "x", "email": "x@example.com", "role": "owner"}); a.status != 404 {
			t.Errorf("%s %s: a stranger got %d %s", c.method, c.path, a.status, a.text)
		}
		f.call(c.method, c.path, "", nil).want(401, "credentials_required")
		f.call(c.method, c.path, "pbp_nonsense", nil).want(401, "token_invalid")
	}
	if n := len(f.call("GET", "/projects", eve, nil).want(200).items()); n != 0 {
		t.Errorf("a stranger lists %d projects", n)
	}
	f.call("POST", "/projects", eve, map[string]any{"name": "mine", "organization": organization}).want(404)
	// PocketBase's record API gives nothing away either.
	for _, name := range []string{"projects", "organizations", "members", "tokens", "events", "domains", "alerts", "invitations"} {
		if a := f.call("GET", "/api/collections/"+name+"/records", anna, nil); a.status == 200 {
			t.Errorf("%s can be listed", name)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, organization := f.user("anna@example.com")
	members := map[role]string{owner: anna}
	for _, r := range []role{viewer, developer, admin} {
		email := string(r) + "@example.com"
		invitation := f.call("POST", "/organizations/"+organization+"/invitations", anna, map[string]any{"email": email, "role": string(r)}).want(201)
		f.call("POST", "/invitations/accept", "", map[string]any{"token": invitation.str("token"), "password": "correct horse"}).want(200)
		f.call("POST", "/invitations/accept", "", map[string]any{"token": invitation.str("token"), "password": "correct horse"}).want(404, "invitation_not_found")
		members[r], _ = again(f, email)
	}
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	org := "/organizations/" + organization
	for _, c := range []struct {
		method, path string
		body         map[string]any
		least        role
	}{
		{"GET", "/projects/" + id, nil, viewer},
		{"GET", org + "/members", nil, viewer},
		{"GET", "/projects/" + id + "/logs", nil, developer},
		{"POST", "/projects/" + id + "/token", nil, developer},
		{"POST", "/projects/" + id + "/stop", nil, developer},
		{"POST", "/projects", map[string]any{"name": "www"}, developer}, // refused as reserved, after the role
		{"PATCH", "/projects/" + id, map[string]any{"name": "shop"}, admin},
		{"DELETE", "/projects/" + id, nil, admin},
		{"POST", "/projects/" + id + "/undelete", nil, admin},
		{"GET", org + "/invitations", nil, admin},
		{"PATCH", org, map[string]any{"name": "Anna Ltd"}, admin},
		{"DELETE", org, nil, owner},
	} {
		for _, r := range rolesUpwards {
			a := f.call(c.method, c.path, members[r], c.body)
			if refused := a.status == 403; refused == r.atLeast(c.least) {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, r, a.status, a.text)
			}
		}
	}

	me := f.call("GET", "/me", anna, nil).want(200).str("id")
	f.call("DELETE", org+"/members/"+me, anna, nil).want(409, "last_owner")
	f.call("PATCH", org+"/members/"+me, anna, map[string]any{"role": "viewer"}).want(409, "last_owner")
	f.call("PATCH", org+"/members/"+me, members[admin], map[string]any{"role": "viewer"}).want(403)
	other := f.call("GET", "/me", members[admin], nil).str("id")
	f.call("PATCH", org+"/members/"+other, members[admin], map[string]any{"role": "owner"}).want(403)
	f.call("PATCH", org+"/members/"+other, anna, map[string]any{"role": "owner"}).want(204)
	f.call("DELETE", org+"/members/"+me, anna, nil).want(204)
	f.call("GET", "/projects/"+id, anna, nil).want(404)
}

func TestSignUp(t *testing.T) {
	t.Parallel()
	body := map[string]any{"email": "bob@example.com", "password": "correct horse", "passwordConfirm": "correct horse"}
	closed := newFixture(t)
	closed.call("POST", "/api/collections/users/records", "", body).want(403, "sign_up_closed")

	open := newFixture(t, func(c *Config) { c.OpenSignUp = true })
	open.call("POST", "/api/collections/users/records", "", body).want(200)
	bob := open.call("POST", "/api/collections/users/auth-with-password", "", map[string]any{"identity": "bob@example.com", "password": "correct horse"}).want(200).str("token")
	open.call("POST", "/projects", bob, map[string]any{"name": "shop"}).want(201)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, organization := f.user("anna@example.com")
	made := f.call("POST", "/tokens", anna, map[string]any{"label": "ci"}).want(201)
	pat := made.str("token")
	if !wellFormed(pat) || !strings.HasPrefix(pat, "pbp_") {
		t.Fatalf("token %s", pat)
	}
	f.call("GET", "/organizations/"+organization, pat, nil).want(200)
	f.call("GET", "/me", pat[:len(pat)-1]+"x", nil).want(401, "token_invalid")
	f.call("PATCH", "/api/collections/users/records/x", pat, map[string]any{"password": "x"}).want(403, "token_not_allowed")
	f.call("POST", "/device/approve", pat, map[string]any{"userCode": "x"}).want(403)

	reader := f.call("POST", "/tokens", anna, map[string]any{"scopes": []string{"read"}, "expires": f.clock().Add(time.Hour).Format(time.RFC3339)}).want(201).str("token")
	f.call("GET", "/projects", reader, nil).want(200)
	f.call("POST", "/projects", reader, map[string]any{"name": "shop"}).want(403, "token_scope_required")
	list := f.call("GET", "/tokens", anna, nil).want(200)
	if strings.Contains(list.text, pat) || strings.Contains(list.text, hashOf(pat)) || len(list.items()) != 2 {
		t.Errorf("the list shows %s", list.text)
	}
	f.pass(2 * time.Hour)
	f.call("GET", "/projects", reader, nil).want(401, "token_invalid")

	eve, _ := f.user("eve@example.com")
	f.call("DELETE", "/tokens/"+made.str("id"), eve, nil).want(404, "token_not_found")
	f.call("DELETE", "/tokens/"+made.str("id"), anna, nil).want(204)
	f.call("GET", "/me", pat, nil).want(401, "token_invalid")
}

func TestDeviceLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, _ := f.user("anna@example.com")
	begin := func() (device, user string) {
		a := f.call("POST", "/device/code", "", map[string]any{"name": "laptop"}).want(200)
		if a.str("verification_uri") != "https://example.com/device" {
			t.Errorf("the page is at %s", a.str("verification_uri"))
		}
		return a.str("device_code"), a.str("user_code")
	}
	poll := func(device string) answer {
		return f.call("POST", "/device/token", "", map[string]any{"device_code": device})
	}
	device, user := begin()
	poll(device).want(400, "authorization_pending")
	poll(device).want(400, "slow_down")
	f.pass(11 * time.Second)
	poll(device).want(400, "authorization_pending")
	f.call("POST", "/device/approve", "", map[string]any{"userCode": user}).want(401)
	f.call("POST", "/device/approve", anna, map[string]any{"userCode": "XXXX-XXXX"}).want(404, "user_code_invalid")
	f.call("POST", "/device/approve", anna, map[string]any{"userCode": strings.ToLower(strings.ReplaceAll(user, "-", ""))}).want(204)
	pat := poll(device).want(200).str("access_token")
	if f.call("GET", "/me", pat, nil).want(200).str("email") != "anna@example.com" {
		t.Error("it is somebody else's token")
	}
	poll(device).want(400, "expired_token") // once only

	device, user = begin()
	f.call("POST", "/device/approve", anna, map[string]any{"userCode": user, "allow": false}).want(204)
	poll(device).want(400, "access_denied")
	device, user = begin()
	f.pass(deviceTime)
	f.call("POST", "/device/approve", anna, map[string]any{"userCode": user}).want(404)
	poll(device).want(400, "expired_token")
	for range maxGuesses {
		f.call("POST", "/device/approve", anna, map[string]any{"userCode": "XXXX-XXXX"})
	}
	f.call("POST", "/device/approve", anna, map[string]any{"userCode": "XXXX-XXXX"}).want(429)
}

func TestProjectToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, _ := f.user("anna@example.com")
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	raw := f.call("POST", "/projects/"+id+"/token", anna, nil).want(200).str("token")
	verifier, err := token.NewVerifier(f.key.Public(), id)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verifier.Verify(raw)
	if err != nil || claims.Email != "anna@example.com" {
		t.Errorf("%+v, %v", claims, err)
	}
	for _, path := range []string{"/.well-known/jwks.json", PathPrefix + "/.well-known/jwks.json"} {
		if a := f.call("GET", strings.TrimPrefix(path, PathPrefix), "", nil).want(200); !strings.Contains(a.text, `"crv":"Ed25519"`) {
			t.Errorf("%s: %s", path, a.text)
		}
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Quotas = Quotas{Projects: 2, Running: 1, Requests: 6} })
	anna, organization := f.user("anna@example.com")
	a := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	b := f.call("POST", "/projects", anna, map[string]any{"name": "blog-2"}).want(201).str("id")
	over := f.call("POST", "/projects", anna, map[string]any{"name": "wiki"}).want(403, "quota_exceeded")
	if !strings.Contains(over.text, `"limit":2`) {
		t.Error(over.text)
	}
	f.call("POST", "/projects/"+a+"/branch", anna, map[string]any{"name": "wiki"}).want(403, "quota_exceeded")
	f.call("POST", "/projects/"+a+"/start", anna, nil).want(200)
	f.call("POST", "/projects/"+b+"/start", anna, nil).want(403, "quota_exceeded")
	var refusal *apierr.Error
	if _, err := f.Wake(context.Background(), b); !errors.As(err, &refusal) || refusal.Status != 503 || refusal.RetryAfter == 0 {
		t.Errorf("a visitor gets %v", err)
	}
	f.call("POST", "/projects/"+a+"/stop", anna, nil).want(200) // which collects seven requests
	f.call("POST", "/projects/"+b+"/start", anna, nil).want(403, "quota_exceeded")
	if alerts := f.call("GET", "/organizations/"+organization+"/alerts?open=true", anna, nil).want(200).items(); len(alerts) != 1 || alerts[0]["kind"] != "quota" {
		t.Errorf("alerts %v", alerts)
	}
	f.call("PATCH", "/organizations/"+organization, anna, map[string]any{"quotas": map[string]any{"requests": 0}}).want(403)
	f.call("DELETE", "/projects/"+a, anna, nil).want(200)
	f.call("POST", "/projects", anna, map[string]any{"name": "wiki"}).want(403, "quota_exceeded") // of requests
}

func TestUsageIsCollectedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, organization := f.user("anna@example.com")
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	for range 2 {
		f.call("POST", "/projects/"+id+"/start", anna, nil).want(200)
		f.call("POST", "/projects/"+id+"/stop", anna, nil).want(200)
	}
	a := f.call("GET", "/organizations/"+organization+"/usage", anna, nil).want(200)
	if items := a.items(); len(items) != 1 || items[0]["requests"] != 7.0 || items[0]["storage"] != 1024.0 {
		t.Errorf("usage %s", a.text)
	}
}

func TestAlertsOpenOnceAndClose(t *testing.T) {
	t.Parallel()
	received := newReceiver(t)
	f := newFixture(t, func(c *Config) {
		c.Webhook = Webhook{URL: received.url, Secret: secret.New(received.secret), AllowedPrivateHosts: []string{"127.0.0.1"}}
	})
	anna, organization := f.user("anna@example.com")
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	f.engine.disk = "failing"
	for range 2 {
		f.call("POST", "/projects/"+id+"/start", anna, nil).want(200)
		f.call("POST", "/projects/"+id+"/restart", anna, nil).want(200)
		if err := f.tellAlerts(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	alerts := f.call("GET", "/organizations/"+organization+"/alerts", anna, nil).want(200).items()
	if len(alerts) != 1 || alerts[0]["kind"] != "disk" || alerts[0]["project"] != id {
		t.Fatalf("alerts %v", alerts)
	}
	alert, _ := alerts[0]["id"].(string)
	if f.call("POST", "/alerts/"+alert+"/acknowledge", anna, nil).want(200).str("acknowledgedBy") != "anna@example.com" {
		t.Error("not acknowledged")
	}
	eve, _ := f.user("eve@example.com")
	if a := f.call("POST", "/alerts/"+alert+"/acknowledge", eve, nil); a.status != 404 {
		t.Errorf("a stranger got %d", a.status)
	}
	f.engine.disk = "ok"
	f.call("POST", "/projects/"+id+"/restart", anna, nil).want(200)
	f.engine.disk = "failing" // and once more, until it is deleted
	f.call("POST", "/projects/"+id+"/restart", anna, nil).want(200)
	f.call("DELETE", "/projects/"+id, anna, nil).want(200)
	if n := len(f.call("GET", "/organizations/"+organization+"/alerts?open=true", anna, nil).want(200).items()); n != 0 {
		t.Errorf("%d alerts of a deleted project are open", n)
	}
	received.fail(1)
	if err := f.tellAlerts(context.Background()); err == nil {
		t.Error("a refusal was taken for an answer")
	}
	f.pass(time.Minute)
	if err := f.tellAlerts(context.Background()); err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, kind := range received.types() {
		times[kind]++
	}
	if times["alert.opened"] != 2 || times["alert.closed"] != 2 {
		t.Errorf("received %v", times)
	}
}

func TestDomains(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, _ := f.user("anna@example.com")
	eve, _ := f.user("eve@example.com")
	shop := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	trap := f.call("POST", "/projects", eve, map[string]any{"name": "trap"}).want(201).str("id")
	hosts := func(id string) string {
		route, _ := f.routes.Get(id)
		return strings.Join(route.Hosts, " ")
	}
	for _, name := range []string{"", "localhost", "x.example.com", "example.com", "10.0.0.1", "a b.test", "http://a.test"} {
		f.call("POST", "/projects/"+shop+"/domains", anna, map[string]any{"name": name}).want(400)
	}
	added := f.call("POST", "/projects/"+shop+"/domains", anna, map[string]any{"name": "API.Bücher.test."}).want(201)
	name, domain := added.str("name"), added.str("id")
	if name != "api.xn--bcher-kva.test" || added.str("status") != "pending" || hosts(shop) != "shop.example.com" {
		t.Fatalf("added %s, routed %s", added.text, hosts(shop))
	}
	f.call("POST", "/projects/"+shop+"/domains", anna, map[string]any{"name": name}).want(409, "domain_exists")
	verify := func(project, domain, token string) answer {
		return f.call("POST", "/projects/"+project+"/domains/"+domain+"/verify", token, nil).want(200)
	}
	if a := verify(shop, domain, anna); a.str("status") != "pending" || !strings.Contains(a.str("message"), "no TXT record") {
		t.Errorf("without records: %s", a.text)
	}
	// Eve may claim the name, and proves nothing by that.
	claim := f.call("POST", "/projects/"+trap+"/domains", eve, map[string]any{"name": name}).want(201)
	f.call("POST", "/projects/"+shop+"/domains/"+claim.str("id")+"/verify", anna, nil).want(404, "domain_not_found")

	records, _ := added.body["records"].([]any)
	txt, _ := records[0].(map[string]any)
	f.dns.txt["_picobase."+name], _ = txt["value"].(string)
	if a := verify(shop, domain, anna); a.str("status") != "verified" || hosts(shop) != "shop.example.com "+name {
		t.Fatalf("%s, routed %s", a.text, hosts(shop))
	}
	if a := verify(trap, claim.str("id"), eve); a.str("status") != "pending" || !strings.Contains(a.str("message"), "another value") {
		t.Errorf("Eve: %s", a.text)
	}
	// The records are gone for a moment: the site stays.
	delete(f.dns.txt, "_picobase."+name)
	if a := verify(shop, domain, anna); a.str("status") != "verified" {
		t.Errorf("it was taken down: %s", a.text)
	}
	// The domain is sold: who controls it now has it.
	// Not by a CNAME of a name that may have been another project's before.
	f.dns.cname[name] = "trap.example.com."
	if a := verify(trap, claim.str("id"), eve); a.str("status") != "pending" {
		t.Errorf("a name proves: %s", a.text)
	}
	f.dns.cname[name] = trap + ".example.com."
	if a := verify(trap, claim.str("id"), eve); a.str("status") != "verified" || hosts(trap) != "trap.example.com "+name || hosts(shop) != "shop.example.com" {
		t.Errorf("%s, routed %s and %s", a.text, hosts(trap), hosts(shop))
	}
	f.call("DELETE", "/projects/"+trap+"/domains/"+claim.str("id"), eve, nil).want(204)
	if hosts(trap) != "trap.example.com" {
		t.Errorf("routed %s", hosts(trap))
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, organization := f.user("anna@example.com")
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	f.call("POST", "/projects/"+id+"/stop", anna, nil).want(200)
	items := f.call("GET", "/organizations/"+organization+"/events?project="+id, anna, nil).want(200).items()
	if len(items) != 2 || items[0]["action"] != "project.stopped" || items[1]["action"] != "project.created" || items[0]["actorName"] != "anna@example.com" {
		t.Errorf("events %v", items)
	}
}

func TestRoutersNeedTheirToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.RouterToken = secret.New("the routers' token") })
	anna, _ := f.user("anna@example.com")
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	for _, bad := range []string{"", "wrong", anna} {
		f.call("POST", "/routes/"+id+"/wake", bad, nil).want(401, "router_token_invalid")
		f.call("GET", "/routes", bad, nil).want(401, "router_token_invalid")
	}
	if a := f.call("POST", "/routes/"+id+"/wake", "the routers' token", nil).want(200); a.str("state") != "running" || a.str("project") != id {
		t.Errorf("woken: %s", a.text)
	}
	f.call("POST", "/routes/activity", "the routers' token", map[string]any{"projects": map[string]any{id: map[string]any{"last": f.clock(), "open": 1}}}).want(204)
	f.call("POST", "/routes/nobody/wake", "the routers' token", nil).want(404, "project_not_found")

	none := newFixture(t)
	none.call("GET", "/routes", "", nil).want(401, "router_token_invalid")
}

func TestIdleProjectsSleep(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, _ := f.user("anna@example.com")
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	f.call("POST", "/projects/"+id+"/start", anna, nil).want(200)
	f.engine.idle = f.clock().Add(-time.Hour)
	f.pass(6 * time.Second) // within what tenants forgive a clock
	if err := f.fleet.Pass(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := f.call("GET", "/projects/"+id, anna, nil).str("status"); got != "asleep" || len(f.engine.running) != 0 {
		t.Errorf("it is %s, %d run", got, len(f.engine.running))
	}
}

func TestTheRegistryOutlivesThePlatform(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	anna, _ := f.user("anna@example.com")
	id := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(201).str("id")
	f.call("POST", "/projects/"+id+"/start", anna, nil).want(200)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := New(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = next.Close() })
	if err := next.fleet.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	route, _ := next.routes.Get(id)
	if route.State != "running" || next.key.Public() != f.key.Public() {
		t.Errorf("route %+v", route)
	}
}
