package apikeys

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/spf13/cast"
)

// bindSchemaGuards keeps a key with schema:write from making itself a
// superuser. It could, if it were let: by a view over the superusers' table, by a
// rule or a relation that reaches it, by new token secrets for it, or by SQL of
// its own, which also reads and writes the files of the host.
func (p *Plugin) bindSchemaGuards() {
	guard := &hook.Handler[*core.CollectionRequestEvent]{
		Id: "picoKeysSchema",
		Func: func(e *core.CollectionRequestEvent) error {
			if actingKey(e.RequestEvent) == nil {
				return e.Next()
			}
			if err := checkSchema(e.App, e.Collection); err != nil {
				return p.refuse(err)
			}
			return e.Next()
		},
	}
	p.app.OnCollectionCreateRequest().Bind(guard)
	p.app.OnCollectionUpdateRequest().Bind(guard)
	p.app.OnCollectionsImportRequest().Bind(&hook.Handler[*core.CollectionsImportRequestEvent]{
		Id: "picoKeysSchema",
		Func: func(e *core.CollectionsImportRequestEvent) error {
			if actingKey(e.RequestEvent) == nil {
				return e.Next()
			}
			for _, data := range e.CollectionsData {
				c, err := imported(e.App, data)
				if err != nil {
					return e.BadRequestError("The collections cannot be read.", err)
				}
				if err := checkSchema(e.App, c); err != nil {
					return p.refuse(err)
				}
			}
			return e.Next()
		},
	})
}

// systemTable finds names of system tables, PocketBase's and ours, and of
// SQLite's own, in SQL. Ours are all those that begin with _pico_, also before a
// later version makes them.
var systemTable = regexp.MustCompile(`(?i)(?:^|[^a-z0-9_])(_(?:superusers|collections|params|externalAuths|mfas|otps|authOrigins|migrations|pico_[a-z0-9_]*)|sqlite_[a-z0-9_]+|pragma_[a-z0-9_]+)(?:[^a-z0-9_]|$)`)

// plainName is what PocketBase accepts as a name or an id. An import puts them
// into SQL before it checks them.
var plainName = regexp.MustCompile(`^\w*$`)

// everything is a key whose only limits are those of all keys.
var everything = func() *httpapi.Key {
	scopes, _ := scope.Parse([]string{scope.Everything})
	return &httpapi.Key{Secret: true, Scopes: scopes}
}()

// Errors of definitions that PocketBase would run as SQL.
var (
	errNotPlainName = apierr.New(http.StatusBadRequest, apierr.CodeInvalid,
		"Names and ids of collections and fields may hold letters, digits and underscores only.")
	errManyStatements = apierr.New(http.StatusForbidden, "api_key_not_allowed",
		"With an API key, a view's query and an index must be one statement, without any semicolon.")
)

func checkSchema(app core.App, c *core.Collection) *apierr.Error {
	if c.System {
		return systemCollection(c.Name)
	}
	for _, name := range []string{c.Id, c.Name} {
		if err := checkNotSystem(app, name); err != nil {
			return err
		}
	}
	if !plainName.MatchString(c.Id) || !plainName.MatchString(c.Name) {
		return errNotPlainName
	}
	rules := reach{app: app, key: everything, from: c}
	for _, rule := range []*string{c.ListRule, c.ViewRule, c.CreateRule, c.UpdateRule, c.DeleteRule, c.AuthRule, c.ManageRule, &c.MFA.Rule} {
		if rule != nil {
			if err := rules.filter(*rule); err != nil {
				return err
			}
		}
	}
	for _, sql := range append([]string{c.Name, c.ViewQuery}, c.Indexes...) {
		if err := checkSQL(sql); err != nil {
			return err
		}
	}
	for _, field := range c.Fields {
		if !plainName.MatchString(field.GetName()) {
			return errNotPlainName
		}
		if relation, ok := field.(*core.RelationField); ok {
			if err := checkNotSystem(app, relation.CollectionId); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkNotSystem(app core.App, nameOrID string) *apierr.Error {
	if c, err := app.FindCachedCollectionByNameOrId(nameOrID); err == nil && c.System {
		return systemCollection(c.Name)
	}
	return nil
}

// imported returns what one collection of an import is going to be: as
// PocketBase does, the given members laid over the collection that there is.
func imported(app core.App, data map[string]any) (*core.Collection, error) {
	identifier := cast.ToString(data["id"])
	if identifier == "" {
		identifier = cast.ToString(data["name"])
	}
	c, err := app.FindCollectionByNameOrId(identifier)
	if err != nil {
		c = &core.Collection{}
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	return c, json.Unmarshal(encoded, c)
}

// checkSQL checks a view's query or an index. PocketBase runs them as they are,
// and SQLite goes on after a semicolon: COMMIT; VACUUM INTO '/any/file'. SQL that
// needs one, in a string, is for superusers.
func checkSQL(sql string) *apierr.Error {
	if strings.Contains(strings.TrimRight(sql, "; \t\r\n"), ";") {
		return errManyStatements
	}
	if match := systemTable.FindStringSubmatch(sql); match != nil {
		return systemCollection(match[1])
	}
	return nil
}
