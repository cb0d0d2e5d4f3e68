package hooks

import (
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/event"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// PublishAuth makes an event of everything that happens by a request of the
// auth API and is no plain change of a record (PublishRecords has those). Call it
// before the app serves.
//
// A reset password is published in the transaction that stores it. A sign-in and
// the requests for mails store nothing to share a transaction with: their events
// are written before the answer leaves, so that what a client knows of happened.
func PublishAuth(app core.App, publisher Publisher) {
	p := authEvents{publisher}
	app.OnRecordAuthWithOAuth2Request().Bind(&hook.Handler[*core.RecordAuthWithOAuth2RequestEvent]{
		Id: "picoEventOAuth2",
		Func: func(e *core.RecordAuthWithOAuth2RequestEvent) error {
			e.Set(oauth2Key, &oauth2{provider: e.ProviderName, isNew: e.IsNewRecord})
			return e.Next()
		},
	})
	app.OnRecordAuthRequest().Bind(&hook.Handler[*core.RecordAuthRequestEvent]{
		Id: "picoEventSignIn",
		Func: func(e *core.RecordAuthRequestEvent) error {
			if e.AuthMethod == "" { // a refresh or an impersonation
				return e.Next()
			}
			return p.beforeAnswer(e.RequestEvent, event.UserSignedIn, e.Next, func() (*core.Record, map[string]any) {
				return e.Record, signInData(e)
			})
		},
	})
	app.OnRecordRequestOTPRequest().Bind(&hook.Handler[*core.RecordCreateOTPRequestEvent]{
		Id: "picoEventOTP",
		Func: func(e *core.RecordCreateOTPRequestEvent) error {
			return p.beforeAnswer(e.RequestEvent, event.UserOTPRequested, e.Next, recordOnly(&e.Record))
		},
	})
	app.OnRecordRequestPasswordResetRequest().Bind(&hook.Handler[*core.RecordRequestPasswordResetRequestEvent]{
		Id: "picoEventPasswordResetRequest",
		Func: func(e *core.RecordRequestPasswordResetRequestEvent) error {
			return p.beforeAnswer(e.RequestEvent, event.UserPasswordResetRequested, e.Next, recordOnly(&e.Record))
		},
	})
	app.OnRecordRequestVerificationRequest().Bind(&hook.Handler[*core.RecordRequestVerificationRequestEvent]{
		Id: "picoEventVerificationRequest",
		Func: func(e *core.RecordRequestVerificationRequestEvent) error {
			return p.beforeAnswer(e.RequestEvent, event.UserVerificationRequested, e.Next, recordOnly(&e.Record))
		},
	})
	app.OnRecordRequestEmailChangeRequest().Bind(&hook.Handler[*core.RecordRequestEmailChangeRequestEvent]{
		Id: "picoEventEmailChangeRequest",
		Func: func(e *core.RecordRequestEmailChangeRequestEvent) error {
			return p.beforeAnswer(e.RequestEvent, event.UserEmailChangeRequested, e.Next, func() (*core.Record, map[string]any) {
				return e.Record, map[string]any{"newEmail": e.NewEmail}
			})
		},
	})
	app.OnRecordConfirmPasswordResetRequest().Bind(&hook.Handler[*core.RecordConfirmPasswordResetRequestEvent]{
		Id:   "picoEventPasswordReset",
		Func: p.passwordReset,
	})
}

type authEvents struct{ publisher Publisher }

const oauth2Key = "picoOAuth2"

// oauth2 is what only the hook around a sign-in with OAuth2 knows.
type oauth2 struct {
	provider string
	isNew    bool
}

// signInData says how somebody signs in.
func signInData(e *core.RecordAuthRequestEvent) map[string]any {
	data := map[string]any{"method": e.AuthMethod, "provider": "", "new": false}
	if with, ok := e.Get(oauth2Key).(*oauth2); ok && e.AuthMethod == core.MFAMethodOAuth2 {
		data["provider"], data["new"] = with.provider, with.isNew
	}
	return data
}

func recordOnly(record **core.Record) func() (*core.Record, map[string]any) {
	return func() (*core.Record, map[string]any) { return *record, nil }
}

func (p authEvents) wants(eventType string, c *core.Collection) bool {
	return !c.System && p.publisher.Wants(eventType, c.Name)
}

// beforeAnswer goes on, and publishes the event when a success is about to be
// answered. There is none for a request about nobody, which PocketBase answers
// all the same.
func (p authEvents) beforeAnswer(e *core.RequestEvent, eventType string, next func() error, about func() (*core.Record, map[string]any)) error {
	if record, _ := about(); record != nil && !p.wants(eventType, record.Collection()) {
		return next()
	}
	published := false
	publish := func() {
		record, extra := about()
		if published || record == nil || !p.wants(eventType, record.Collection()) {
			return
		}
		published = true
		data := map[string]any{"record": fields(record)}
		for name, value := range extra {
			data[name] = value
		}
		err := p.publisher.Publish(e.App, event.New(eventType, record.Collection().Name, record.Id, data, time.Now()))
		if err != nil { // too late to refuse: mails are on their way
			e.App.Logger().Error("event lost", "type", eventType, "record", record.Id, "error", err)
		}
	}
	response := e.Response
	e.Response = &answerWriter{ResponseWriter: response, before: publish}
	err := next()
	e.Response = response
	// In somebody's transaction the answer waits for its end, and so does the event.
	if err == nil && e.App.IsTransactional() {
		publish()
	}
	return err
}

// answerWriter calls before ahead of a successful answer.
type answerWriter struct {
	http.ResponseWriter
	before func()
}

// WriteHeader implements [http.ResponseWriter].
func (w *answerWriter) WriteHeader(status int) {
	if status >= 200 && status < 300 {
		w.before()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets PocketBase see what has been written.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// passwordReset publishes in the transaction that stores the new password. The
// answer waits for its end by itself.
func (p authEvents) passwordReset(e *core.RecordConfirmPasswordResetRequestEvent) error {
	if !p.wants(event.UserPasswordReset, e.Record.Collection()) {
		return e.Next()
	}
	app := e.App
	defer func() { e.App = app }()
	return app.RunInTransaction(func(tx core.App) error {
		e.App = tx
		if err := e.Next(); err != nil {
			return err
		}
		after, err := stored(tx, e.Record)
		if err != nil {
			return err
		}
		data := map[string]any{"record": fields(after)}
		return p.publisher.Publish(tx, event.New(event.UserPasswordReset, after.Collection().Name, after.Id, data, time.Now()))
	})
}
