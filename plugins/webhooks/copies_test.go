package webhooks

import (
	"net/http"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/event"
	"github.com/picobase/picobase/migrations"
)

// A copy of a project's data does not speak in its name.
func TestAdopt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		made, here string // ids of projects
		paused     bool
		own        bool
	}{
		"the project":                      {"a", "a", false, true},
		"the project, started as a branch": {"a", "a", true, true},
		"another project":                  {"a", "b", false, false},
		"another project, paused":          {"a", "b", true, false},
		"without an id, from a project":    {"a", "", false, false},
		"before it had an id":              {"", "b", false, true},
		"of unknown origin, paused":        {"", "b", true, false},
		"never an id":                      {"", "", false, true},
		"never an id, paused":              {"", "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(cfg *Config) { cfg.Project = c.made })
			r := newReceiver(t, nil)
			id, _ := s.endpoint(r.URL)
			gone, _ := s.endpoint(r.URL)
			sent := s.publish("u1")
			s.call(http.MethodPatch, "/"+gone, map[string]any{"enabled": false})
			s.call(http.MethodPost, "", map[string]any{"url": r.URL, "events": []string{"before user.signed_in"}, "blocking": true})

			s.plugin.cfg.Project, s.plugin.cfg.Paused = c.here, c.paused
			for range 2 {
				if err := s.plugin.Adopt(); err != nil {
					t.Fatal(err)
				}
			}
			_, webhook := s.call(http.MethodGet, "/"+id, nil)
			if webhook["enabled"] != c.own || !c.own && webhook["disabledReason"] != reasonBranch {
				t.Errorf("%v", webhook)
			}
			if s.plugin.Wants(event.UserCreated, "users") != c.own || s.plugin.Wants(event.BeforeUserSignedIn, "users") != c.own {
				t.Error("wanted or not, it is the wrong way")
			}
			if f := s.plugin.Check(t.Context()); f.Degraded {
				t.Errorf("%+v", f)
			}
			s.start()
			if c.own {
				eventually(t, "the delivery", func() bool { return r.count() == 1 })
				return
			}
			if n := s.counted(statusSkipped); n != 2 || s.counted(statusPending) != 0 {
				t.Errorf("%d deliveries skipped", n)
			}
			status, log := s.call(http.MethodGet, "/deliveries?status=skipped&webhook="+id, nil)
			items, _ := log["items"].([]any)
			if status != 200 || len(items) != 1 || !strings.Contains(items[0].(map[string]any)["last"].(map[string]any)["error"].(string), "copy") {
				t.Errorf("%d %v", status, log)
			}
			if at, _, _ := s.plugin.NextDue(); !at.IsZero() {
				t.Errorf("due at %v", at)
			}

			// Enabled, it is this project's: new events go there, the old ones do not.
			s.call(http.MethodPatch, "/"+id, map[string]any{"enabled": true})
			s.call(http.MethodPost, "/deliveries/retry", map[string]any{"webhook": id})
			fresh := s.publish("u2")
			eventually(t, "the new event", func() bool { return s.row(fresh).Status == statusDelivered })
			if err := s.plugin.Adopt(); err != nil {
				t.Fatal(err)
			}
			_, webhook = s.call(http.MethodGet, "/"+id, nil)
			if keeps := c.here != "" || !c.paused; webhook["enabled"] != keeps {
				t.Errorf("after the next start: %v", webhook)
			}
			for _, got := range r.all() {
				if got.id() == sent {
					t.Error("the other project's event is sent")
				}
			}
		})
	}
}

// Old folders do not know whose their webhooks are.
func TestProjectFieldComesAndGoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, _ := s.endpoint("https://example.com/")
	c, err := s.app.FindCollectionByNameOrId(migrations.WebhooksCollection)
	if err != nil {
		t.Fatal(err)
	}
	c.Fields.GetByName("project").SetSystem(false)
	c.Fields.RemoveByName("project")
	if err := s.app.SaveNoValidate(c); err != nil {
		t.Fatal(err)
	}
	if err := s.app.RunSystemMigrations(); err != nil {
		t.Fatal(err)
	}
	s.plugin.cfg.Project = "a"
	if err := s.plugin.Adopt(); err != nil {
		t.Fatal(err)
	}
	record, err := s.app.FindRecordById(migrations.WebhooksCollection, id)
	if err != nil || record.GetString("project") != "a" {
		t.Errorf("%v, %v", record, err)
	}
}
