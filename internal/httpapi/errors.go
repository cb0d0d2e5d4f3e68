package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// Error wraps err for PocketBase, whose request log and middlewares know only
// their own error type. Package apierrors finds err in it again.
func Error(err *apierr.Error) *router.ApiError {
	wrapped := router.NewApiError(err.Status, err.Message, err)
	wrapped.Message = err.Message // NewApiError rewrites case and punctuation
	return wrapped
}

// Failure returns the error that a handler of PicoBase's API answers for err:
// err itself when it was made for clients, and ErrInternal for all others, which
// PocketBase would answer with 400 as if the client had caused them.
func Failure(err error) error {
	var own *apierr.Error
	if errors.As(err, &own) {
		return Error(own)
	}
	var native *router.ApiError
	if errors.As(err, &native) {
		return err
	}
	return Error(apierr.ErrInternal.WithCause(err))
}

// ErrInvalidJSON answers a body that is not one JSON object.
var ErrInvalidJSON = apierr.New(http.StatusBadRequest, "invalid_json", "The request body must be one JSON object.")

// Decode reads the JSON body of the request into target, a pointer to a struct
// whose present values are kept where the body is silent. A field that target
// does not have, or of another type, is an error that names it.
func Decode(e *core.RequestEvent, target any) error {
	// Read whole first: PocketBase's body starts over after its end.
	body, err := io.ReadAll(e.Request.Body)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(target); err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return Error(ErrInvalidJSON.WithMessage("The request body must be one JSON object, with nothing after it."))
	}
	return decodeError(err)
}

func decodeError(err error) error {
	var wrongType *json.UnmarshalTypeError
	var field *apierr.Error
	switch {
	case errors.As(err, &field):
		return Error(field)
	case errors.As(err, &wrongType):
		name := wrongType.Field
		if name == "" {
			return Error(ErrInvalidJSON.WithCause(err))
		}
		return Error(apierr.Invalid(name, "must be "+typeName(wrongType.Type.Kind().String())+", not "+wrongType.Value+"."))
	case errors.Is(err, io.EOF):
		return Error(ErrInvalidJSON.WithMessage("The request body is empty; send one JSON object."))
	}
	// encoding/json has no error type for this one.
	if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return Error(apierr.Invalid(strings.Trim(name, `"`), "is not a known field."))
	}
	return Error(ErrInvalidJSON.WithMessage("The request body is not valid JSON: " + err.Error() + ".").WithCause(err))
}

// typeName says in JSON's words what a Go kind is.
func typeName(kind string) string {
	switch kind {
	case "bool":
		return "true or false"
	case "string":
		return "a string"
	case "slice", "array":
		return "an array"
	case "struct", "map", "ptr":
		return "an object"
	default:
		return "a number"
	}
}
