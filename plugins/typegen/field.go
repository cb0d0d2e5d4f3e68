package typegen

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/pocketbase/pocketbase/core"
)

const geoPoint = "{ lon: number; lat: number }"

// readKind is the type of the field in a record.
func readKind(field core.Field) string {
	switch f := field.(type) {
	case *core.NumberField:
		return "number"
	case *core.BoolField:
		return "boolean"
	case *core.JSONField:
		return "unknown"
	case *core.GeoPointField:
		return geoPoint
	case *core.SelectField:
		if f.IsMultiple() {
			return "(" + union(f.Values) + ")[]"
		}
		if f.Required {
			return union(f.Values)
		}
		return union(append([]string{""}, f.Values...))
	case core.MultiValuer:
		if f.IsMultiple() {
			return "string[]"
		}
	}
	return "string" // text, email, url, editor, date, autodate, one file or relation, and fields of others
}

// writeKind is what create and update take for the field, "" for one that only the
// server sets.
func writeKind(field core.Field) string {
	switch f := field.(type) {
	case *core.AutodateField:
		return ""
	case *core.DateField:
		return "string | Date"
	case *core.FileField:
		if f.IsMultiple() {
			return "File | Blob | (File | Blob | string)[]" // a string keeps a file that is there
		}
		return "File | Blob | ''"
	}
	return readKind(field)
}

// mustBeGiven reports whether a record cannot be made without the field.
func mustBeGiven(field core.Field) bool {
	switch f := field.(type) {
	case *core.TextField:
		return f.Required && f.AutogeneratePattern == ""
	case *core.NumberField:
		return f.Required
	case *core.BoolField:
		return f.Required
	case *core.EmailField:
		return f.Required
	case *core.URLField:
		return f.Required
	case *core.EditorField:
		return f.Required
	case *core.DateField:
		return f.Required
	case *core.SelectField:
		return f.Required
	case *core.JSONField:
		return f.Required
	case *core.FileField:
		return f.Required
	case *core.RelationField:
		return f.Required
	case *core.GeoPointField:
		return f.Required
	}
	return false
}

type modifier struct{ prefix, suffix, kind string }

// modifiers are PocketBase's ways to change a value that is there.
func modifiers(field core.Field) []modifier {
	switch f := field.(type) {
	case *core.NumberField:
		return []modifier{{"", "+", "number"}, {"", "-", "number"}}
	case *core.FileField:
		remove := modifier{"", "-", "string | string[]"}
		if !f.IsMultiple() {
			return []modifier{remove}
		}
		const files = "File | Blob | (File | Blob)[]"
		return []modifier{{"", "+", files}, {"+", "", files}, remove}
	case *core.SelectField:
		if f.IsMultiple() {
			one := union(f.Values)
			return values(one + " | (" + one + ")[]")
		}
	case *core.RelationField:
		if f.IsMultiple() {
			return values("string | string[]")
		}
	}
	return nil
}

func values(kind string) []modifier {
	return []modifier{{"", "+", kind}, {"+", "", kind}, {"", "-", kind}}
}

func union(values []string) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = quote(value)
	}
	return strings.Join(quoted, " | ")
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][\w$]*$`)

// key writes the name of a property.
func key(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return quote(name)
}

// quote writes a string literal. JSON's escapes are TypeScript's too.
func quote(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string cannot fail
	body := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(out.String()), `"`), `"`)
	return "'" + strings.ReplaceAll(strings.ReplaceAll(body, `\"`, `"`), "'", `\'`) + "'"
}
