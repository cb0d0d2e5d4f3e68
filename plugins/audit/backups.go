package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// carryFile takes the trail across a restore, which puts another database in
// the place of this one: restoring an old backup must not be a way to forget.
const carryFile = ".pico_audit.ndjson"

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
// return: the process starts anew.
func (p *Plugin) restore(e *core.BackupEvent) error {
	request := requestOfBackup(e)
	if err := p.Record(p.app, request, backupEntry("backup.restored", e.Name)); err != nil {
		return err
	}
	path := p.carryPath()
	if err := p.handOver(path); err != nil {
		return err
	}
	e.Exclude = append(e.Exclude, carryFile)
	err := e.Next()
	if err == nil {
		return nil
	}
	entry := backupEntry("backup.restore_failed", e.Name)
	entry.After = map[string]any{"error": err.Error()}
	return errors.Join(err, p.Record(p.app, request, entry), os.Remove(path))
}

func requestOfBackup(e *core.BackupEvent) *core.RequestEvent {
	request, _ := e.Context.Value(requestKey{}).(*core.RequestEvent)
	return request
}

func backupEntry(action, name string) Entry {
	return Entry{Action: action, TargetType: "backup", TargetID: name, TargetName: name}
}

func (p *Plugin) carryPath() string { return filepath.Join(p.app.DataDir(), carryFile) }

// handOver writes the whole trail to a file.
func (p *Plugin) handOver(path string) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffer := bufio.NewWriter(file)
	encoder := json.NewEncoder(buffer)
	err = p.each(filter{}, func(rows []row) error {
		for i := range rows {
			if err := encoder.Encode(&rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	return file.Sync()
}

// takeOver adds the entries of the file, if there is one, that the restored
// database does not have.
func (p *Plugin) takeOver() error {
	path := p.carryPath()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = p.app.RunInTransaction(func(tx core.App) error { return addMissing(tx, file) })
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Remove(path)
}

func addMissing(tx core.App, entries io.Reader) error {
	decoder := json.NewDecoder(entries)
	for {
		var r row
		err := decoder.Decode(&r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var known bool
		err = tx.DB().NewQuery("SELECT EXISTS (SELECT 1 FROM {{" + table + "}} WHERE [[id]] = {:id})").
			Bind(dbx.Params{"id": r.ID}).Row(&known)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if err := r.insert(tx); err != nil {
			return err
		}
	}
}
