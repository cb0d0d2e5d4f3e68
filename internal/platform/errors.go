package platform

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/fleet"
)

// The platform's own errors, listed in docs/errors.md.
var (
	errSignIn = apierr.New(http.StatusUnauthorized, "credentials_required",
		"Send a user's token or a personal access token in Authorization: Bearer ….")
	errTokenInvalid = apierr.New(http.StatusUnauthorized, "token_invalid",
		"This personal access token is not known here, was revoked or has expired. Create another one.")
	errTokenElsewhere = apierr.New(http.StatusForbidden, "token_not_allowed",
		"A personal access token is for "+PathPrefix+" only. Sign in to use this.")
	errTokenReadOnly = apierr.New(http.StatusForbidden, "token_scope_required",
		"This personal access token may only read; create one with the scope write.")
	errRouterToken = apierr.New(http.StatusUnauthorized, "router_token_invalid",
		"Routers send PICOBASE_ROUTER_TOKEN, the same as the platform's, in Authorization: Bearer ….")
	errRole = apierr.New(http.StatusForbidden, "role_required",
		"Your role in this organization does not allow that.")
	errSignUpClosed = apierr.New(http.StatusForbidden, "sign_up_closed",
		"This platform takes invited people only. Ask a member of an organization to invite you.")

	errOrganizationNotFound = apierr.New(http.StatusNotFound, "organization_not_found", "There is no organization with this id, or you are not a member.")
	errOrganizationNeeded   = apierr.New(http.StatusBadRequest, "organization_required", "You are in several organizations: name one in the field organization.")
	errOrganizationInUse    = apierr.New(http.StatusConflict, "organization_in_use", "There are projects in this organization. Delete them first; they go for good when their grace time is over.")
	errMemberNotFound       = apierr.New(http.StatusNotFound, "member_not_found", "There is no such member in this organization.")
	errLastOwner            = apierr.New(http.StatusConflict, "last_owner", "An organization keeps at least one owner. Make somebody else an owner first.")
	errAlreadyMember        = apierr.New(http.StatusConflict, "already_member", "This person is a member already.")
	errInvitationNotFound   = apierr.New(http.StatusNotFound, "invitation_not_found", "This invitation is not known, was taken back or has expired. Ask for another one.")
	errInvitationOther      = apierr.New(http.StatusForbidden, "invitation_for_another", "This invitation is for another email address. Sign in with that account.")
	errInvitationAccount    = apierr.New(http.StatusUnauthorized, "invitation_sign_in", "There is an account with this email address already. Sign in and accept the invitation again.")

	errProjectNotFound = apierr.New(http.StatusNotFound, "project_not_found", "There is no project with this id, or you have no access to it.")
	errNameTaken       = apierr.New(http.StatusConflict, "name_taken", "There is a project with this name. Choose another one.")
	errProjectStopped  = apierr.New(http.StatusServiceUnavailable, "project_stopped", "This project is stopped. Its owner can start it.").WithRetryAfter(time.Minute)
	errProjectParked   = apierr.New(http.StatusServiceUnavailable, "project_parked", "This project goes on crashing and is not started by itself any more. See its message and logs, then start it.").WithRetryAfter(time.Minute)
	errProjectDeleted  = apierr.New(http.StatusConflict, "project_deleted", "This project is deleted. Undelete it first.")
	errProjectGone     = apierr.New(http.StatusGone, "project_gone", "The time is over within which this project could be had back.")
	errProjectStarting = apierr.New(http.StatusServiceUnavailable, "project_starting", "The project does not run yet; try again in a moment.").WithRetryAfter(time.Second)
	errQuota           = apierr.New(http.StatusForbidden, "quota_exceeded", "The organization's quota is used up.")

	errDomainNotFound     = apierr.New(http.StatusNotFound, "domain_not_found", "This project has no such domain.")
	errDomainTaken        = apierr.New(http.StatusConflict, "domain_exists", "This project has this domain already.")
	errTokenNotFound      = apierr.New(http.StatusNotFound, "token_not_found", "You have no token with this id.")
	errAlertNotFound      = apierr.New(http.StatusNotFound, "alert_not_found", "There is no such alert, or you have no access to it.")
	errBranchNoReplica    = apierr.New(http.StatusConflict, "branch_needs_replica", "There is nothing yet to branch from: the project has never run, or nothing of it is replicated.")
	errBranchBucket       = apierr.New(http.StatusConflict, "branch_needs_bucket", "Projects of this platform are not on one machine: branches need a bucket. Set PICOBASE_S3_BUCKET and its companions for the platform.")
	errAuthPending        = apierr.New(http.StatusBadRequest, "authorization_pending", "Nobody has decided on this login yet.")
	errSlowDown           = apierr.New(http.StatusBadRequest, "slow_down", "Ask less often: wait five seconds longer between two times.")
	errExpiredToken       = apierr.New(http.StatusBadRequest, "expired_token", "This login has expired. Begin another one.")
	errAccessDenied       = apierr.New(http.StatusBadRequest, "access_denied", "This login was refused.")
	errUserCode           = apierr.New(http.StatusNotFound, "user_code_invalid", "This code is not known, or has expired. Begin another login on your device.")
	errTooManyInvitations = apierr.New(http.StatusTooManyRequests, "rate_limited", "This organization has sent too many invitations today; try again tomorrow.").WithRetryAfter(time.Hour)
	errTooManyDevices     = apierr.New(http.StatusTooManyRequests, "rate_limited", "Too many logins are waiting; try again in a moment.").WithRetryAfter(time.Minute)
)

// fleetError turns what the fleet says into what a client is told.
func fleetError(err error) *apierr.Error {
	var own *apierr.Error
	var later *fleet.LaterError
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, fleet.ErrUnknown):
		return errProjectNotFound
	case errors.Is(err, fleet.ErrOff):
		return errProjectStopped
	case errors.Is(err, fleet.ErrParked):
		return errProjectParked.WithCause(err)
	case errors.Is(err, fleet.ErrDeleted):
		return errProjectDeleted
	case errors.Is(err, fleet.ErrGone):
		return errProjectGone
	case errors.As(err, &later):
		return errProjectStarting.WithRetryAfter(later.After).WithCause(err)
	case errors.Is(err, driver.ErrBusy), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errProjectStarting.WithCause(err)
	}
	return apierr.ErrInternal.WithCause(err)
}

// or returns missing for a row that is not there, and any other error as it is.
func or(err error, missing *apierr.Error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return missing
	}
	return err
}
