package schema

import (
	"testing"

	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // PocketBase's own tables
)

func TestApply(t *testing.T) {
	t.Parallel()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: t.TempDir()})
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.ResetBootstrapState() })
	for range 2 {
		if err := Apply(app); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{Organizations, Members, Invitations, Projects, Domains, Tokens, Events, Alerts} {
		c, err := app.FindCollectionByNameOrId(name)
		if err != nil {
			t.Fatal(err)
		}
		if c.ListRule != nil || c.ViewRule != nil || c.CreateRule != nil || c.UpdateRule != nil || c.DeleteRule != nil {
			t.Errorf("%s is open to PocketBase's record API", name)
		}
	}

	events, _ := app.FindCollectionByNameOrId(Events)
	event := core.NewRecord(events)
	event.Set("action", "project.created")
	if err := app.Save(event); err != nil {
		t.Fatal(err)
	}
	event.Set("action", "nothing")
	if err := app.Save(event); err == nil {
		t.Error("an event was changed")
	}
	if err := app.Delete(event); err == nil {
		t.Error("an event was deleted")
	}
}
