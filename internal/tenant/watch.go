package tenant

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/picobase/picobase/internal/watch"
	"github.com/pocketbase/pocketbase/core"
)

// migrationWatch starts the server anew when there are migrations that have not
// run. PocketBase's own, which it writes for a change that is made already, count
// as run: they need no new start.
type migrationWatch struct {
	app     core.App
	dir     string
	logger  *slog.Logger // may be nil
	watcher watch.Watcher
}

// Start makes the folder if it is not there: nobody can be told of what comes into
// one that is not.
func (w *migrationWatch) Start() error {
	if w.logger == nil {
		w.logger = w.app.Logger()
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil { //nolint:gosec // source code, for everybody
		return err
	}
	return w.watcher.Start(w.dir, w.look, func(err error) { w.logger.Error("watch the folder of migrations", "error", err) })
}

// Stop implements runner.
func (w *migrationWatch) Stop(context.Context) error {
	w.watcher.Stop()
	return nil
}

func (w *migrationWatch) look() {
	news, err := w.news()
	if err != nil {
		w.logger.Error("look for new migrations", "error", err)
	}
	if len(news) == 0 {
		return
	}
	w.logger.Info("new migrations, starting again", "files", news)
	// Elsewhere, since the stop waits for this call to end.
	go func() {
		if err := w.app.Restart(); err != nil {
			w.logger.Error("start again for new migrations", "error", err)
		}
	}()
}

func (w *migrationWatch) news() (news []string, err error) {
	files, err := filepath.Glob(filepath.Join(w.dir, "*.[jt]s"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	var run []string
	if err := w.app.DB().Select("file").From(core.DefaultMigrationsTable).Column(&run); err != nil {
		return nil, err
	}
	for _, file := range files {
		name := filepath.Base(file)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && !slices.Contains(run, name) && !isTypes(name) {
			news = append(news, name)
		}
	}
	return news, nil
}

// isTypes reports whether the file is of types alone, which never run.
func isTypes(name string) bool {
	ok, _ := filepath.Match("*.d.ts", name)
	return ok
}
