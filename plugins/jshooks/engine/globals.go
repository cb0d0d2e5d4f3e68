package engine

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/dop251/goja"
	validation "github.com/pocketbase/ozzo-validation/v4"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"
	"github.com/pocketbase/pocketbase/tools/mailer"
	"github.com/pocketbase/pocketbase/tools/subscriptions"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	noFiles   = "Hooks have no files; keep data in collections and files in file fields. $filesystem.fileFromBytes(content, name) makes one."
	noPaths   = "Hooks have no files; keep data in collections and files in file fields."
	noProcess = "Hooks have no processes and no environment; use $secrets.get(name) for secrets and $http.send for services."
	noSchema  = "Change collections in the dashboard, or with the collections API."
	noTimers  = "A call ends when its handler returns; use cronAdd for later."
)

// refusedGlobals exist so that a script that needs them learns what to use instead.
var refusedGlobals = map[string]string{
	"$os": noProcess, "process": noProcess, "Command": noProcess, "$filesystem": noFiles, "$filepath": noPaths,
	"$template": "Build HTML with template literals, and escape what users wrote.",
	"$mails":    "PocketBase sends these by itself; use $app.newMailClient().send() for your own.",
	"migrate":   noSchema, "Field": noSchema, "FieldsList": noSchema, "TextField": noSchema, "NumberField": noSchema,
	"BoolField": noSchema, "URLField": noSchema, "EmailField": noSchema, "EditorField": noSchema, "PasswordField": noSchema,
	"DateField": noSchema, "AutodateField": noSchema, "JSONField": noSchema, "RelationField": noSchema, "SelectField": noSchema,
	"FileField": noSchema, "GeoPointField": noSchema, "Collection": noSchema,
	"setTimeout": noTimers, "setInterval": noTimers, "setImmediate": noTimers, "clearTimeout": noTimers, "clearInterval": noTimers,
	"Context":          "Use e.get() and e.set().",
	"RequestInfo":      "Use e.requestInfo().",
	"Timezone":         "Use Date, or the second argument of DateTime.",
	"RecordUpsertForm": "Use $app.save().", "TestEmailSendForm": noProcess, "TestS3FilesystemForm": noProcess, "AppleClientSecretCreateForm": noProcess,
}

// refusedNamespace is a global whose every property throws, but for some.
type refusedNamespace struct {
	m            *machine
	name, reason string
	allowed      map[string]goja.Value
}

func (r *refusedNamespace) Get(key string) goja.Value {
	if v, ok := r.allowed[key]; ok {
		return v
	}
	r.m.throw(&refusedError{name: r.name + "." + clip(key), reason: r.reason})
	return nil
}
func (r *refusedNamespace) Set(string, goja.Value) bool { return false }
func (r *refusedNamespace) Has(string) bool             { return true }
func (r *refusedNamespace) Delete(string) bool          { return false }
func (r *refusedNamespace) Keys() []string              { return nil }

// globals sets all that scripts find beside the language.
func (m *machine) globals() {
	for name, reason := range refusedGlobals {
		if name[0] == '$' || name == "process" {
			m.set(name, m.vm.NewDynamicObject(&refusedNamespace{m, name, reason, m.allowed(name)}))
			continue
		}
		m.set(name, m.refusal(name, reason))
	}
	m.set("__hooks", hooksRoot)
	m.set("$app", m.wrap(appClass, &appRef{}))
	m.console()
	m.apisObject()
	m.dbxObject()
	m.securityObject()
	m.httpObject()
	m.apiErrors()
	m.registrars()
	m.helpers()
	m.constructors()
}

// allowed is what is left of a refused global.
func (m *machine) allowed(name string) map[string]goja.Value {
	if name != "$filesystem" {
		return nil
	}
	return map[string]goja.Value{"fileFromBytes": m.native("fileFromBytes", func(call goja.FunctionCall) goja.Value {
		m.inHandler("$filesystem.fileFromBytes()")
		file, err := filesystem.NewFileFromBytes(m.bytes(call.Argument(0)), m.str(call.Argument(1)))
		m.check(err)
		return m.toJS(file)
	})}
}

func (m *machine) function(name string, fn func(a args) any) {
	m.set(name, m.native(name, func(call goja.FunctionCall) goja.Value {
		return m.toJS(fn(args{m: m, list: call.Arguments}))
	}))
}

func (m *machine) helpers() {
	secrets := m.vm.NewObject()
	m.hidden(secrets, "get", m.native("get", func(call goja.FunctionCall) goja.Value {
		m.inHandler("$secrets")
		v, ok := m.engine.cfg.Secrets(m.str(call.Argument(0)))
		if !ok {
			return goja.Null()
		}
		return m.vm.ToValue(v)
	}))
	m.freeze(secrets)
	m.set("$secrets", secrets)

	m.function("sleep", func(a args) any {
		c := m.inHandler("sleep()")
		defer c.wait()()
		select {
		case <-time.After(time.Duration(min(max(a.int(0), 0), 60_000)) * time.Millisecond):
		case <-c.ctx.Done():
		}
		if m.stop.Load() {
			m.interrupted()
		}
		return undefined{}
	})
	m.function("toString", func(a args) any { return string(m.read(a)) })
	m.function("readerToString", func(a args) any { return string(m.read(a)) })
	m.function("toBytes", func(a args) any { return m.read(a) })
	m.function("unmarshal", func(a args) any {
		m.fill(a.at(1), plain(a.value(0)))
		return undefined{}
	})
	m.function("arrayOf", func(a args) any {
		c := m.inHandler("arrayOf()")
		list := m.vm.NewArray()
		if o, ok := a.at(0).(*goja.Object); ok && c.shapes[o] != nil {
			c.shapes[list] = c.shapes[o]
		}
		return list
	})
	for name, of := range map[string]any{
		"nullString": "", "nullFloat": 0.0, "nullInt": int64(0), "nullBool": false, "nullArray": []any{}, "nullObject": map[string]any{},
	} {
		m.function(name, func(args) any { return wrapped{nullableClass, &nullable{of}} })
	}
}

var nullableClass = &class{name: "Nullable"}

// inHandler returns the running call.
func (m *machine) inHandler(what string) *call {
	if m.call == nil || m.call.registering != nil {
		m.throwType(what + " can be used in handlers only, not at the top of a file")
	}
	return m.call
}

// read returns the bytes of a text, an array, a body or a raw value.
func (m *machine) read(a args) []byte {
	if f := unwrap(a.at(0)); f != nil && f.class == bodyClass {
		f.alive()
		raw, err := readBody(f.value.(*core.RequestEvent), a.int(1))
		m.check(err)
		return raw
	}
	return m.bytes(a.at(0))
}

func (m *machine) bytes(v goja.Value) []byte {
	switch v := m.toGo(v).(type) {
	case nil:
		return nil
	case string:
		return []byte(v)
	case []byte:
		return v
	case types.JSONRaw:
		return v
	case []any:
		var b bytes.Buffer
		for _, item := range v {
			n, ok := item.(int64)
			if !ok || n < 0 || n > 255 {
				raw, _ := marshal(v, 0)
				return raw
			}
			b.WriteByte(byte(n))
		}
		return b.Bytes()
	case map[string]any:
		raw, _ := marshal(v, 0)
		return raw
	default:
		return []byte(fmt.Sprint(v))
	}
}

// construct makes a global constructor of façades.
func (m *machine) construct(name string, c *class, make func(a args) any) {
	fn := m.vm.ToValue(func(call goja.ConstructorCall) *goja.Object {
		defer m.enter()()
		return m.wrap(c, make(args{m: m, list: call.Arguments}))
	}).ToObject(m.vm)
	_ = fn.DefineDataProperty("name", m.vm.ToValue(name), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	_ = fn.DefineDataProperty("prototype", m.prototype(c), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	m.freeze(fn)
	m.set(name, fn)
}

func (m *machine) constructors() {
	m.construct("Record", recordClass, func(a args) any {
		c := m.inHandler("Record")
		if len(a.list) == 0 {
			return (*core.Record)(nil) // for recordQuery().one()
		}
		r := core.NewRecord(a.collection(c.app))
		for k, v := range m.fieldsOf(a.at(1)) {
			m.setField(r, k, v)
		}
		return r
	})
	m.construct("DateTime", dateTimeClass, func(a args) any {
		raw, zone := a.str(0), a.str(1)
		if raw == "" {
			d := types.NowDateTime()
			return &d
		}
		if loc, err := time.LoadLocation(zone); err == nil && zone != "" && !strings.Contains(zone, "..") {
			for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
				if t, err := time.ParseInLocation(layout, raw, loc); err == nil {
					return dateTime(t)
				}
			}
		}
		d, _ := types.ParseDateTime(raw)
		return &d
	})
	m.construct("MailerMessage", mailClass, func(a args) any {
		mail := &mailer.Message{}
		fields := a.at(0)
		if o, ok := fields.(*goja.Object); ok {
			for _, k := range o.Keys() {
				p, ok := mailClass.props[k]
				if !ok {
					m.throwType("a mail has no " + clip(k))
				}
				p.set(m, mail, o.Get(k))
			}
		}
		return mail
	})
	m.construct("SubscriptionMessage", messageClass, func(a args) any {
		fields := m.mapOf(a.at(0))
		name, _ := fields["name"].(string)
		return &subscriptions.Message{Name: name, Data: m.bytes(m.toJS(fields["data"]))}
	})
	m.construct("Middleware", middlewareClass, func(a args) any {
		fn, ok := goja.AssertFunction(a.at(0))
		if !ok {
			m.throwType("Middleware needs a function")
		}
		return &jsMiddleware{fn: fn, priority: int(a.int(1))}
	})
	m.construct("FormData", formClass, func(args) any { return &form{} })
	m.construct("ValidationError", validationClass, func(a args) any { return validation.NewError(a.str(0), a.str(1)) })
	m.plainConstructor("DynamicModel", func(a args) *goja.Object {
		c := m.inHandler("DynamicModel")
		from, ok := a.at(0).(*goja.Object)
		if !ok {
			m.throwType("DynamicModel needs an object")
		}
		s, o := shape{}, m.vm.NewObject()
		for _, k := range from.Keys() {
			s[k] = m.toGo(from.Get(k))
			v := s[k]
			if _, ok := v.(*nullable); ok {
				v = nil
			}
			_ = o.Set(k, m.toJS(v))
		}
		if c.shapes == nil {
			c.shapes = map[*goja.Object]shape{}
		}
		c.shapes[o] = s
		return o
	})
	m.plainConstructor("Cookie", func(a args) *goja.Object {
		o := m.vm.NewObject()
		for k, v := range m.mapOf(a.at(0)) {
			_ = o.Set(k, m.toJS(v))
		}
		return o
	})
}

func (m *machine) plainConstructor(name string, make func(a args) *goja.Object) {
	fn := m.vm.ToValue(func(call goja.ConstructorCall) *goja.Object {
		defer m.enter()()
		return make(args{m: m, list: call.Arguments})
	}).ToObject(m.vm)
	_ = fn.DefineDataProperty("name", m.vm.ToValue(name), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	m.freeze(fn)
	m.set(name, fn)
}

// validationClass is an error for one field of an API error's data.
var validationClass = new(class)

func init() {
	*validationClass = class{
		name: "ValidationError",
		methods: map[string]method{
			"code":    func(_ *machine, v any, _ args) (any, error) { return v.(validation.Error).Code(), nil },
			"message": func(_ *machine, v any, _ args) (any, error) { return v.(validation.Error).Message(), nil },
			"error":   func(_ *machine, v any, _ args) (any, error) { return v.(validation.Error).Error(), nil },
		},
	}
}

// loggerFields are the attributes that logger().with() added.
type loggerFields []any

// loggerClass writes to the hook log, with attributes as PocketBase's logger takes them.
var loggerClass = new(class)

func init() {
	*loggerClass = class{name: "Logger", methods: map[string]method{
		"with": func(_ *machine, v any, a args) (any, error) {
			list := append(loggerFields{}, v.(loggerFields)...)
			for i := range a.list {
				list = append(list, a.value(i))
			}
			return wrapped{loggerClass, list[:min(len(list), 50)]}, nil
		},
		"withGroup": func(_ *machine, v any, _ args) (any, error) { return wrapped{loggerClass, v}, nil },
		"debug":     logging("debug"), "info": logging("info"), "warn": logging("warn"), "error": logging("error"),
	}}
}

func logging(level string) method {
	return func(m *machine, v any, a args) (any, error) {
		list := append([]goja.Value{}, a.list[:min(len(a.list), 1)]...)
		fields := append(loggerFields{}, v.(loggerFields)...)
		for i := 1; i < len(a.list); i++ {
			fields = append(fields, a.value(i))
		}
		for i, f := range fields {
			if i%2 == 0 && i+1 < len(fields) {
				raw, _ := marshal(fields[i+1], 0)
				list = append(list, m.vm.ToValue(clip(fmt.Sprintf("%v=%s", f, raw))))
			}
		}
		m.print(level, list)
		return undefined{}, nil
	}
}
