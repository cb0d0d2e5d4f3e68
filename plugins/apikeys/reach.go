package apikeys

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/ganigeorgiev/fexpr"
	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/search"
)

// checkRecords checks that the key may do want on the collection, and may read
// every other collection that the query's expand, filter and sort lead to. A key
// for posts must not read users through ?expand=author, nor guess at them
// through ?filter=author.email~'a'.
func checkRecords(app core.App, key *httpapi.Key, want, nameOrID string, query url.Values) *apierr.Error {
	collection, err := app.FindCachedCollectionByNameOrId(nameOrID)
	if err != nil {
		return nil // PocketBase answers 404
	}
	if err := checkCollection(key, want, collection); err != nil {
		return err
	}
	r := reach{app: app, key: key, from: collection}
	for _, list := range query["expand"] {
		for path := range strings.SplitSeq(list, ",") {
			if err := r.expand(strings.TrimSpace(path)); err != nil {
				return err
			}
		}
	}
	for _, list := range query[search.SortQueryParam] {
		for field := range strings.SplitSeq(list, ",") {
			if err := r.path(strings.TrimLeft(strings.TrimSpace(field), "+-")); err != nil {
				return err
			}
		}
	}
	for _, filter := range query[search.FilterQueryParam] {
		// PocketBase's limit, and the parser takes time by the square of the length.
		if len(filter) > search.MaxFilterLength {
			return apierr.Invalid("filter", "must be at most "+strconv.Itoa(search.MaxFilterLength)+" characters long.")
		}
		if err := r.filter(filter); err != nil {
			return err
		}
	}
	return nil
}

// checkCollection checks one collection. The system's are closed to all keys:
// their records hold what signs superusers in.
func checkCollection(key *httpapi.Key, want string, c *core.Collection) *apierr.Error {
	if c.System {
		return systemCollection(c.Name)
	}
	if !key.Scopes.Allows(want, c.Name, c.Id) {
		return httpapi.MissingScope(want + ":" + c.Name)
	}
	return nil
}

// reach follows the field paths of one request through the relations.
type reach struct {
	app  core.App
	key  *httpapi.Key
	from *core.Collection
}

// expand checks a path such as author.team, whose last field is followed too.
func (r reach) expand(path string) *apierr.Error {
	if path == "" {
		return nil
	}
	_, err := r.follow(r.from, strings.Split(path, "."))
	return err
}

// path checks a field path of a filter or sort, such as author.name: its last
// field is only compared, not followed.
func (r reach) path(identifier string) *apierr.Error {
	at, segments := r.from, strings.Split(identifier, ".")
	switch {
	case segments[0] == "@collection" && len(segments) > 2:
		name, _, _ := strings.Cut(segments[1], ":") // @collection.posts:alias.title
		target, err := r.app.FindCachedCollectionByNameOrId(name)
		if err != nil {
			return nil // PocketBase refuses the filter
		}
		if err := checkCollection(r.key, scope.RecordsRead, target); err != nil {
			return err
		}
		at, segments = target, segments[2:]
	case segments[0] == "@request" && len(segments) > 2 && segments[1] == "body":
		segments = segments[2:] // the ids in the body are followed like those of a record
	}
	last := len(segments) - 1
	at, err := r.follow(at, segments[:last])
	if err != nil || at == nil {
		return err
	}
	return checkCompared(at, segments[last])
}

// checkCompared refuses to compare with what the API never shows: by one guess
// after the other, comparing reads it.
func checkCompared(at *core.Collection, segment string) *apierr.Error {
	name, _, _ := strings.Cut(segment, ":")
	field := at.Fields.GetByName(name)
	if _, isPassword := field.(*core.PasswordField); isPassword || field != nil && at.IsAuth() && name == core.FieldNameTokenKey {
		return ErrNotAllowed.WithMessage("No API key can filter or sort by the field " + name + ".")
	}
	return nil
}

// follow checks every collection that the segments lead to, and returns the
// last. It ends, with nil, at the first segment that is not a relation: what
// comes after is inside a JSON field.
func (r reach) follow(at *core.Collection, segments []string) (*core.Collection, *apierr.Error) {
	for _, segment := range segments {
		name, _, _ := strings.Cut(segment, ":") // modifiers: tags:each
		at = r.related(at, name)
		if at == nil {
			return nil, nil
		}
		if err := checkCollection(r.key, scope.RecordsRead, at); err != nil {
			return nil, err
		}
	}
	return at, nil
}

// related returns the collection that a field or a back-relation
// (comments_via_post, or comments(post) as it was once written) leads to, or nil.
func (r reach) related(at *core.Collection, field string) *core.Collection {
	name := ""
	if relation, ok := at.Fields.GetByName(field).(*core.RelationField); ok {
		name = relation.CollectionId
	} else if i := strings.LastIndex(field, "_via_"); i > 0 { // no field's name can contain it
		name = field[:i]
	} else if i := strings.IndexByte(field, '('); i > 0 {
		name = field[:i]
	}
	if name == "" {
		return nil
	}
	target, err := r.app.FindCachedCollectionByNameOrId(name)
	if err != nil {
		return nil // PocketBase cannot follow it either
	}
	return target
}

// filter checks every field path of a filter expression.
func (r reach) filter(text string) *apierr.Error {
	groups, err := fexpr.Parse(text)
	if err != nil {
		return nil // PocketBase refuses the filter
	}
	return r.groups(groups)
}

func (r reach) groups(groups []fexpr.ExprGroup) *apierr.Error {
	for _, group := range groups {
		var err *apierr.Error
		switch item := group.Item.(type) {
		case fexpr.Expr:
			if err = r.token(item.Left); err == nil {
				err = r.token(item.Right)
			}
		case fexpr.ExprGroup:
			err = r.groups([]fexpr.ExprGroup{item})
		case []fexpr.ExprGroup:
			err = r.groups(item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r reach) token(token fexpr.Token) *apierr.Error {
	switch token.Type {
	case fexpr.TokenIdentifier:
		return r.path(token.Literal)
	case fexpr.TokenFunction:
		arguments, _ := token.Meta.([]fexpr.Token)
		for _, argument := range arguments {
			if err := r.token(argument); err != nil {
				return err
			}
		}
	}
	return nil
}
