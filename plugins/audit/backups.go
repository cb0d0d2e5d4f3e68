package audit

import (
	"errors"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// bindBackups records backups, whoever asks for them: a request, a cron, the command line.
func (p *Plugin) bindBackups() {
	p.app.OnBackupCreate().Bind(&hook.Handler[*core.BackupEvent]{
		Id: "picoAuditBackup",
		Func: func(e *core.BackupEvent) error {
			if err := e.Next(); err != nil {
				return err
			}
			return p.Record(p.app, requestOfBackup(e), backupEntry("backup.created", e.Name))
		},
	})
	p.app.OnBackupRestore().Bind(&hook.Handler[*core.BackupEvent]{
		Id:   "picoAuditRestore",
		Func: p.restore,
	})
}

// restore records before it goes on, because a restore that succeeds does not
// return: the process starts anew, with this trail carried over.
func (p *Plugin) restore(e *core.BackupEvent) error {
	request := requestOfBackup(e)
	if err := p.Record(p.app, request, backupEntry("backup.restored", e.Name)); err != nil {
		return err
	}
	err := e.Next()
	if err == nil {
		return nil
	}
	entry := backupEntry("backup.restore_failed", e.Name)
	entry.After = map[string]any{"error": err.Error()}
	return errors.Join(err, p.Record(p.app, request, entry))
}

func requestOfBackup(e *core.BackupEvent) *core.RequestEvent {
	request, _ := e.Context.Value(requestKey{}).(*core.RequestEvent)
	return request
}

func backupEntry(action, name string) Entry {
	return Entry{Action: action, TargetType: "backup", TargetID: name, TargetName: name}
}
