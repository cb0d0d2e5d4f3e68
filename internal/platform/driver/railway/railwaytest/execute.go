package railwaytest

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
)

// object is a value of an object type. A value may be a resolver, for a field with
// arguments.
type object map[string]any

type resolver func(arguments map[string]any) (any, error)

func (s *Server) execute(asked request) (any, error) {
	operation, variables, err := check(asked)
	if err != nil {
		return nil, err
	}
	root, name := object{}, "Query"
	fields := s.queries()
	if operation.Operation == ast.Mutation {
		name, fields = "Mutation", s.mutations()
	}
	for field, resolve := range fields {
		root[field] = resolve
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := executor{variables: variables}
	return e.complete(root, ast.NonNullNamedType(name, nil), operation.SelectionSet, name)
}

type executor struct{ variables map[string]any }

// complete turns a value of the model into one of the answer, which must be of the
// type that the schema promises: a fake that lies would prove nothing.
func (e *executor) complete(value any, typ *ast.Type, set ast.SelectionSet, path string) (any, error) {
	if value == nil {
		if typ.NonNull {
			return nil, &invalidError{fmt.Errorf("the answer has null at %s, which is a %s", path, typ)}
		}
		return nil, nil
	}
	if typ.Elem != nil {
		values, ok := value.([]object)
		if !ok {
			return nil, &invalidError{fmt.Errorf("the answer has a %T at %s, which is a %s", value, path, typ)}
		}
		list := make([]any, len(values))
		for i, element := range values {
			var err error
			if list[i], err = e.complete(element, typ.Elem, set, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	definition := Schema().Types[typ.NamedType]
	switch definition.Kind {
	case ast.Object:
		fields, ok := value.(object)
		if !ok {
			return nil, &invalidError{fmt.Errorf("the answer has a %T at %s, which is a %s", value, path, typ)}
		}
		answer := map[string]any{}
		return answer, e.selections(answer, fields, set, path)
	case ast.Enum:
		if text, _ := value.(string); definition.EnumValues.ForName(text) == nil {
			return nil, &invalidError{fmt.Errorf("the answer has %v at %s, which is no %s", value, path, typ)}
		}
	}
	return value, nil
}

func (e *executor) selections(answer map[string]any, fields object, set ast.SelectionSet, path string) error {
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			if !e.included(selection.Directives) {
				continue
			}
			at := path + "." + selection.Name
			value, known := fields[selection.Name]
			if !known {
				return &invalidError{fmt.Errorf("the fake has no %s: teach it", at)}
			}
			if resolve, ok := value.(resolver); ok {
				var err error
				if value, err = resolve(selection.ArgumentMap(e.variables)); err != nil {
					return err
				}
			}
			completed, err := e.complete(value, selection.Definition.Type, selection.SelectionSet, at)
			if err != nil {
				return err
			}
			answer[selection.Alias] = completed
		case *ast.FragmentSpread:
			if err := e.selections(answer, fields, selection.Definition.SelectionSet, path); err != nil {
				return err
			}
		case *ast.InlineFragment:
			if err := e.selections(answer, fields, selection.SelectionSet, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *executor) included(directives ast.DirectiveList) bool {
	for _, directive := range directives {
		condition, _ := directive.ArgumentMap(e.variables)["if"].(bool)
		if directive.Name == "include" && !condition || directive.Name == "skip" && condition {
			return false
		}
	}
	return true
}
