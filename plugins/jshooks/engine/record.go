package engine

import (
	"errors"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"
	"github.com/pocketbase/pocketbase/tools/types"
)

const noTokens = "Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route."

var recordClass = new(class)

func init() {
	*recordClass = class{
		name: "Record",
		props: map[string]prop{
			"id": {
				get: func(_ *machine, v any) any { return v.(*core.Record).Id },
				set: func(m *machine, v any, to goja.Value) { v.(*core.Record).Id = m.str(to) },
			},
		},
		methods: merge(map[string]method{
			"collection": recordGet(func(r *core.Record, _ args) any { return r.Collection() }),
			"tableName":  recordGet(func(r *core.Record, _ args) any { return r.TableName() }),
			"isNew":      recordGet(func(r *core.Record, _ args) any { return r.IsNew() }),
			"original":   recordGet(func(r *core.Record, _ args) any { return r.Original() }),
			"fresh":      recordGet(func(r *core.Record, _ args) any { return r.Fresh() }),
			"clone":      recordGet(func(r *core.Record, _ args) any { return r.Clone() }),
			"get":        recordGet(func(r *core.Record, a args) any { return visible(r, a, r.Get) }),
			"getBool":    recordGet(func(r *core.Record, a args) any { return visible(r, a, r.GetBool) }),
			"getString":  recordGet(func(r *core.Record, a args) any { return visible(r, a, r.GetString) }),
			"getInt":     recordGet(func(r *core.Record, a args) any { return visible(r, a, r.GetInt) }),
			"getFloat":   recordGet(func(r *core.Record, a args) any { return visible(r, a, r.GetFloat) }),
			"getDateTime": recordGet(func(r *core.Record, a args) any {
				return visible(r, a, r.GetDateTime)
			}),
			"getGeoPoint":    recordGet(func(r *core.Record, a args) any { return visible(r, a, r.GetGeoPoint) }),
			"getStringSlice": recordGet(func(r *core.Record, a args) any { return visible(r, a, r.GetStringSlice) }),
			"getUnsavedFiles": recordGet(func(r *core.Record, a args) any {
				return r.GetUnsavedFiles(a.str(0))
			}),
			"getUploadedFiles": recordGet(func(r *core.Record, a args) any { return r.GetUnsavedFiles(a.str(0)) }),
			"baseFilesPath":    recordGet(func(r *core.Record, _ args) any { return r.BaseFilesPath() }),
			"expand":           recordGet(func(r *core.Record, _ args) any { return inExpand(r.Expand()) }),
			"expandedOne":      recordGet(func(r *core.Record, a args) any { return inExpand(r.ExpandedOne(a.str(0))) }),
			"expandedAll":      recordGet(func(r *core.Record, a args) any { return inExpand(r.ExpandedAll(a.str(0))) }),
			"fieldsData":       recordGet(func(r *core.Record, _ args) any { return withoutSecrets(r, r.FieldsData()) }),
			"customData":       recordGet(func(r *core.Record, _ args) any { return r.CustomData() }),
			"publicExport":     recordGet(func(r *core.Record, _ args) any { return r.PublicExport() }),
			"toJSON":           recordGet(func(r *core.Record, _ args) any { return r.PublicExport() }),
			"toString":         recordGet(func(r *core.Record, _ args) any { return "[Record " + r.Id + "]" }),
			"isSuperuser":      recordGet(func(r *core.Record, _ args) any { return r.IsSuperuser() }),
			"email":            recordGet(func(r *core.Record, _ args) any { return r.Email() }),
			"emailVisibility":  recordGet(func(r *core.Record, _ args) any { return r.EmailVisibility() }),
			"verified":         recordGet(func(r *core.Record, _ args) any { return r.Verified() }),
			"validatePassword": recordGet(func(r *core.Record, a args) any { return r.ValidatePassword(a.str(0)) }),
			"setRandomPassword": recordGet(func(r *core.Record, _ args) any {
				return r.SetRandomPassword()
			}),
			"unmarshalJSONField": func(m *machine, v any, a args) (any, error) {
				var data any
				raw, ok := v.(*core.Record).Get(a.str(0)).(types.JSONRaw)
				if !ok {
					return nil, errors.New("the field isn't a JSON field")
				}
				if err := decode(raw, &data); err != nil {
					return nil, err
				}
				m.fill(a.at(1), data)
				return undefined{}, nil
			},
			"set": recordDo(func(r *core.Record, a args) { a.m.setField(r, a.str(0), a.field(1)) }),
			"setIfFieldExists": recordDo(func(r *core.Record, a args) {
				if v := a.field(1); !secret(r, a.str(0)) {
					a.m.storing(a.str(0), v)
					r.SetIfFieldExists(a.str(0), ownData(v))
				}
			}),
			"load":           recordDo(load),
			"hide":           recordDo(func(r *core.Record, a args) { r.Hide(a.strs(0)...) }),
			"unhide":         recordDo(func(r *core.Record, a args) { r.Unhide(public(r, a.strs(0))...) }),
			"setExpand":      recordDo(func(r *core.Record, a args) { r.SetExpand(a.expanded(0)) }),
			"mergeExpand":    recordDo(func(r *core.Record, a args) { r.MergeExpand(a.expanded(0)) }),
			"withCustomData": recordSelf(func(r *core.Record, a args) { r.WithCustomData(a.at(0).ToBoolean()) }),
			"ignoreEmailVisibility": recordSelf(func(r *core.Record, a args) {
				r.IgnoreEmailVisibility(a.at(0).ToBoolean())
			}),
			"ignoreUnchangedFields": recordSelf(func(r *core.Record, a args) {
				r.IgnoreUnchangedFields(a.at(0).ToBoolean())
			}),
			"markAsNew":          recordDo(func(r *core.Record, _ args) { r.MarkAsNew() }),
			"setEmail":           recordDo(func(r *core.Record, a args) { r.SetEmail(a.str(0)) }),
			"setEmailVisibility": recordDo(func(r *core.Record, a args) { r.SetEmailVisibility(a.at(0).ToBoolean()) }),
			"setVerified":        recordDo(func(r *core.Record, a args) { r.SetVerified(a.at(0).ToBoolean()) }),
			"setPassword":        recordDo(func(r *core.Record, a args) { r.SetPassword(a.str(0)) }),
			"refreshTokenKey":    recordDo(func(r *core.Record, _ args) { r.RefreshTokenKey() }),
		}, refusals(noTokens,
			"tokenKey", "setTokenKey", "newAuthToken", "newStaticAuthToken", "newVerificationToken", "newPasswordResetToken",
			"newEmailChangeToken", "newFileToken"),
			refusals("Use record.get().", "getRaw"),
			refusals("Use record.set().", "setRaw")),
	}
}

func recordGet(fn func(r *core.Record, a args) any) method {
	return func(_ *machine, v any, a args) (any, error) { return fn(v.(*core.Record), a), nil }
}

func recordDo(fn func(r *core.Record, a args)) method {
	return func(_ *machine, v any, a args) (any, error) {
		fn(v.(*core.Record), a)
		return undefined{}, nil
	}
}

func recordSelf(fn func(r *core.Record, a args)) method {
	return func(_ *machine, v any, a args) (any, error) {
		fn(v.(*core.Record), a)
		return v, nil
	}
}

// secret reports whether a field of an auth record never leaves Go: its password's hash and the key of its tokens.
func secret(r *core.Record, key string) bool {
	name, _, modified := strings.Cut(key, ":")
	if r.Collection() == nil || !r.Collection().IsAuth() {
		return false
	}
	return strings.EqualFold(name, core.FieldNameTokenKey) || strings.EqualFold(name, core.FieldNamePassword) && modified
}

func visible[T any](r *core.Record, a args, get func(string) T) any {
	key := a.str(0)
	if secret(r, key) {
		return undefined{}
	}
	return get(key)
}

func withoutSecrets(r *core.Record, data map[string]any) map[string]any {
	if r.Collection().IsAuth() {
		delete(data, core.FieldNameTokenKey)
		delete(data, core.FieldNamePassword)
	}
	return data
}

func public(r *core.Record, names []string) []string {
	var list []string
	for _, name := range names {
		if !secret(r, name) && (!r.Collection().IsAuth() || name != core.FieldNamePassword) {
			list = append(list, name)
		}
	}
	return list
}

func (m *machine) setField(r *core.Record, key string, v any) {
	if !secret(r, key) {
		m.storing(key, v)
		r.Set(key, ownData(v))
	}
}

// What one call may put into records, in bytes. PocketBase encodes records after the call, where nobody watches
// memory; and a list of them calls onRecordEnrich for each.
const (
	maxStored       = maxString
	maxStoredEnrich = 256 << 10
)

func (m *machine) storing(key string, v any) {
	limit := maxStored
	if m.call.hook == "onRecordEnrich" {
		limit = maxStoredEnrich
	}
	if m.call.stored += len(key) + weigh(v); m.call.stored > limit {
		m.throwRange("the call puts too much into records")
	}
}

// ownData leaves files as they are and makes copies of records: one that held itself would have no end.
func ownData(v any) any {
	switch v := v.(type) {
	case *core.Record:
		return plain(v)
	case *expression, error:
		return nil
	case map[string]any:
		for k, item := range v {
			v[k] = ownData(item)
		}
	case []any:
		for i, item := range v {
			v[i] = ownData(item)
		}
	}
	return v
}

// maxExpand is how deep records may be in each other, as for PocketBase's own expanding.
const maxExpand = 6

// expanded is what a script puts into a record's expand: copies, so that no record is within itself.
func (a args) expanded(i int) map[string]any {
	total := 0
	copyOf := func(r *core.Record) *core.Record {
		if total += sizeOfExpand(r, 0); total > 10_000 {
			a.m.throwRange("the records are too many, or nested too deeply")
		}
		a.m.storing("", r)
		return r.Clone()
	}
	to := a.m.fieldsOf(a.at(i))
	for k, v := range to {
		switch v := v.(type) {
		case *core.Record:
			to[k] = copyOf(v)
		case []any:
			records := make([]*core.Record, 0, len(v))
			for _, item := range v {
				if r, ok := item.(*core.Record); ok {
					records = append(records, copyOf(r))
				}
			}
			to[k] = records
		default:
			delete(to, k)
		}
	}
	return to
}

// sizeOfExpand counts the records in a record; too deep is more than anybody may have.
func sizeOfExpand(r *core.Record, depth int) int {
	if depth > maxExpand {
		return 1 << 20
	}
	n := 1
	for _, v := range r.Expand() {
		switch v := v.(type) {
		case *core.Record:
			n += sizeOfExpand(v, depth+1)
		case []*core.Record:
			for _, r := range v {
				n += sizeOfExpand(r, depth+1)
			}
		}
		if n > 1<<20 {
			break
		}
	}
	return n
}

// expandedClass is a record in the expand of another. It takes no expand itself: only so is it certain
// that the depth stays what expanded has found.
var expandedClass = new(class)

func init() {
	*expandedClass = class{name: "Record", parent: recordClass,
		methods: refusals("Set the expand of the record that it is in.", "setExpand", "mergeExpand")}
}

func inExpand(v any) any {
	switch v := v.(type) {
	case *core.Record:
		if v == nil {
			return nil
		}
		return wrapped{expandedClass, v}
	case []*core.Record:
		list := make([]any, len(v))
		for i, r := range v {
			list[i] = inExpand(r)
		}
		return list
	case map[string]any:
		for k, item := range v {
			v[k] = inExpand(item)
		}
	}
	return v
}

func load(r *core.Record, a args) {
	for k, v := range a.m.fieldsOf(a.at(0)) {
		a.m.setField(r, k, v)
	}
}

// collectionClass is read-only: schemas belong to the dashboard and to migrations. It names
// no option of auth collections, which hold the secrets of tokens and of OAuth2.
var collectionClass = new(class)

func init() {
	*collectionClass = class{
		name: "Collection",
		props: map[string]prop{
			"id":         collectionProp(func(c *core.Collection) any { return c.Id }),
			"name":       collectionProp(func(c *core.Collection) any { return c.Name }),
			"type":       collectionProp(func(c *core.Collection) any { return c.Type }),
			"system":     collectionProp(func(c *core.Collection) any { return c.System }),
			"created":    collectionProp(func(c *core.Collection) any { return c.Created }),
			"updated":    collectionProp(func(c *core.Collection) any { return c.Updated }),
			"listRule":   collectionProp(func(c *core.Collection) any { return rule(c.ListRule) }),
			"viewRule":   collectionProp(func(c *core.Collection) any { return rule(c.ViewRule) }),
			"createRule": collectionProp(func(c *core.Collection) any { return rule(c.CreateRule) }),
			"updateRule": collectionProp(func(c *core.Collection) any { return rule(c.UpdateRule) }),
			"deleteRule": collectionProp(func(c *core.Collection) any { return rule(c.DeleteRule) }),
			"indexes":    collectionProp(func(c *core.Collection) any { return []string(c.Indexes) }),
			"fields":     {get: func(m *machine, v any) any { return m.fieldList(v.(*core.Collection)) }},
		},
		methods: merge(map[string]method{
			"tableName":     collectionGet(func(c *core.Collection) any { return c.TableName() }),
			"baseFilesPath": collectionGet(func(c *core.Collection) any { return c.BaseFilesPath() }),
			"isBase":        collectionGet(func(c *core.Collection) any { return c.IsBase() }),
			"isAuth":        collectionGet(func(c *core.Collection) any { return c.IsAuth() }),
			"isView":        collectionGet(func(c *core.Collection) any { return c.IsView() }),
			"toJSON": collectionGet(func(c *core.Collection) any {
				return map[string]any{"id": c.Id, "name": c.Name, "type": c.Type, "system": c.System, "fields": fieldsOf(c)}
			}),
		}, refusals(noSchema, "addIndex", "removeIndex")),
	}
}

func collectionProp(get func(c *core.Collection) any) prop {
	return prop{get: func(_ *machine, v any) any { return get(v.(*core.Collection)) }}
}

func collectionGet(get func(c *core.Collection) any) method {
	return func(_ *machine, v any, _ args) (any, error) { return get(v.(*core.Collection)), nil }
}

func rule(r *string) any {
	if r == nil {
		return nil
	}
	return *r
}

// fieldList is an array with what PocketBase's list of fields has beside that.
func (m *machine) fieldList(c *core.Collection) goja.Value {
	list := m.toJS(fieldsOf(c)).ToObject(m.vm)
	m.hidden(list, "getByName", m.native("getByName", func(call goja.FunctionCall) goja.Value {
		for i, f := range c.Fields {
			if f.GetName() == m.str(call.Argument(0)) {
				return list.Get(itoa(i))
			}
		}
		return goja.Null()
	}))
	for _, name := range []string{"add", "addAt", "addMarshaledJSON", "removeById", "removeByName"} {
		m.hidden(list, name, m.refusal("collection.fields."+name+"()", noSchema))
	}
	return list
}

func fieldsOf(c *core.Collection) []any {
	var list []any
	for _, f := range c.Fields {
		list = append(list, map[string]any{
			"id": f.GetId(), "name": f.GetName(), "type": f.Type(), "system": f.GetSystem(), "hidden": f.GetHidden(),
		})
	}
	return list
}

// system reports whether a collection belongs to PocketBase or PicoBase. Hooks neither see nor touch those: a
// hook that throws can't lock superusers out, and can't make itself one.
func system(c *core.Collection) bool {
	return c == nil || strings.HasPrefix(c.Name, "_")
}

var errSystem = errors.New("system collections aren't available in hooks")

var dateTimeClass = new(class)

func init() {
	*dateTimeClass = class{
		name: "DateTime",
		methods: map[string]method{
			"string":    dateGet(func(d types.DateTime, _ args) any { return d.String() }),
			"toString":  dateGet(func(d types.DateTime, _ args) any { return d.String() }),
			"toJSON":    dateGet(func(d types.DateTime, _ args) any { return d.String() }),
			"time":      dateGet(func(d types.DateTime, _ args) any { return d }),
			"unix":      dateGet(func(d types.DateTime, _ args) any { return d.Unix() }),
			"unixMilli": dateGet(func(d types.DateTime, _ args) any { return d.Time().UnixMilli() }),
			"valueOf":   dateGet(func(d types.DateTime, _ args) any { return d.Time().UnixMilli() }),
			"isZero":    dateGet(func(d types.DateTime, _ args) any { return d.IsZero() }),
			"year":      dateGet(func(d types.DateTime, _ args) any { return d.Time().Year() }),
			"month":     dateGet(func(d types.DateTime, _ args) any { return int(d.Time().Month()) }),
			"day":       dateGet(func(d types.DateTime, _ args) any { return d.Time().Day() }),
			"hour":      dateGet(func(d types.DateTime, _ args) any { return d.Time().Hour() }),
			"minute":    dateGet(func(d types.DateTime, _ args) any { return d.Time().Minute() }),
			"second":    dateGet(func(d types.DateTime, _ args) any { return d.Time().Second() }),
			"weekday":   dateGet(func(d types.DateTime, _ args) any { return int(d.Time().Weekday()) }),
			"add":       dateGet(func(d types.DateTime, a args) any { return d.Add(time.Duration(a.int(0))) }),
			"addDate":   dateGet(func(d types.DateTime, a args) any { return d.AddDate(int(a.int(0)), int(a.int(1)), int(a.int(2))) }),
			"sub":       dateGet(func(d types.DateTime, a args) any { return int64(d.Sub(a.date())) }),
			"after":     dateGet(func(d types.DateTime, a args) any { return d.After(a.date()) }),
			"before":    dateGet(func(d types.DateTime, a args) any { return d.Before(a.date()) }),
			"equal":     dateGet(func(d types.DateTime, a args) any { return d.Equal(a.date()) }),
			"compare":   dateGet(func(d types.DateTime, a args) any { return d.Compare(a.date()) }),
		},
	}
}

func dateGet(fn func(d types.DateTime, a args) any) method {
	return func(_ *machine, v any, a args) (any, error) { return fn(*v.(*types.DateTime), a), nil }
}

func (a args) date() types.DateTime {
	d, _ := types.ParseDateTime(a.value(0))
	return d
}

// jsonRawClass is the value of a JSON field before it is parsed.
var jsonRawClass = new(class)

func init() {
	*jsonRawClass = class{
		name: "JSONRaw",
		methods: map[string]method{
			"string":   func(_ *machine, v any, _ args) (any, error) { return v.(types.JSONRaw).String(), nil },
			"toString": func(_ *machine, v any, _ args) (any, error) { return v.(types.JSONRaw).String(), nil },
			"toJSON": func(_ *machine, v any, _ args) (any, error) {
				if len(v.(types.JSONRaw)) == 0 {
					return nil, nil
				}
				var data any
				err := decode(v.(types.JSONRaw), &data)
				return data, err
			},
		},
	}
}

var fileClass = new(class)

func init() {
	*fileClass = class{
		name: "File",
		props: map[string]prop{
			"name":         {get: func(_ *machine, v any) any { return v.(*filesystem.File).Name }},
			"originalName": {get: func(_ *machine, v any) any { return v.(*filesystem.File).OriginalName }},
			"size":         {get: func(_ *machine, v any) any { return v.(*filesystem.File).Size }},
		},
		methods: merge(map[string]method{
			"toJSON": func(_ *machine, v any, _ args) (any, error) {
				f := v.(*filesystem.File)
				return map[string]any{"name": f.Name, "originalName": f.OriginalName, "size": f.Size}, nil
			},
		}, refusals("Uploaded files can be looked at by name and size and stored in file fields.", "reader")),
	}
}
