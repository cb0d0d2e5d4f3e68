package engine

import (
	"encoding/json"
	"errors"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/ganigeorgiev/fexpr"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
	"github.com/spf13/cast"
)

const maxFilter = 10_000

var (
	errSecretField = errors.New("the fields password and tokenKey of users can't be queried")

	otherCollection = regexp.MustCompile(`(?i)@collection\s*\.\s*([\w-]+)`)
	backRelation    = regexp.MustCompile(`(?i)(?:^|[^\w])(_\w*)_via_`)
	notInName       = regexp.MustCompile(`\W+`)
)

// filter is a filter or a rule, with the values of its parameters put in: what is checked is what PocketBase
// reads. It reaches no system collection, and compares neither hashes nor keys of tokens: the answer to "does the
// hash begin with a" gives it away in the end.
func (a args) filter(app core.App, i, params int) string {
	s := a.str(i)
	if params > 0 {
		s = a.filled(s, params)
	}
	a.m.check(checkFilter(app, s))
	return s
}

// filled replaces the placeholders as PocketBase does.
func (a args) filled(s string, i int) string {
	values := a.m.mapOf(a.at(i))
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		s = strings.ReplaceAll(s, "{:"+k+"}", literal(values[k]))
		if len(s) > maxFilter {
			break
		}
	}
	return s
}

func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool, float64, int64:
		return cast.ToString(v)
	case types.JSONRaw:
		return strconv.Quote(v.String())
	}
	text := cast.ToString(v)
	if text == "" {
		raw, _ := json.Marshal(v)
		text = string(raw)
	}
	return strconv.Quote(text)
}

func checkFilter(app core.App, s string) error {
	if len(s) > maxFilter {
		return errors.New("the filter is too long")
	}
	for _, found := range otherCollection.FindAllStringSubmatch(s, -1) {
		c, err := app.FindCachedCollectionByNameOrId(found[1])
		if err != nil || system(c) {
			return errSystem
		}
	}
	if backRelation.MatchString(s) {
		return errSystem
	}
	groups, err := fexpr.Parse(s)
	if err != nil {
		// PocketBase, which reads it the same way, says what is wrong.
		return nil
	}
	return checkGroups(groups)
}

func checkGroups(groups []fexpr.ExprGroup) error {
	for _, g := range groups {
		var err error
		switch item := g.Item.(type) {
		case fexpr.Expr:
			err = errors.Join(checkToken(item.Left), checkToken(item.Right))
		case fexpr.ExprGroup:
			err = checkGroups([]fexpr.ExprGroup{item})
		case []fexpr.ExprGroup:
			err = checkGroups(item)
		}
		if err != nil {
			return errSecretField
		}
	}
	return nil
}

func checkToken(t fexpr.Token) error {
	if t.Type == fexpr.TokenText || t.Type == fexpr.TokenNumber {
		return nil
	}
	if list, ok := t.Meta.([]fexpr.Token); ok {
		for _, inner := range list {
			if err := checkToken(inner); err != nil {
				return err
			}
		}
	}
	return checkNames(t.Literal)
}

// checkNames looks for the secret fields among the names in a path, or in a list of fields to sort by.
func checkNames(s string) error {
	for _, name := range notInName.Split(s, -1) {
		if secretName(name) {
			return errSecretField
		}
	}
	return nil
}

func secretName(name string) bool {
	return strings.EqualFold(name, core.FieldNamePassword) || strings.EqualFold(name, core.FieldNameTokenKey)
}

// sorting is a list of fields to sort by: the order by a secret gives it away too.
func (a args) sorting(app core.App, i int) string {
	s := a.filter(app, i, 0)
	a.m.check(checkNames(s))
	return s
}
