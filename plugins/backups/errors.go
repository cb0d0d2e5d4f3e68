package backups

import (
	"context"
	"errors"
	"net/http"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/plugins/backups/replica"
	"github.com/picobase/picobase/plugins/backups/snapshots"
)

// The errors of the API.
var (
	errNotFound = apierr.New(http.StatusNotFound, "backup_not_found", "There is no backup with this id.")
	errBusy     = apierr.New(http.StatusConflict, "backup_busy",
		"The backup is in use, or another one is being made; try again in a moment.")
	errExists      = apierr.New(http.StatusConflict, "backup_exists", "There is a backup with this name already.")
	errInvalid     = apierr.New(http.StatusBadRequest, "backup_invalid", "This is not a whole PocketBase backup.")
	errFailed      = apierr.New(http.StatusInternalServerError, "backup_failed", "The backup did not work.")
	errRestoreRuns = apierr.New(http.StatusConflict, "restore_in_progress",
		"A restore is under way already; wait until it has ended.")
	errTime = apierr.New(http.StatusBadRequest, "restore_time_unavailable",
		"The project cannot be restored to this moment.")
	errReplicationOff = apierr.New(http.StatusConflict, "replication_off",
		"Replication is off on this server, so there are no moments to restore; restore a snapshot instead.")
	errNothing = apierr.New(http.StatusConflict, "replica_empty",
		"Nothing has been replicated yet, so there are no moments to restore.")
	errNoData = apierr.New(http.StatusConflict, "backup_no_data",
		"There is no database in the data folder to make a backup of.")
	errServed = apierr.New(http.StatusConflict, "folder_in_use",
		"A server is running on this folder: restore through it with --url, or stop it first.")
	errTakenOver = apierr.New(http.StatusServiceUnavailable, "replica_taken_over",
		"Another server has taken over this project; this one does not accept writes any more.")
	errOwnersOnly = apierr.New(http.StatusForbidden, "api_key_not_allowed",
		"No API key can upload a backup, since it would bring superusers of its own with it. Sign in as a superuser.")
)

// failure turns an error of the packages below into one of the API.
func failure(err error) error {
	var before *replica.BeforeError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, snapshots.ErrNotFound):
		return httpapi.Error(errNotFound)
	case errors.Is(err, snapshots.ErrBusy):
		return httpapi.Error(errBusy.WithCause(err))
	case errors.Is(err, snapshots.ErrExists):
		return httpapi.Error(errExists)
	case errors.Is(err, snapshots.ErrName):
		return httpapi.Error(apierr.Invalid("name", err.Error()+"."))
	case errors.Is(err, snapshots.ErrInvalid):
		return httpapi.Error(errInvalid.WithMessage("This is not a whole PocketBase backup: " + err.Error() + ".").WithCause(err))
	case errors.Is(err, snapshots.ErrNoSpace):
		return httpapi.Error(errFailed.WithMessage("The disk has not the room: " + err.Error() + ".").WithCause(err))
	case errors.As(err, &before):
		return httpapi.Error(errTime.WithMessage("The project cannot be restored to this moment: "+before.Error()+".").
			WithDetail("from", before.Oldest))
	case errors.Is(err, replica.ErrNothing):
		return httpapi.Error(errNothing)
	}
	return httpapi.Failure(err)
}

// public returns what of an error may be shown.
func public(err error) string {
	var own *apierr.Error
	var before *replica.BeforeError
	switch {
	case errors.As(err, &own):
		return own.Message
	case errors.As(err, &before), errors.Is(err, snapshots.ErrInvalid), errors.Is(err, snapshots.ErrNoSpace),
		errors.Is(err, snapshots.ErrNotFound), errors.Is(err, replica.ErrNothing):
		return err.Error()
	case errors.Is(err, context.Canceled):
		return "it was interrupted by a stop of the server"
	}
	return "it did not work; the server's log has the details"
}
