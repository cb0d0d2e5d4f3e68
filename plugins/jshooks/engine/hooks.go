package engine

import (
	"context"
	"slices"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// source is what an event looks like to the engine.
type source struct {
	class *class
	value any
	app   *core.App
	req   *core.RequestEvent
	ctx   context.Context
	tags  []string

	// skip keeps the event from hooks.
	skip bool
}

// hookPoint is one of PocketBase's hooks, known to scripts as on<Name>.
type binder[T hook.Resolver] interface {
	Bind(handler *hook.Handler[T]) string
}

// on binds the permanent handler of one hook point.
func on[T hook.Resolver](e *Engine, name string, h binder[T], look func(ev T) source) {
	js := "o" + name[1:]
	h.Bind(&hook.Handler[T]{
		Id: "picojs:" + name,
		Func: func(ev T) error {
			g := e.current.Load()
			if g == nil {
				return ev.Next()
			}
			handlers := g.hooks[js]
			if len(handlers) == 0 {
				return ev.Next()
			}
			s := look(ev)
			if handlers = matching(handlers, s.tags); s.skip || len(handlers) == 0 {
				return ev.Next()
			}
			return e.dispatch(g, js, handlers, s, ev.Next)
		},
	})
}

func matching(handlers []handler, tags []string) []handler {
	return slices.DeleteFunc(slices.Clone(handlers), func(h handler) bool {
		return len(h.info.Tags) > 0 && !slices.ContainsFunc(h.info.Tags, func(t string) bool { return slices.Contains(tags, t) })
	})
}

// dispatch runs the handlers of an event, each from the e.next() of the one before.
func (e *Engine) dispatch(g *Generation, name string, handlers []handler, s source, next func() error) error {
	t := target{gen: g, hook: name, app: *s.app, ctx: s.ctx}
	if len(s.tags) > 0 {
		t.about = s.tags[0]
	}
	if s.req != nil {
		t.ctx = s.req.Request.Context()
		t.requestID = requestID(s.req)
	}
	return e.do(t, func(c *call) error {
		var step func(i int) error
		step = func(i int) error {
			if i == len(handlers) {
				return c.outside(next)
			}
			r, err := c.find(handlers[i])
			if err != nil {
				return err
			}
			ev := &event{source: s, next: func() error { return step(i + 1) }}
			defer func() { ev.over = true }()
			return c.invoke(r.fn, c.m.wrap(s.class, ev))
		}
		return step(0)
	})
}

// request describes an event of a request.
func request(class *class, value any, req *core.RequestEvent, c *core.Collection, tagged bool) source {
	s := source{class: class, value: value, app: &req.App, req: req}
	if tagged {
		s.skip = system(c)
	}
	if c != nil {
		s.tags = []string{c.Id, c.Name}
	}
	return s
}

func ofRecord(ev *core.RecordEvent) source {
	return source{class: recordEventClass, value: ev, app: &ev.App, ctx: ev.Context, tags: ev.Tags(),
		skip: ev.Record == nil || system(ev.Record.Collection())}
}

func ofRecordError(ev *core.RecordErrorEvent) source {
	s := ofRecord(&ev.RecordEvent)
	s.class, s.value = recordErrorEventClass, ev
	return s
}

func ofModel(ev *core.ModelEvent) source {
	s := source{class: modelEventClass, value: ev, app: &ev.App, ctx: ev.Context, tags: ev.Tags(), skip: true}
	switch m := ev.Model.(type) {
	case *core.Record:
		s.skip = system(m.Collection())
	case *core.Collection:
		s.skip = system(m)
	}
	return s
}

func ofModelError(ev *core.ModelErrorEvent) source {
	s := ofModel(&ev.ModelEvent)
	s.class, s.value = modelErrorEventClass, ev
	return s
}

func ofCollection(ev *core.CollectionEvent) source {
	return source{class: collectionEventClass, value: ev, app: &ev.App, ctx: ev.Context, tags: ev.Tags(), skip: system(ev.Collection)}
}

func ofCollectionError(ev *core.CollectionErrorEvent) source {
	s := ofCollection(&ev.CollectionEvent)
	s.class, s.value = collectionErrorEventClass, ev
	return s
}

func ofMail(ev *core.MailerRecordEvent) source {
	return source{class: mailerRecordEventClass, value: ev, app: &ev.App, tags: ev.Tags(),
		skip: ev.Record == nil || system(ev.Record.Collection())}
}

func ofRecordRequest(ev *core.RecordRequestEvent) source {
	return request(recordRequestClass, ev, ev.RequestEvent, ev.Collection, true)
}

func ofCollectionRequest(ev *core.CollectionRequestEvent) source {
	s := request(collectionRequestClass, ev, ev.RequestEvent, ev.Collection, false)
	s.skip = ev.Collection != nil && system(ev.Collection) && ev.Collection.Name != ""
	return s
}

// toSuperuser keeps mails with a superuser's links and codes away from hooks.
func toSuperuser(ev *core.MailerEvent) bool {
	for _, to := range ev.Message.To {
		if _, err := ev.App.FindAuthRecordByEmail(core.CollectionNameSuperusers, to.Address); err == nil {
			return true
		}
	}
	return false
}

func (e *Engine) bindHooks() {
	a := e.app
	on(e, "OnModelValidate", a.OnModelValidate(), ofModel)
	on(e, "OnModelCreate", a.OnModelCreate(), ofModel)
	on(e, "OnModelCreateExecute", a.OnModelCreateExecute(), ofModel)
	on(e, "OnModelAfterCreateSuccess", a.OnModelAfterCreateSuccess(), ofModel)
	on(e, "OnModelAfterCreateError", a.OnModelAfterCreateError(), ofModelError)
	on(e, "OnModelUpdate", a.OnModelUpdate(), ofModel)
	on(e, "OnModelUpdateExecute", a.OnModelUpdateExecute(), ofModel)
	on(e, "OnModelAfterUpdateSuccess", a.OnModelAfterUpdateSuccess(), ofModel)
	on(e, "OnModelAfterUpdateError", a.OnModelAfterUpdateError(), ofModelError)
	on(e, "OnModelDelete", a.OnModelDelete(), ofModel)
	on(e, "OnModelDeleteExecute", a.OnModelDeleteExecute(), ofModel)
	on(e, "OnModelAfterDeleteSuccess", a.OnModelAfterDeleteSuccess(), ofModel)
	on(e, "OnModelAfterDeleteError", a.OnModelAfterDeleteError(), ofModelError)

	on(e, "OnRecordEnrich", a.OnRecordEnrich(), func(ev *core.RecordEnrichEvent) source {
		return source{class: enrichEventClass, value: ev, app: &ev.App, tags: ev.Tags(),
			skip: ev.Record == nil || system(ev.Record.Collection())}
	})
	on(e, "OnRecordValidate", a.OnRecordValidate(), ofRecord)
	on(e, "OnRecordCreate", a.OnRecordCreate(), ofRecord)
	on(e, "OnRecordCreateExecute", a.OnRecordCreateExecute(), ofRecord)
	on(e, "OnRecordAfterCreateSuccess", a.OnRecordAfterCreateSuccess(), ofRecord)
	on(e, "OnRecordAfterCreateError", a.OnRecordAfterCreateError(), ofRecordError)
	on(e, "OnRecordUpdate", a.OnRecordUpdate(), ofRecord)
	on(e, "OnRecordUpdateExecute", a.OnRecordUpdateExecute(), ofRecord)
	on(e, "OnRecordAfterUpdateSuccess", a.OnRecordAfterUpdateSuccess(), ofRecord)
	on(e, "OnRecordAfterUpdateError", a.OnRecordAfterUpdateError(), ofRecordError)
	on(e, "OnRecordDelete", a.OnRecordDelete(), ofRecord)
	on(e, "OnRecordDeleteExecute", a.OnRecordDeleteExecute(), ofRecord)
	on(e, "OnRecordAfterDeleteSuccess", a.OnRecordAfterDeleteSuccess(), ofRecord)
	on(e, "OnRecordAfterDeleteError", a.OnRecordAfterDeleteError(), ofRecordError)

	on(e, "OnCollectionValidate", a.OnCollectionValidate(), ofCollection)
	on(e, "OnCollectionCreate", a.OnCollectionCreate(), ofCollection)
	on(e, "OnCollectionCreateExecute", a.OnCollectionCreateExecute(), ofCollection)
	on(e, "OnCollectionAfterCreateSuccess", a.OnCollectionAfterCreateSuccess(), ofCollection)
	on(e, "OnCollectionAfterCreateError", a.OnCollectionAfterCreateError(), ofCollectionError)
	on(e, "OnCollectionUpdate", a.OnCollectionUpdate(), ofCollection)
	on(e, "OnCollectionUpdateExecute", a.OnCollectionUpdateExecute(), ofCollection)
	on(e, "OnCollectionAfterUpdateSuccess", a.OnCollectionAfterUpdateSuccess(), ofCollection)
	on(e, "OnCollectionAfterUpdateError", a.OnCollectionAfterUpdateError(), ofCollectionError)
	on(e, "OnCollectionDelete", a.OnCollectionDelete(), ofCollection)
	on(e, "OnCollectionDeleteExecute", a.OnCollectionDeleteExecute(), ofCollection)
	on(e, "OnCollectionAfterDeleteSuccess", a.OnCollectionAfterDeleteSuccess(), ofCollection)
	on(e, "OnCollectionAfterDeleteError", a.OnCollectionAfterDeleteError(), ofCollectionError)

	on(e, "OnMailerSend", a.OnMailerSend(), func(ev *core.MailerEvent) source {
		return source{class: mailerEventClass, value: ev, app: &ev.App, skip: toSuperuser(ev)}
	})
	on(e, "OnMailerRecordAuthAlertSend", a.OnMailerRecordAuthAlertSend(), ofMail)
	on(e, "OnMailerRecordPasswordResetSend", a.OnMailerRecordPasswordResetSend(), ofMail)
	on(e, "OnMailerRecordVerificationSend", a.OnMailerRecordVerificationSend(), ofMail)
	on(e, "OnMailerRecordEmailChangeSend", a.OnMailerRecordEmailChangeSend(), ofMail)
	on(e, "OnMailerRecordOTPSend", a.OnMailerRecordOTPSend(), ofMail)

	on(e, "OnRecordsListRequest", a.OnRecordsListRequest(), func(ev *core.RecordsListRequestEvent) source {
		return request(recordsListClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordViewRequest", a.OnRecordViewRequest(), ofRecordRequest)
	on(e, "OnRecordCreateRequest", a.OnRecordCreateRequest(), ofRecordRequest)
	on(e, "OnRecordUpdateRequest", a.OnRecordUpdateRequest(), ofRecordRequest)
	on(e, "OnRecordDeleteRequest", a.OnRecordDeleteRequest(), ofRecordRequest)

	on(e, "OnCollectionsListRequest", a.OnCollectionsListRequest(), func(ev *core.CollectionsListRequestEvent) source {
		return request(collectionsListClass, ev, ev.RequestEvent, nil, false)
	})
	on(e, "OnCollectionViewRequest", a.OnCollectionViewRequest(), ofCollectionRequest)
	on(e, "OnCollectionCreateRequest", a.OnCollectionCreateRequest(), ofCollectionRequest)
	on(e, "OnCollectionUpdateRequest", a.OnCollectionUpdateRequest(), ofCollectionRequest)
	on(e, "OnCollectionDeleteRequest", a.OnCollectionDeleteRequest(), ofCollectionRequest)
	on(e, "OnCollectionsImportRequest", a.OnCollectionsImportRequest(), func(ev *core.CollectionsImportRequestEvent) source {
		return request(collectionsImportClass, ev, ev.RequestEvent, nil, false)
	})
	on(e, "OnBatchRequest", a.OnBatchRequest(), func(ev *core.BatchRequestEvent) source {
		return request(batchClass, ev, ev.RequestEvent, nil, false)
	})
	e.bindAuthHooks()
}
