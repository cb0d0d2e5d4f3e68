package jshooks

import (
	"context"
	"errors"
	"io/fs"

	"github.com/picobase/picobase/internal/hookfiles"
	"github.com/picobase/picobase/plugins/jshooks/engine"
)

// loadFolder makes a version of the folder and activates it, if the folder is
// another one than when that was last done. So the latest act wins: an upload, a
// rollback or a switching off stays in force until somebody changes the folder.
// What is wrong with its files is noted, and is no error. The caller holds changing.
func (p *Plugin) loadFolder(ctx context.Context) error {
	if p.cfg.Dir == "" {
		return nil
	}
	files, err := hookfiles.Read(p.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !hookfiles.HasEntry(files) {
		p.blame(sourceFolder, "", nil)
		return nil
	}
	if err != nil {
		p.blame(sourceFolder, "", []engine.Problem{{File: p.cfg.Dir, Message: err.Error()}})
		return nil
	}
	_, sum, err := pack(files)
	if err != nil {
		return err
	}
	newest, err := findVersion(p.app, newestOfFolder, nil)
	if err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	if err == nil && newest.SHA256 == sum {
		p.blame(sourceFolder, "", nil)
		return nil
	}
	_, _, err = p.store(ctx, nil, upload{files: files, label: sourceFolder, source: sourceFolder, by: sourceFolder, activate: true})
	var broken *problemsError
	if errors.As(err, &broken) {
		p.blame(sourceFolder, "", broken.found)
		return nil
	}
	if err == nil {
		p.blame(sourceFolder, "", nil)
	}
	return err
}

// reloadFolder is what the watcher calls.
func (p *Plugin) reloadFolder() {
	p.changing.Lock()
	defer p.changing.Unlock()
	if !p.serving {
		return
	}
	if err := p.loadFolder(context.Background()); err != nil {
		p.logError("load the folder of hooks")(err)
	}
}
