package typegen

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/dbutils"
)

const header = `// Generated from the project's collections by picobase typegen. Do not edit: it is written again.
/* eslint-disable */

`

// Write writes the types of the collections, system collections excepted. The same
// collections give the same text, in whatever order they come.
func Write(w io.Writer, collections []*core.Collection) {
	own := slices.DeleteFunc(slices.Clone(collections), func(c *core.Collection) bool {
		return c.System || strings.HasPrefix(c.Name, "_")
	})
	slices.SortFunc(own, func(a, b *core.Collection) int { return cmp.Compare(a.Name, b.Name) })

	fmt.Fprint(w, header, "export interface Schema {\n")
	for _, c := range own {
		fmt.Fprintf(w, "  %s: {\n", key(c.Name))
		object(w, "Row", row(c))
		if !c.IsView() {
			object(w, "Insert", insert(c))
			object(w, "Update", update(c))
		}
		object(w, "Expand", expand(c, own))
		fmt.Fprintf(w, "    type: %s\n  }\n", quote(c.Type))
	}
	fmt.Fprint(w, "}\n")
}

// property is one line of an object type.
type property struct {
	name     string
	optional bool
	kind     string
}

func object(w io.Writer, name string, properties []property) {
	if len(properties) == 0 {
		fmt.Fprintf(w, "    %s: {}\n", name)
		return
	}
	fmt.Fprintf(w, "    %s: {\n", name)
	for _, p := range properties {
		mark := ""
		if p.optional {
			mark = "?"
		}
		fmt.Fprintf(w, "      %s%s: %s\n", key(p.name), mark, p.kind)
	}
	fmt.Fprint(w, "    }\n")
}

// row is what a client reads: every field that is not hidden.
func row(c *core.Collection) (properties []property) {
	for _, field := range visible(c) {
		properties = append(properties, property{name: field.GetName(), kind: readKind(field)})
	}
	return append(properties,
		property{name: core.FieldNameCollectionId, kind: "string"},
		property{name: core.FieldNameCollectionName, kind: quote(c.Name)})
}

// insert is what create takes.
func insert(c *core.Collection) (properties []property) {
	for _, field := range visible(c) {
		if kind := writeKind(field); kind != "" {
			properties = append(properties, property{name: field.GetName(), kind: kind, optional: !mustBeGiven(field)})
		}
	}
	if c.IsAuth() {
		properties = append(properties, property{name: "password", kind: "string"}, property{name: "passwordConfirm", kind: "string"})
	}
	return properties
}

// update is what update takes: any field, and PocketBase's modifiers.
func update(c *core.Collection) (properties []property) {
	for _, field := range visible(c) {
		name, kind := field.GetName(), writeKind(field)
		if kind == "" || name == core.FieldNameId {
			continue
		}
		properties = append(properties, property{name: name, kind: kind, optional: true})
		for _, m := range modifiers(field) {
			properties = append(properties, property{name: m.prefix + name + m.suffix, kind: m.kind, optional: true})
		}
	}
	if c.IsAuth() {
		for _, name := range []string{"oldPassword", "password", "passwordConfirm"} {
			properties = append(properties, property{name: name, kind: "string", optional: true})
		}
	}
	return properties
}

// expand is which relations can be answered with a record: its own, and those of
// others that lead to it.
func expand(c *core.Collection, all []*core.Collection) (properties []property) {
	many := func(name string, multiple bool) string {
		if multiple {
			return quote(name) + "[]"
		}
		return quote(name)
	}
	for _, relation := range relations(c) {
		for _, target := range all {
			if target.Id == relation.CollectionId {
				properties = append(properties, property{name: relation.Name, kind: many(target.Name, relation.IsMultiple())})
			}
		}
	}
	for _, source := range all {
		for _, relation := range relations(source) {
			if relation.CollectionId == c.Id && !source.IsView() {
				_, unique := dbutils.FindSingleColumnUniqueIndex(source.Indexes, relation.Name)
				properties = append(properties, property{name: source.Name + "_via_" + relation.Name, kind: many(source.Name, !unique)})
			}
		}
	}
	return properties
}

func relations(c *core.Collection) (found []*core.RelationField) {
	for _, field := range visible(c) {
		if relation, ok := field.(*core.RelationField); ok {
			found = append(found, relation)
		}
	}
	return found
}

func visible(c *core.Collection) (fields []core.Field) {
	for _, field := range c.Fields {
		if !field.GetHidden() && field.Type() != core.FieldTypePassword {
			fields = append(fields, field)
		}
	}
	return fields
}
