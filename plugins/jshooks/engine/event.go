package engine

import (
	"encoding/json"
	"time"

	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/mailer"
	"github.com/pocketbase/pocketbase/tools/subscriptions"
)

// event is what a handler gets as e.
type event struct {
	source
	next   func() error
	called bool
	over   bool
}

var eventClass = new(class)

func init() {
	*eventClass = class{
		name: "Event",
		props: map[string]prop{
			"app": {
				get: func(_ *machine, v any) any {
					// The transaction of the call goes before the app of the event: there is one writer, and the app
					// would wait for it for ever.
					if app := *v.(*event).app; app.IsTransactional() {
						return wrapped{appClass, &appRef{app: app}}
					}
					return wrapped{appClass, &appRef{}}
				},
				set: func(m *machine, v any, to goja.Value) {
					f := unwrap(to)
					if f == nil || f.class != appClass {
						m.throwType("e.app must be an app")
					}
					app := m.appOf(f.value.(*appRef))
					*v.(*event).app = app
					m.call.app = app
				},
			},
		},
		methods: map[string]method{
			"next": func(m *machine, v any, _ args) (any, error) {
				ev := v.(*event)
				if ev.over {
					m.throwType("e.next() was called after its handler had returned")
				}
				if ev.called {
					return undefined{}, nil
				}
				ev.called = true
				if own := ev.app; m.call.app.IsTransactional() && !(*own).IsTransactional() {
					was := *own
					*own = m.call.app
					defer func() { *own = was }()
				}
				if err := ev.next(); err != nil {
					return nil, &passedError{err}
				}
				return undefined{}, nil
			},
		},
	}
}

// requestEventClass is an event with a request; see request.go.
var requestEventClass = &class{name: "RequestEvent", parent: eventClass}

// of reads a property of the event of PocketBase.
func of[T any](get func(ev T) any) prop {
	return prop{get: func(_ *machine, v any) any { return get(v.(*event).value.(T)) }}
}

// text reads and writes a string of it.
func textProp[T any](at func(ev T) *string) prop {
	return prop{
		get: func(_ *machine, v any) any { return *at(v.(*event).value.(T)) },
		set: func(m *machine, v any, to goja.Value) { *at(v.(*event).value.(T)) = m.str(to) },
	}
}

func eventOf(name string, parent *class, props map[string]prop) *class {
	return &class{name: name, parent: parent, props: props}
}

type props = map[string]prop

var (
	recordEventClass = eventOf("RecordEvent", eventClass, props{
		"record": of(func(e *core.RecordEvent) any { return e.Record }),
		"type":   of(func(e *core.RecordEvent) any { return e.Type }),
	})
	recordErrorEventClass = eventOf("RecordErrorEvent", eventClass, props{
		"record": of(func(e *core.RecordErrorEvent) any { return e.Record }),
		"type":   of(func(e *core.RecordErrorEvent) any { return e.Type }),
		"error":  of(func(e *core.RecordErrorEvent) any { return e.Error }),
	})
	modelEventClass = eventOf("ModelEvent", eventClass, props{
		"model": of(func(e *core.ModelEvent) any { return e.Model }),
		"type":  of(func(e *core.ModelEvent) any { return e.Type }),
	})
	modelErrorEventClass = eventOf("ModelErrorEvent", eventClass, props{
		"model": of(func(e *core.ModelErrorEvent) any { return e.Model }),
		"type":  of(func(e *core.ModelErrorEvent) any { return e.Type }),
		"error": of(func(e *core.ModelErrorEvent) any { return e.Error }),
	})
	collectionEventClass = eventOf("CollectionEvent", eventClass, props{
		"collection": of(func(e *core.CollectionEvent) any { return e.Collection }),
		"type":       of(func(e *core.CollectionEvent) any { return e.Type }),
	})
	collectionErrorEventClass = eventOf("CollectionErrorEvent", eventClass, props{
		"collection": of(func(e *core.CollectionErrorEvent) any { return e.Collection }),
		"type":       of(func(e *core.CollectionErrorEvent) any { return e.Type }),
		"error":      of(func(e *core.CollectionErrorEvent) any { return e.Error }),
	})
	enrichEventClass = eventOf("RecordEnrichEvent", eventClass, props{
		"record":      of(func(e *core.RecordEnrichEvent) any { return e.Record }),
		"requestInfo": of(func(e *core.RecordEnrichEvent) any { return wrapped{requestInfoClass, e.RequestInfo} }),
	})
	mailerEventClass = eventOf("MailerEvent", eventClass, props{
		"message": of(func(e *core.MailerEvent) any { return wrapped{mailClass, e.Message} }),
	})
	mailerRecordEventClass = eventOf("MailerRecordEvent", eventClass, props{
		"message": of(func(e *core.MailerRecordEvent) any { return wrapped{mailClass, e.Message} }),
		"record":  of(func(e *core.MailerRecordEvent) any { return e.Record }),
		"meta":    of(func(e *core.MailerRecordEvent) any { return plainMap(e.Meta) }),
	})
)

var (
	recordRequestClass = eventOf("RecordRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordRequestEvent) any { return e.Collection }),
	})
	recordsListClass = eventOf("RecordsListRequestEvent", requestEventClass, props{
		"collection": of(func(e *core.RecordsListRequestEvent) any { return e.Collection }),
		"records":    of(func(e *core.RecordsListRequestEvent) any { return e.Records }),
		"result": of(func(e *core.RecordsListRequestEvent) any {
			if e.Result == nil {
				return nil
			}
			return map[string]any{"page": e.Result.Page, "perPage": e.Result.PerPage, "totalItems": e.Result.TotalItems, "totalPages": e.Result.TotalPages}
		}),
	})
	collectionRequestClass = eventOf("CollectionRequestEvent", requestEventClass, props{
		"collection": of(func(e *core.CollectionRequestEvent) any { return e.Collection }),
	})
	collectionsListClass = eventOf("CollectionsListRequestEvent", requestEventClass, props{
		"collections": of(func(e *core.CollectionsListRequestEvent) any { return e.Collections }),
	})
	collectionsImportClass = eventOf("CollectionsImportRequestEvent", requestEventClass, props{
		"deleteMissing": of(func(e *core.CollectionsImportRequestEvent) any { return e.DeleteMissing }),
		// The data holds OAuth2 secrets.
		"collectionsData": of(func(e *core.CollectionsImportRequestEvent) any {
			var list []any
			for _, c := range e.CollectionsData {
				list = append(list, map[string]any{"id": c["id"], "name": c["name"], "type": c["type"]})
			}
			return list
		}),
	})
	// batchClass is read-only: the requests were checked against the caller's key by now.
	batchClass = eventOf("BatchRequestEvent", requestEventClass, props{
		"batch": of(func(e *core.BatchRequestEvent) any {
			var list []any
			for _, r := range e.Batch {
				list = append(list, map[string]any{"method": r.Method, "url": r.URL, "body": plainMap(r.Body)})
			}
			return list
		}),
	})
	authRequestClass = eventOf("RecordAuthRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordAuthRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordAuthRequestEvent) any { return e.Collection }),
		"authMethod": of(func(e *core.RecordAuthRequestEvent) any { return e.AuthMethod }),
		"token":      of(func(e *core.RecordAuthRequestEvent) any { return e.Token }),
		"meta": {
			get: func(_ *machine, v any) any { return plain(v.(*event).value.(*core.RecordAuthRequestEvent).Meta) },
			set: func(m *machine, v any, to goja.Value) {
				v.(*event).value.(*core.RecordAuthRequestEvent).Meta = m.toGo(to)
			},
		},
	})
	authWithPasswordClass = eventOf("RecordAuthWithPasswordRequestEvent", requestEventClass, props{
		"record":        recordOf(func(e *core.RecordAuthWithPasswordRequestEvent) **core.Record { return &e.Record }),
		"collection":    of(func(e *core.RecordAuthWithPasswordRequestEvent) any { return e.Collection }),
		"identity":      textProp(func(e *core.RecordAuthWithPasswordRequestEvent) *string { return &e.Identity }),
		"identityField": textProp(func(e *core.RecordAuthWithPasswordRequestEvent) *string { return &e.IdentityField }),
		"password":      textProp(func(e *core.RecordAuthWithPasswordRequestEvent) *string { return &e.Password }),
	})
	authWithOAuth2Class = eventOf("RecordAuthWithOAuth2RequestEvent", requestEventClass, props{
		"record":       recordOf(func(e *core.RecordAuthWithOAuth2RequestEvent) **core.Record { return &e.Record }),
		"collection":   of(func(e *core.RecordAuthWithOAuth2RequestEvent) any { return e.Collection }),
		"providerName": of(func(e *core.RecordAuthWithOAuth2RequestEvent) any { return e.ProviderName }),
		"isNewRecord":  of(func(e *core.RecordAuthWithOAuth2RequestEvent) any { return e.IsNewRecord }),
		"oAuth2User":   of(func(e *core.RecordAuthWithOAuth2RequestEvent) any { return plain(e.OAuth2User) }),
		"createData": {
			get: func(_ *machine, v any) any {
				return plainMap(v.(*event).value.(*core.RecordAuthWithOAuth2RequestEvent).CreateData)
			},
			set: func(m *machine, v any, to goja.Value) {
				v.(*event).value.(*core.RecordAuthWithOAuth2RequestEvent).CreateData = m.fieldsOf(to)
			},
		},
	})
	authRefreshClass = eventOf("RecordAuthRefreshRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordAuthRefreshRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordAuthRefreshRequestEvent) any { return e.Collection }),
	})
	authWithOTPClass = eventOf("RecordAuthWithOTPRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordAuthWithOTPRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordAuthWithOTPRequestEvent) any { return e.Collection }),
	})
	createOTPClass = eventOf("RecordCreateOTPRequestEvent", requestEventClass, props{
		"record":     recordOf(func(e *core.RecordCreateOTPRequestEvent) **core.Record { return &e.Record }),
		"collection": of(func(e *core.RecordCreateOTPRequestEvent) any { return e.Collection }),
		"password":   textProp(func(e *core.RecordCreateOTPRequestEvent) *string { return &e.Password }),
	})
	passwordResetClass = eventOf("RecordRequestPasswordResetRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordRequestPasswordResetRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordRequestPasswordResetRequestEvent) any { return e.Collection }),
	})
	confirmPasswordResetClass = eventOf("RecordConfirmPasswordResetRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordConfirmPasswordResetRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordConfirmPasswordResetRequestEvent) any { return e.Collection }),
	})
	verificationClass = eventOf("RecordRequestVerificationRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordRequestVerificationRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordRequestVerificationRequestEvent) any { return e.Collection }),
	})
	confirmVerificationClass = eventOf("RecordConfirmVerificationRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordConfirmVerificationRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordConfirmVerificationRequestEvent) any { return e.Collection }),
	})
	emailChangeClass = eventOf("RecordRequestEmailChangeRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordRequestEmailChangeRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordRequestEmailChangeRequestEvent) any { return e.Collection }),
		"newEmail":   textProp(func(e *core.RecordRequestEmailChangeRequestEvent) *string { return &e.NewEmail }),
	})
	confirmEmailChangeClass = eventOf("RecordConfirmEmailChangeRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.RecordConfirmEmailChangeRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.RecordConfirmEmailChangeRequestEvent) any { return e.Collection }),
		"newEmail":   textProp(func(e *core.RecordConfirmEmailChangeRequestEvent) *string { return &e.NewEmail }),
	})
	// fileDownloadClass leaves the path alone, which could lead to any file of the project.
	fileDownloadClass = eventOf("FileDownloadRequestEvent", requestEventClass, props{
		"record":     of(func(e *core.FileDownloadRequestEvent) any { return e.Record }),
		"collection": of(func(e *core.FileDownloadRequestEvent) any { return e.Collection }),
		"servedPath": of(func(e *core.FileDownloadRequestEvent) any { return e.ServedPath }),
		"servedName": textProp(func(e *core.FileDownloadRequestEvent) *string { return &e.ServedName }),
		"thumbError": of(func(e *core.FileDownloadRequestEvent) any { return e.ThumbError }),
		"fileField": of(func(e *core.FileDownloadRequestEvent) any {
			if e.FileField == nil {
				return nil
			}
			return map[string]any{"id": e.FileField.Id, "name": e.FileField.Name}
		}),
	})
	fileTokenClass = eventOf("FileTokenRequestEvent", requestEventClass, props{
		"record": of(func(e *core.FileTokenRequestEvent) any { return e.Record }),
		"token":  textProp(func(e *core.FileTokenRequestEvent) *string { return &e.Token }),
	})
	realtimeConnectClass = eventOf("RealtimeConnectRequestEvent", requestEventClass, props{
		"client":      of(func(e *core.RealtimeConnectRequestEvent) any { return wrapped{clientClass, e.Client} }),
		"idleTimeout": duration(func(e *core.RealtimeConnectRequestEvent) *time.Duration { return &e.IdleTimeout }),
		"maxTimeout":  duration(func(e *core.RealtimeConnectRequestEvent) *time.Duration { return &e.MaxTimeout }),
	})
	realtimeMessageClass = eventOf("RealtimeMessageEvent", requestEventClass, props{
		"client":  of(func(e *core.RealtimeMessageEvent) any { return wrapped{clientClass, e.Client} }),
		"message": of(func(e *core.RealtimeMessageEvent) any { return wrapped{messageClass, e.Message} }),
	})
	realtimeSubscribeClass = eventOf("RealtimeSubscribeRequestEvent", requestEventClass, props{
		"client": of(func(e *core.RealtimeSubscribeRequestEvent) any { return wrapped{clientClass, e.Client} }),
		"subscriptions": {
			get: func(_ *machine, v any) any {
				return v.(*event).value.(*core.RealtimeSubscribeRequestEvent).Subscriptions
			},
			set: func(m *machine, v any, to goja.Value) {
				v.(*event).value.(*core.RealtimeSubscribeRequestEvent).Subscriptions = m.strings(to)
			},
		},
	})
)

// recordOf lets a handler choose the record that signs in, but never one of a system collection.
func recordOf[T any](at func(ev T) **core.Record) prop {
	return prop{
		get: func(_ *machine, v any) any { return *at(v.(*event).value.(T)) },
		set: func(m *machine, v any, to goja.Value) { *at(v.(*event).value.(T)) = m.userRecord(to) },
	}
}

func duration[T any](at func(ev T) *time.Duration) prop {
	return prop{
		get: func(_ *machine, v any) any { return int64(*at(v.(*event).value.(T))) },
		set: func(_ *machine, v any, to goja.Value) {
			*at(v.(*event).value.(T)) = min(max(time.Duration(to.ToInteger()), time.Second), time.Hour)
		},
	}
}

// plain makes maps and lists of any value.
func plain(v any) any {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var to any
	if decode(raw, &to) != nil {
		return nil
	}
	return to
}

func plainMap(v map[string]any) any {
	if v == nil {
		return map[string]any{}
	}
	return plain(v)
}

// clientClass is a realtime connection.
var clientClass = new(class)

func init() {
	*clientClass = class{
		name: "RealtimeClient",
		methods: map[string]method{
			"id": func(_ *machine, v any, _ args) (any, error) { return v.(subscriptions.Client).Id(), nil },
			"hasSubscription": func(_ *machine, v any, a args) (any, error) {
				return v.(subscriptions.Client).HasSubscription(a.str(0)), nil
			},
			"subscriptions": func(_ *machine, v any, a args) (any, error) {
				list := map[string]any{}
				for name := range v.(subscriptions.Client).Subscriptions(a.strs(0)...) {
					list[name] = map[string]any{}
				}
				return list, nil
			},
			"isDiscarded": func(_ *machine, v any, _ args) (any, error) { return v.(subscriptions.Client).IsDiscarded(), nil },
			"get": func(_ *machine, v any, a args) (any, error) {
				if key := a.str(0); key == "auth" {
					r, _ := v.(subscriptions.Client).Get("auth").(*core.Record)
					return r, nil
				}
				return keptOf(v.(subscriptions.Client).Get(storeKey)).values[a.str(0)], nil
			},
			"set": func(_ *machine, v any, a args) (any, error) {
				client := v.(subscriptions.Client)
				kept, err := keptOf(client.Get(storeKey)).with(a, maxKeptClient)
				client.Set(storeKey, kept)
				return undefined{}, err
			},
		},
	}
}

var messageClass = new(class)

func init() {
	*messageClass = class{
		name: "SubscriptionMessage",
		props: props{
			"name": {
				get: func(_ *machine, v any) any { return v.(*subscriptions.Message).Name },
				set: func(m *machine, v any, to goja.Value) { v.(*subscriptions.Message).Name = m.str(to) },
			},
			"data": {
				get: func(_ *machine, v any) any { return string(v.(*subscriptions.Message).Data) },
				set: func(m *machine, v any, to goja.Value) { v.(*subscriptions.Message).Data = m.bytes(to) },
			},
		},
	}
}

// mailClass is a mail that is about to leave.
var mailClass = new(class)

func init() {
	*mailClass = class{
		name: "MailerMessage",
		props: props{
			"subject": {
				get: func(_ *machine, v any) any { return v.(*mailer.Message).Subject },
				set: func(m *machine, v any, to goja.Value) { v.(*mailer.Message).Subject = m.oneLine(m.str(to)) },
			},
			"html": mailText(func(mail *mailer.Message) *string { return &mail.HTML }),
			"text": mailText(func(mail *mailer.Message) *string { return &mail.Text }),
			"from": {
				get: func(_ *machine, v any) any { return addresses(v.(*mailer.Message).From)[0] },
				set: func(m *machine, v any, to goja.Value) { v.(*mailer.Message).From = m.address(m.toGo(to)) },
			},
			"to":  mailList(func(mail *mailer.Message) *[]address { return &mail.To }),
			"cc":  mailList(func(mail *mailer.Message) *[]address { return &mail.Cc }),
			"bcc": mailList(func(mail *mailer.Message) *[]address { return &mail.Bcc }),
			"headers": {
				get: func(_ *machine, v any) any { return v.(*mailer.Message).Headers },
				set: func(m *machine, v any, to goja.Value) { v.(*mailer.Message).Headers = m.stringMap(m.mapOf(to)) },
			},
		},
	}
}
