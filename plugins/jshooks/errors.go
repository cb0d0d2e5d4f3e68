package jshooks

import (
	"net/http"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/plugins/jshooks/engine"
)

// The errors of the API.
var (
	errNotFound = apierr.New(http.StatusNotFound, "hooks_version_not_found", "There is no version of the hooks with this number.")
	errInvalid  = apierr.New(http.StatusUnprocessableEntity, "hooks_invalid",
		"The hooks cannot be loaded, so nothing was changed.")
	errActive = apierr.New(http.StatusConflict, "hooks_version_active",
		"This version is the active one; activate another one first, or switch the hooks off.")
	errFolder = apierr.New(http.StatusConflict, "hooks_version_of_folder",
		"This is the newest version of the hooks folder: it tells whether the folder has changed. A newer one takes its place.")
	errType = apierr.New(http.StatusUnsupportedMediaType, "hooks_type_unsupported",
		"Send the hooks as application/json, application/zip or application/gzip (a tar.gz).")
	errNothingActive   = apierr.New(http.StatusConflict, "hooks_inactive", "No version is active to compare with; name one with ?to=.")
	errSecretNotFound  = apierr.New(http.StatusNotFound, "hooks_secret_not_found", "There is no secret with this name.")
	errTooManySecrets  = apierr.New(http.StatusConflict, "hooks_secrets_full", "There are 100 secrets already; delete one first.")
	errSomebodyQuicker = apierr.New(http.StatusConflict, "conflict", "Somebody else uploads hooks at the same time; try again.")
)

// problem is something wrong with a file, as the API shows it.
type problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func problemsOf(found []engine.Problem) []problem {
	problems := make([]problem, 0, len(found))
	for _, f := range found {
		problems = append(problems, problem{f.File, f.Line, f.Column, f.Message})
	}
	return problems
}

func invalid(found []engine.Problem) *apierr.Error {
	return errInvalid.WithDetail("problems", problemsOf(found))
}
