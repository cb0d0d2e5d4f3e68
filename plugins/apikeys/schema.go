package apikeys

import (
	"regexp"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// bindSchemaGuards keeps a key with schema:write from making itself a
// superuser. It could, if it were let: by a view over the superusers' table, by a
// rule or a relation that reaches it, or by new token secrets for it.
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
				if err := checkImport(e.App, data); err != nil {
					return p.refuse(err)
				}
			}
			return e.Next()
		},
	})
}

// systemTable finds names of system tables, PocketBase's and ours, and of
// SQLite's own, in SQL, rules and ids. All of them begin with an underscore,
// sqlite_ or pragma_, and people cannot name collections like the first two.
var systemTable = regexp.MustCompile(`(?i)(?:^|[^a-z0-9_])(_(?:superusers|collections|params|externalAuths|mfas|otps|authOrigins|migrations|pico_[a-z0-9_]*)|sqlite_[a-z0-9_]+|pragma_[a-z0-9_]+)(?:[^a-z0-9_]|$)`)

func checkSchema(app core.App, c *core.Collection) *apierr.Error {
	if c.System {
		return systemCollection(c.Name)
	}
	for _, rule := range []*string{c.ListRule, c.ViewRule, c.CreateRule, c.UpdateRule, c.DeleteRule, c.AuthRule, c.ManageRule} {
		if rule != nil {
			if err := checkText(*rule); err != nil {
				return err
			}
		}
	}
	for _, text := range append([]string{c.ViewQuery, c.MFA.Rule}, c.Indexes...) {
		if err := checkText(text); err != nil {
			return err
		}
	}
	for _, field := range c.Fields {
		relation, ok := field.(*core.RelationField)
		if !ok {
			continue
		}
		if target, err := app.FindCachedCollectionByNameOrId(relation.CollectionId); err == nil && target.System {
			return systemCollection(target.Name)
		}
	}
	return nil
}

// checkImport checks one collection of an import: a raw JSON object, in which
// anything that names a system table or its id is refused.
func checkImport(app core.App, value any) *apierr.Error {
	switch v := value.(type) {
	case string:
		if target, err := app.FindCachedCollectionByNameOrId(v); err == nil && target.System {
			return systemCollection(target.Name)
		}
		return checkText(v)
	case map[string]any:
		for _, member := range v {
			if err := checkImport(app, member); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := checkImport(app, item); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkText(text string) *apierr.Error {
	if match := systemTable.FindStringSubmatch(text); match != nil {
		return systemCollection(match[1])
	}
	return nil
}
