package tenant

import (
	"log/slog"
	"net/http"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/spf13/cast"
)

// forwardLogs repeats PocketBase's log, which goes to a table, where operators
// look. It follows the table's own batches, so it can be three seconds late.
func forwardLogs(app core.App, logger *slog.Logger) {
	// Not after success, which comes when the batch's transaction ends: PocketBase
	// uses one model for all entries of a batch, and it holds the last one then.
	app.OnModelCreateExecute(core.LogsTableName).Bind(&hook.Handler[*core.ModelEvent]{
		Id: "picoForwardLogs",
		Func: func(e *core.ModelEvent) error {
			if entry, ok := e.Model.(*core.Log); ok && forOperators(entry) {
				attrs := make([]slog.Attr, 0, len(entry.Data))
				for name, value := range entry.Data {
					attrs = append(attrs, slog.Any(name, value))
				}
				logger.LogAttrs(e.Context, slog.Level(entry.Level), entry.Message, attrs...)
			}
			return e.Next()
		},
	})
}

// forOperators leaves out what clients do wrong: PocketBase logs that as errors too.
func forOperators(entry *core.Log) bool {
	if entry.Data["type"] == "request" {
		return cast.ToInt(entry.Data["status"]) >= http.StatusInternalServerError
	}
	return slog.Level(entry.Level) >= slog.LevelWarn
}
