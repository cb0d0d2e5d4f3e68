package audit

import (
	"reflect"
	"slices"
)

// diff returns what of before and after differs. Of objects only the members
// that differ are kept, at any depth. Arrays whose elements have an id or a
// name (a collection's fields, OAuth2 providers) are shown as objects by that
// key; other arrays are kept whole.
func diff(before, after any) (b, a any, differ bool) {
	if beforeObject, ok := before.(map[string]any); ok {
		if afterObject, ok := after.(map[string]any); ok {
			return diffObjects(beforeObject, afterObject)
		}
	}
	if beforeArray, ok := before.([]any); ok {
		if afterArray, ok := after.([]any); ok {
			return diffArrays(beforeArray, afterArray)
		}
	}
	return before, after, !reflect.DeepEqual(before, after)
}

func diffObjects(before, after map[string]any) (any, any, bool) {
	b, a := map[string]any{}, map[string]any{}
	for name, was := range before {
		is, stays := after[name]
		if !stays {
			b[name] = was
			continue
		}
		if was, is, differ := diff(was, is); differ {
			b[name], a[name] = was, is
		}
	}
	for name, is := range after {
		if _, existed := before[name]; !existed {
			a[name] = is
		}
	}
	return b, a, len(b)+len(a) > 0
}

func diffArrays(before, after []any) (any, any, bool) {
	for _, key := range []string{"id", "name"} {
		beforeByKey, beforeOrder, ok := byKey(before, key)
		if !ok {
			continue
		}
		afterByKey, afterOrder, ok := byKey(after, key)
		if !ok {
			continue
		}
		b, a, differ := diff(beforeByKey, afterByKey)
		if !differ { // but for their order, maybe
			return beforeOrder, afterOrder, !slices.Equal(beforeOrder, afterOrder)
		}
		label(b, beforeByKey)
		label(a, afterByKey)
		return b, a, true
	}
	return before, after, !reflect.DeepEqual(before, after)
}

// byKey turns an array of objects into an object by their key. It is false
// unless every element is an object with a key of its own.
func byKey(array []any, key string) (elements map[string]any, order []string, ok bool) {
	elements = make(map[string]any, len(array))
	for _, element := range array {
		object, _ := element.(map[string]any)
		value, _ := object[key].(string)
		if _, taken := elements[value]; value == "" || taken {
			return nil, nil, false
		}
		elements[value] = element
		order = append(order, value)
	}
	return elements, order, true
}

// label adds to changed elements the name that people know them by.
func label(changed any, elements map[string]any) {
	for key, element := range changed.(map[string]any) {
		whole, _ := elements[key].(map[string]any)
		part, _ := element.(map[string]any)
		if name, ok := whole["name"]; ok && part != nil {
			part["name"] = name
		}
	}
}
