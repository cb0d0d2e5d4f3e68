package engine

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/mailer"
)

// What one call may send. The time of it doesn't count as the hook's.
const (
	mailTimeout = 10 * time.Second
	maxMails    = 100
)

const maxRecords = 10_000

// appRef is the app behind a façade: a certain one, or the one of the running call.
type appRef struct {
	app  core.App
	over bool
}

func (m *machine) appOf(ref *appRef) core.App {
	switch {
	case m.call == nil || m.call.registering != nil:
		m.throwType("$app can be used in handlers only, not at the top of a file")
	case ref.over:
		m.throwType("the app of a transaction was used after its end")
	case ref.app != nil:
		return ref.app
	}
	return m.call.app
}

// appMethod is a method of $app.
func appMethod(fn func(app core.App, a args) (any, error)) method {
	return func(m *machine, v any, a args) (any, error) { return fn(m.appOf(v.(*appRef)), a) }
}

var appClass *class

func init() {
	appClass = &class{name: "App", props: props{"rootCmd": {hidden: true, get: func(m *machine, _ any) any {
		m.throw(&refusedError{name: "$app.rootCmd", reason: noProcess})
		return nil
	}}}, methods: merge(map[string]method{
		"findRecordById": appMethod(func(app core.App, a args) (any, error) {
			return app.FindRecordById(a.collection(app), a.str(1))
		}),
		"findRecordsByIds": appMethod(func(app core.App, a args) (any, error) {
			return app.FindRecordsByIds(a.collection(app), a.strs(1))
		}),
		"findAllRecords": appMethod(func(app core.App, a args) (any, error) {
			var records []*core.Record
			q, err := a.matching(app)
			if err != nil {
				return nil, err
			}
			return records, limited(q.Limit(maxRecords+1).All(&records), &records)
		}),
		"findFirstRecordByData": appMethod(func(app core.App, a args) (any, error) {
			if c := a.collection(app); !c.IsAuth() || !secretName(a.str(1)) {
				return app.FindFirstRecordByData(c, a.str(1), a.value(2))
			}
			return nil, errSecretField
		}),
		"findRecordsByFilter": appMethod(func(app core.App, a args) (any, error) {
			c := a.collection(app)
			limit := int(a.int(3))
			if limit <= 0 || limit > maxRecords {
				limit = maxRecords + 1
			}
			records, err := app.FindRecordsByFilter(c, a.filter(app, 1, 5), a.sorting(app, 2), limit, int(a.int(4)))
			return records, limited(err, &records)
		}),
		"findFirstRecordByFilter": appMethod(func(app core.App, a args) (any, error) {
			return app.FindFirstRecordByFilter(a.collection(app), a.filter(app, 1, 2))
		}),
		"countRecords": appMethod(func(app core.App, a args) (any, error) {
			q, err := a.matching(app)
			if err != nil {
				return nil, err
			}
			total := int64(0)
			return total, q.Select("count(*)").Row(&total)
		}),
		"findAuthRecordByEmail": appMethod(func(app core.App, a args) (any, error) {
			return app.FindAuthRecordByEmail(a.collection(app), a.str(1))
		}),
		"findAuthRecordByToken": appMethod(func(app core.App, a args) (any, error) {
			r, err := app.FindAuthRecordByToken(a.str(0), a.strs(1)...)
			if err == nil && system(r.Collection()) {
				err = errSystem
			}
			return r, err
		}),
		"findCollectionByNameOrId": appMethod(func(app core.App, a args) (any, error) { return a.collection(app), nil }),
		"findCachedCollectionByNameOrId": appMethod(func(app core.App, a args) (any, error) {
			return a.collection(app), nil
		}),
		"findAllCollections": appMethod(func(app core.App, a args) (any, error) {
			all, err := app.FindAllCollections(a.strs(0)...)
			var list []*core.Collection
			for _, c := range all {
				if !system(c) {
					list = append(list, c)
				}
			}
			return list, err
		}),
		"save": appMethod(func(app core.App, a args) (any, error) {
			return undefined{}, app.SaveWithContext(a.m.call.base(), a.m.userRecord(a.at(0)))
		}),
		"saveNoValidate": appMethod(func(app core.App, a args) (any, error) {
			return undefined{}, app.SaveNoValidateWithContext(a.m.call.base(), a.m.userRecord(a.at(0)))
		}),
		"delete": appMethod(func(app core.App, a args) (any, error) {
			return undefined{}, app.DeleteWithContext(a.m.call.base(), a.m.userRecord(a.at(0)))
		}),
		"validate": appMethod(func(app core.App, a args) (any, error) {
			return undefined{}, app.ValidateWithContext(a.m.call.base(), a.m.userRecord(a.at(0)))
		}),
		"runInTransaction": runInTransaction,
		"expandRecord": appMethod(func(app core.App, a args) (any, error) {
			return failed(app.ExpandRecord(a.m.userRecord(a.at(0)), a.expands(1), nil)), nil
		}),
		"expandRecords": appMethod(func(app core.App, a args) (any, error) {
			return failed(app.ExpandRecords(a.m.userRecords(a.at(0)), a.expands(1), nil)), nil
		}),
		"canAccessRecord": appMethod(func(app core.App, a args) (any, error) {
			f := unwrap(a.at(1))
			if f == nil || f.class != requestInfoClass {
				return nil, errors.New("the second argument must be e.requestInfo()")
			}
			var rule *string
			if !absent(a.at(2)) {
				s := a.filter(app, 2, 0)
				rule = &s
			}
			return app.CanAccessRecord(a.m.userRecord(a.at(0)), f.value.(*core.RequestInfo), rule)
		}),
		"isTransactional": appMethod(func(app core.App, _ args) (any, error) { return app.IsTransactional(), nil }),
		"isDev":           appMethod(func(core.App, args) (any, error) { return false, nil }),
		"logger":          appMethod(func(core.App, args) (any, error) { return wrapped{loggerClass, loggerFields(nil)}, nil }),
		"db":              appMethod(func(app core.App, _ args) (any, error) { return wrapped{dbClass, app}, nil }),
		"recordQuery": appMethod(func(app core.App, a args) (any, error) {
			return wrapped{queryClass, a.records(app)}, nil
		}),
		"settings":      appMethod(func(app core.App, _ args) (any, error) { return wrapped{settingsClass, app}, nil }),
		"newMailClient": appMethod(func(app core.App, _ args) (any, error) { return wrapped{mailClientClass, app}, nil }),
	},
		refusals("Save records with $app.save().", "unsafeWithoutHooks", "auxSave", "auxDelete", "saveWithContext", "deleteWithContext"),
		refusals("Keep state in a collection.", "store", "dataDir", "newFilesystem", "newBackupsFilesystem"),
		refusals("Only the operator of the server can do that.", "restart", "bootstrap", "resetBootstrapState", "reloadSettings",
			"createBackup", "restoreBackup", "encryptionEnv", "runSystemMigrations", "runAppMigrations", "runAllMigrations", "vacuum", "auxVacuum"),
		refusals(noSchema, "importCollections", "importCollectionsByMarshaledJSON",
			"truncateCollection", "deleteTable", "deleteView", "saveView", "syncRecordTableSchema", "reloadCachedCollections"),
		refusals("Use $app.db() or $app.recordQuery().", "concurrentDB", "nonconcurrentDB", "auxDB", "auxConcurrentDB",
			"auxNonconcurrentDB", "modelQuery", "auxModelQuery", "auxRunInTransaction"),
		refusals("Use $app.findAllCollections().", "collectionQuery"),
		refusals("Logs are in the dashboard; what hooks log is at /api/v1/hooks/logs.", "logQuery", "findLogById", "logsStats", "deleteOldLogs"),
		refusals("Save a record in a collection: all who subscribed to it hear of that.", "subscriptionsBroker"),
		refusals("Use the on* hooks, and cronAdd().", "cron", "onServe", "onBootstrap"),
		refusals("System collections aren't available in hooks.", "findAllExternalAuthsByRecord", "findAllMFAsByRecord",
			"findAllOTPsByRecord", "findAllAuthOriginsByRecord"),
	)}
}

func (a args) records(app core.App) *selection {
	c := a.collection(app)
	return &selection{app: app, q: app.RecordQuery(c).WithContext(a.m.call.ctx), records: c}
}

func limited(err error, records *[]*core.Record) error {
	if err == nil && len(*records) > maxRecords {
		return fmt.Errorf("more than %d records; use a limit", maxRecords)
	}
	return err
}

func failed(errs map[string]error) any {
	list := map[string]any{}
	for k, err := range errs {
		list[k] = err.Error()
	}
	return list
}

// base is the context of what a call writes. It isn't canceled with the call: PocketBase may
// use it after a commit.
func (c *call) base() context.Context { return context.WithoutCancel(c.ctx) }

func runInTransaction(m *machine, v any, a args) (any, error) {
	fn, ok := goja.AssertFunction(a.at(0))
	if !ok {
		m.throwType("runInTransaction needs a function")
	}
	app, c := m.appOf(v.(*appRef)), m.call
	return undefined{}, app.RunInTransaction(func(tx core.App) error {
		ref, was := &appRef{app: tx}, c.app
		c.app = tx
		defer func() { c.app, ref.over = was, true }()
		v, err := fn(goja.Undefined(), m.wrap(appClass, ref))
		if err != nil {
			return err
		}
		if o, ok := v.(*goja.Object); ok {
			if err, ok := m.goError(o); ok {
				return err
			}
		}
		return nil
	})
}

// collection resolves the first argument, a name, an id or a façade to a collection that hooks may use.
func (a args) collection(app core.App) *core.Collection {
	if f := unwrap(a.at(0)); f != nil {
		f.alive()
		if c, ok := f.value.(*core.Collection); ok && !system(c) {
			return c
		}
	}
	c, err := app.FindCachedCollectionByNameOrId(a.str(0))
	a.m.check(err)
	if system(c) {
		a.m.throw(fmt.Errorf("%q: %w", c.Name, errSystem))
	}
	return c
}

// userRecord is the record of a façade, if hooks may use it.
func (m *machine) userRecord(v goja.Value) *core.Record {
	f := unwrap(v)
	if f != nil {
		f.alive()
		if r, ok := f.value.(*core.Record); ok && r.Collection() != nil {
			if system(r.Collection()) {
				m.throw(errSystem)
			}
			return r
		}
		if _, ok := f.value.(*core.Collection); ok {
			m.throw(&refusedError{name: "Changing a collection", reason: noSchema})
		}
	}
	m.throwType("this needs a record")
	return nil
}

func (m *machine) userRecords(v goja.Value) []*core.Record {
	o, ok := v.(*goja.Object)
	if !ok || o.ClassName() != "Array" {
		m.throwType("this needs an array of records")
	}
	list := make([]*core.Record, m.length(o))
	for i := range list {
		list[i] = m.userRecord(o.Get(itoa(i)))
	}
	return list
}

func (a args) expands(i int) []string {
	list := a.m.strings(a.at(i))
	for _, s := range list {
		if backRelation.MatchString(s) {
			a.m.throw(errSystem)
		}
	}
	return list
}

func (a args) params(i int) []dbx.Params {
	if m := a.m.mapOf(a.at(i)); m != nil {
		return []dbx.Params{m}
	}
	return nil
}

var settingsClass = new(class)

func init() {
	*settingsClass = class{
		name: "Settings",
		props: props{
			"meta": {get: func(_ *machine, v any) any {
				meta := v.(core.App).Settings().Meta
				return map[string]any{"appName": meta.AppName, "appURL": meta.AppURL, "senderName": meta.SenderName, "senderAddress": meta.SenderAddress}
			}},
		},
	}
}

func init() {
	for _, name := range []string{"smtp", "s3", "backups", "logs", "batch", "rateLimits", "trustedProxy", "superuserIPs"} {
		settingsClass.props[name] = prop{hidden: true, get: func(m *machine, _ any) any {
			m.throw(&refusedError{name: "$app.settings()." + name, reason: "Hooks see settings().meta only; use $secrets.get(name) for your own secrets."})
			return nil
		}}
	}
}

var mailClientClass = new(class)

func init() {
	*mailClientClass = class{
		name: "MailClient",
		methods: map[string]method{
			"send": func(m *machine, v any, a args) (any, error) {
				f := unwrap(a.at(0))
				if f == nil || f.class != mailClass {
					m.throwType("send needs a MailerMessage")
				}
				message := *f.value.(*mailer.Message)
				left, err := m.call.mailTime()
				if err != nil {
					return nil, err
				}
				defer m.call.mailed(time.Now())
				client := v.(core.App).NewMailClient()
				done := make(chan error, 1)
				go func() {
					defer func() {
						if p := recover(); p != nil {
							done <- fmt.Errorf("send mail: %v", p)
						}
					}()
					done <- client.Send(&message)
				}()
				return undefined{}, m.call.outside(func() error {
					select {
					case err := <-done:
						return err
					case <-time.After(left):
						return errors.New("send mail: the mail server takes too long")
					}
				})
			},
		},
	}
}

// mailTime returns how long the next mail may take.
func (c *call) mailTime() (time.Duration, error) {
	if c.mails >= maxMails {
		return 0, fmt.Errorf("a call may send %d mails", maxMails)
	}
	if c.mailing >= mailTimeout {
		return 0, errors.New("send mail: the mails of this call take too long")
	}
	return mailTimeout - c.mailing, nil
}

func (c *call) mailed(since time.Time) {
	c.mails++
	c.mailing += time.Since(since)
}

type address = mail.Address

// oneLine refuses what would begin another header.
func (m *machine) oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n\x00") {
		m.throwType("a header must be one line")
	}
	return s
}

func addresses(list ...address) []any {
	to := make([]any, len(list))
	for i, a := range list {
		to[i] = map[string]any{"address": a.Address, "name": a.Name}
	}
	return to
}

func (m *machine) address(v any) address {
	fields, ok := v.(map[string]any)
	if !ok {
		return address{Address: m.oneLine(fmt.Sprint(v))}
	}
	text := func(k string) string {
		s, _ := fields[k].(string)
		return m.oneLine(s)
	}
	return address{Address: text("address"), Name: text("name")}
}

func mailText(at func(mail *mailer.Message) *string) prop {
	return prop{
		get: func(_ *machine, v any) any { return *at(v.(*mailer.Message)) },
		set: func(m *machine, v any, to goja.Value) { *at(v.(*mailer.Message)) = m.str(to) },
	}
}

func mailList(at func(mail *mailer.Message) *[]address) prop {
	return prop{
		get: func(_ *machine, v any) any { return addresses(*at(v.(*mailer.Message))...) },
		set: func(m *machine, v any, to goja.Value) {
			list, _ := m.toGo(to).([]any)
			addresses := []address{}
			for _, item := range list {
				addresses = append(addresses, m.address(item))
			}
			*at(v.(*mailer.Message)) = addresses
		},
	}
}

func (m *machine) stringMap(from map[string]any) map[string]string {
	to := map[string]string{}
	for k, v := range from {
		to[m.oneLine(k)] = m.oneLine(strings.TrimSpace(fmt.Sprint(v)))
	}
	return to
}
