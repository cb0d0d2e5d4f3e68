package audit

import (
	"bytes"
	"context"
	"errors"
	"mime/multipart"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/types"
)

func TestActs(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	if err := tt.Cron().Add("nothing", "0 0 1 1 *", func() {}); err != nil {
		t.Fatal(err)
	}
	user := must(tt.FindFirstRecordByFilter("users", "id != ''"))
	for _, step := range []struct{ method, path, body, actions, target string }{
		{"POST", "/api/backups", `{"name":"one.zip"}`, "backup.created", "one.zip"},
		{"DELETE", "/api/backups/one.zip", "", "backup.deleted", "one.zip"},
		{"DELETE", "/api/backups/none.zip", "", "", ""},
		{"POST", "/api/crons/nothing", "", "cron.run", "nothing"},
		{"POST", "/api/crons/missing", "", "", ""},
		{"POST", "/api/collections/users/impersonate/" + user.Id, "{}", "record.impersonated", user.Id},
		{"GET", "/api/backups", "", "", ""},
	} {
		had := len(tt.trail(t))
		status, body := tt.call(t, step.method, step.path, step.body)
		added := tt.since(t, had)
		if actions(added) != step.actions {
			t.Errorf("%s %s: %d %s recorded %q", step.method, step.path, status, body, actions(added))
			continue
		}
		if step.actions != "" && (added[0].Target.ID != step.target || added[0].Actor.Name != superuserEmail || added[0].RequestID != "req-1") {
			t.Errorf("%s %s: recorded %+v", step.method, step.path, added[0])
		}
	}

	had := len(tt.trail(t))
	if err := tt.CreateBackup(context.Background(), ""); err != nil { // as the cron does
		t.Fatal(err)
	}
	added := tt.since(t, had)
	if actions(added) != "backup.created" || added[0].Actor.Kind != KindSystem || added[0].Target.Name == "" {
		t.Fatalf("by cron: %+v", added)
	}
	file := must(os.ReadFile(filepath.Join(tt.DataDir(), core.LocalBackupsDirName, added[0].Target.Name)))
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part := must(form.CreateFormFile("file", "sent.zip"))
	if _, err := part.Write(file); err != nil {
		t.Fatal(err)
	}
	form.Close()
	had = len(tt.trail(t))
	status, answer := tt.call(t, "POST", "/api/backups/upload", body.String(), "Content-Type", form.FormDataContentType())
	mustSucceed(t, status, answer)
	if added := tt.since(t, had); actions(added) != "backup.uploaded" || added[0].Target.Name != "sent.zip" {
		t.Fatalf("upload: %+v", added)
	}
}

func TestSignIns(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	const path = "/api/collections/_superusers/auth-with-password"
	had := len(tt.trail(t))
	status, body := tt.call(t, "POST", path, `{"identity":"test@example.com","password":"1234567890"}`, "Authorization", "")
	mustSucceed(t, status, body)
	status, body = tt.call(t, "POST", "/api/collections/_superusers/auth-refresh", "")
	mustSucceed(t, status, body)
	status, body = tt.call(t, "POST", "/api/collections/clients/auth-with-password", `{"identity":"test@example.com","password":"1234567890"}`, "Authorization", "")
	mustSucceed(t, status, body)
	added := tt.since(t, had)
	if actions(added) != "superuser.signed_in" || added[0].Actor.Name != superuserEmail || added[0].Actor.Kind != "superuser" || added[0].IP == "" {
		t.Fatalf("%+v", added)
	}

	had = len(tt.trail(t))
	tt.call(t, "POST", path, `{"identity":"eve@example.com","password":"guess-guess"}`, "Authorization", "")
	added = tt.since(t, had)
	if len(added) != 1 {
		t.Fatalf("recorded %q", actions(added))
	}
	it := added[0]
	if it.Action != "superuser.sign_in_failed" || it.Actor.Kind != "anonymous" || it.Target.Name != "eve@example.com" {
		t.Fatalf("%+v", it)
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	var limit throttle
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range failuresPerMinute + 5 {
		if ok, _ := limit.allow(now); ok != (i < failuresPerMinute) {
			t.Errorf("failure %d: %v", i, ok)
		}
	}
	if ok, dropped := limit.allow(now.Add(time.Minute)); !ok || dropped != 5 {
		t.Errorf("%v %d", ok, dropped)
	}
}

func TestRestoreIsRecorded(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	status, body := tt.call(t, "POST", "/api/backups", `{"name":"one.zip"}`)
	mustSucceed(t, status, body)
	atBackup := len(tt.trail(t))

	// A restore that works ends the process, so stop it where it would begin.
	tt.OnBackupRestore().Bind(&hook.Handler[*core.BackupEvent]{Priority: 1, Func: func(*core.BackupEvent) error {
		return errors.New("stopped")
	}})
	status, body = tt.call(t, "POST", "/api/backups/one.zip/restore", "")
	mustSucceed(t, status, body)
	var added []item
	eventually(t, "the entries of the restore", func() bool { // PocketBase begins a second after its answer
		added = tt.since(t, atBackup)
		return len(added) == 2
	})
	if actions(added) != "backup.restored backup.restore_failed" {
		t.Fatalf("recorded %q", actions(added))
	}
	for _, it := range added {
		if it.Actor.Name != superuserEmail || it.RequestID != "req-1" {
			t.Errorf("%s by %+v", it.Action, it.Actor)
		}
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	now := types.NowDateTime()
	if err := tt.RunInTransaction(func(tx core.App) error {
		for range retentionBatch + 10 {
			r := row{ID: core.GenerateDefaultRandomId(), Created: now.AddDate(0, 0, -400).String(), Action: "ancient"}
			if err := r.insert(tx); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	tt.add(t, "old", now.AddDate(0, 0, -40).String(), "old")
	tt.add(t, "young", now.AddDate(0, 0, -20).String(), "young")

	count := func() [3]int {
		return [3]int{
			tt.count(t, dbx.HashExp{"action": "ancient"}),
			tt.count(t, dbx.HashExp{"action": "old"}),
			tt.count(t, dbx.HashExp{"action": "young"}),
		}
	}
	tt.plugin.runRetention()
	if got := count(); got != [3]int{0, 1, 1} {
		t.Errorf("after 365 days: %v", got)
	}
	tt.settings.Audit.RetentionDays = 1 // settings refuse that; the plugin does as well
	tt.plugin.runRetention()
	if got := count(); got != [3]int{0, 0, 1} {
		t.Errorf("after 30 days: %v", got)
	}
	if _, err := tt.plugin.prune(time.Now().AddDate(1, 0, 0)); err == nil {
		t.Error("a wrong clock of ours deletes young entries")
	}
	if got := count(); got[2] != 1 {
		t.Error("the young entry is gone")
	}
	scheduled := false
	for _, job := range tt.Cron().Jobs() {
		scheduled = scheduled || job.Id() == retentionJob
	}
	if !scheduled {
		t.Error("not scheduled")
	}
}
