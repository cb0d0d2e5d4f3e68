package files

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// PocketBase's own handlers on records have the priorities -99 and 99, without
// a name to derive from.
const (
	innermost = 100  // after PocketBase has written the local files
	outermost = -100 // whatever other handlers do after the commit
)

// saved are the new files of one save, or of all saves of one transaction.
type saved struct {
	mu   sync.Mutex
	keys []string
	once sync.Once
}

func (s *saved) add(keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, keys...)
}

type savedContextKey struct{}

func (p *Plugin) bindHooks() {
	p.app.OnRecordCreateExecute().Bind(&hook.Handler[*core.RecordEvent]{
		Id: "picoFilesCreate", Priority: innermost, Func: p.collect})
	p.app.OnRecordUpdateExecute().Bind(&hook.Handler[*core.RecordEvent]{
		Id: "picoFilesUpdate", Priority: innermost, Func: p.collect})
	p.app.OnRecordAfterCreateSuccess().Bind(&hook.Handler[*core.RecordEvent]{
		Id: "picoFilesCreated", Priority: outermost, Func: p.upload})
	p.app.OnRecordAfterUpdateSuccess().Bind(&hook.Handler[*core.RecordEvent]{
		Id: "picoFilesUpdated", Priority: outermost, Func: p.upload})

	p.app.OnSettingsReload().Bind(&hook.Handler[*core.SettingsReloadEvent]{
		Id: "picoFilesSettings",
		Func: func(e *core.SettingsReloadEvent) error {
			err := e.Next()
			p.disabled.Store(e.App.Settings().S3.Enabled)
			if p.enabled() && p.skipped.Swap(false) {
				p.poke()
			}
			return err
		},
	})
}

// collect remembers the files of a save in the event's context, which lives as
// long as the save: when that fails, nothing is left to clean up.
func (p *Plugin) collect(e *core.RecordEvent) error {
	var keys []string
	for _, field := range e.Record.Collection().Fields {
		if field.Type() != core.FieldTypeFile {
			continue
		}
		for _, file := range e.Record.GetUnsavedFiles(field.GetName()) {
			keys = append(keys, e.Record.BaseFilesPath()+"/"+file.Name)
		}
	}
	if err := e.Next(); err != nil || len(keys) == 0 {
		return err
	}
	set := p.setFor(e.App)
	set.add(keys)
	e.Context = context.WithValue(e.Context, savedContextKey{}, set)
	return nil
}

// setFor returns the set that a save belongs to. The saves of a transaction
// share one, so that their files are uploaded together and waited for once.
func (p *Plugin) setFor(app core.App) *saved {
	tx := app.TxInfo()
	if tx == nil {
		return &saved{}
	}
	// A panic ends a transaction without a word, hence the weak pointer.
	key := weak.Make(tx)
	set, loaded := p.sets.LoadOrStore(key, &saved{})
	if !loaded {
		runtime.AddCleanup(tx, func(key weak.Pointer[core.TxAppInfo]) { p.sets.Delete(key) }, key)
	}
	return set.(*saved)
}

// upload waits for the store after the commit. Nothing that goes wrong here may
// reach the caller, whose write has succeeded.
func (p *Plugin) upload(e *core.RecordEvent) error {
	if set, ok := e.Context.Value(savedContextKey{}).(*saved); ok {
		set.once.Do(func() {
			if err := safely(func() error { return p.uploadNow(set.keys) }); err != nil {
				p.logError("upload", err)
			}
		})
	}
	return e.Next()
}

// uploadNow queues files and waits until each was tried, or for UploadTimeout.
func (p *Plugin) uploadNow(keys []string) error {
	wait := p.cfg.UploadTimeout
	if p.uploads.isAway() {
		wait = min(wait, awayTimeout)
	}
	var refused error
	var attempts []<-chan struct{}
	for _, key := range keys {
		tried, err := p.uploads.add(key)
		if tried != nil {
			attempts = append(attempts, tried)
		}
		refused = errors.Join(refused, err)
	}
	if p.isStopped() {
		return refused
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for _, tried := range attempts {
		select {
		case <-tried:
		case <-timer.C:
			p.uploads.suspect()
			return refused
		}
	}
	return refused
}
