package audit

import (
	"context"
	"net/http"

	"github.com/pocketbase/pocketbase/core"
)

// A model event does not know the request behind it. So for the length of a
// request that may change something, e.App is a thin shell around the app that
// hands the request on: in the context of the models it saves, and, where the
// app opens a transaction of its own to save others, by that transaction.

// attributed is the app as one request sees it.
type attributed struct {
	core.App
	plugin  *Plugin
	request *core.RequestEvent
}

type requestKey struct{}

// attribute is the middleware.
func (p *Plugin) attribute(e *core.RequestEvent) error {
	switch e.Request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return e.Next()
	}
	// It stays after the request: a restore begins a second after its answer.
	e.App = attributed{e.App, p, e}
	if handle, ok := acts[e.Request.Pattern]; ok {
		return handle(p, e)
	}
	return e.Next()
}

// Transact runs fn in a transaction whose changes are recorded as those of the request.
func (p *Plugin) Transact(e *core.RequestEvent, fn func(tx core.App) error) error {
	return attributed{e.App, p, e}.RunInTransaction(fn)
}

// requestOf returns the request behind app's transaction, or nil.
func (p *Plugin) requestOf(app core.App) *core.RequestEvent {
	info := app.TxInfo()
	if info == nil {
		return nil
	}
	e, _ := p.requests.Load(info)
	request, _ := e.(*core.RequestEvent)
	return request
}

// begin opens a transaction, or joins the one that is open, for the request.
func (a attributed) begin(fn func(tx core.App) error) error {
	return a.App.RunInTransaction(func(tx core.App) error {
		info := tx.TxInfo()
		if _, known := a.plugin.requests.LoadOrStore(info, a.request); !known {
			defer a.plugin.requests.Delete(info)
		}
		return fn(tx)
	})
}

func (a attributed) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, a.request)
}

// RunInTransaction implements [core.App].
func (a attributed) RunInTransaction(fn func(tx core.App) error) error {
	return a.begin(func(tx core.App) error { return fn(attributed{tx, a.plugin, a.request}) })
}

// Save implements [core.App].
func (a attributed) Save(model core.Model) error {
	return a.SaveWithContext(context.Background(), model)
}

// SaveWithContext implements [core.App].
func (a attributed) SaveWithContext(ctx context.Context, model core.Model) error {
	return a.App.SaveWithContext(a.context(ctx), model)
}

// SaveNoValidate implements [core.App].
func (a attributed) SaveNoValidate(model core.Model) error {
	return a.SaveNoValidateWithContext(context.Background(), model)
}

// SaveNoValidateWithContext implements [core.App].
func (a attributed) SaveNoValidateWithContext(ctx context.Context, model core.Model) error {
	return a.App.SaveNoValidateWithContext(a.context(ctx), model)
}

// Delete implements [core.App].
func (a attributed) Delete(model core.Model) error {
	return a.DeleteWithContext(context.Background(), model)
}

// DeleteWithContext implements [core.App].
func (a attributed) DeleteWithContext(ctx context.Context, model core.Model) error {
	return a.App.DeleteWithContext(a.context(ctx), model)
}

// ImportCollections implements [core.App].
func (a attributed) ImportCollections(collections []map[string]any, deleteMissing bool) error {
	return a.begin(func(tx core.App) error { return tx.ImportCollections(collections, deleteMissing) })
}

// ImportCollectionsByMarshaledJSON implements [core.App].
func (a attributed) ImportCollectionsByMarshaledJSON(collections []byte, deleteMissing bool) error {
	return a.begin(func(tx core.App) error { return tx.ImportCollectionsByMarshaledJSON(collections, deleteMissing) })
}

// TruncateCollection implements [core.App].
func (a attributed) TruncateCollection(collection *core.Collection) error {
	return a.begin(func(tx core.App) error { return tx.TruncateCollection(collection) })
}

// CreateBackup implements [core.App].
func (a attributed) CreateBackup(ctx context.Context, name string) error {
	return a.App.CreateBackup(a.context(ctx), name)
}

// RestoreBackup implements [core.App].
func (a attributed) RestoreBackup(ctx context.Context, name string) error {
	return a.App.RestoreBackup(a.context(ctx), name)
}
