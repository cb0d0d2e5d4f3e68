package apikeys

import (
	"net/http"

	"github.com/picobase/picobase/internal/apierr"
)

// The reasons for which a request is refused on account of its key.
var (
	ErrRequired = apierr.New(http.StatusUnauthorized, "api_key_required",
		"This project needs an API key: send it in the X-API-Key header.")
	ErrMalformed = apierr.New(http.StatusUnauthorized, "api_key_malformed",
		"This is not a whole API key: it is cut off, mistyped or of another product. Copy it again.")
	ErrUnknown = apierr.New(http.StatusUnauthorized, "api_key_unknown",
		"This API key does not belong to this project.")
	ErrRevoked = apierr.New(http.StatusUnauthorized, "api_key_revoked",
		"This API key was revoked. Use another one.")
	ErrExpired = apierr.New(http.StatusUnauthorized, "api_key_expired",
		"This API key has expired. Create or rotate one.")
	ErrIPNotAllowed = apierr.New(http.StatusForbidden, "api_key_ip_not_allowed",
		"This API key may not be used from this address.")
	ErrSecretInBrowser = apierr.New(http.StatusUnauthorized, "secret_key_in_browser",
		"A secret key must never be in a browser: everyone who opens the page can read it. Use a publishable key there, and revoke this one if the page was public.")
	ErrInURL = apierr.New(http.StatusUnauthorized, "api_key_in_url",
		"An API key must not be in a URL, where logs and histories keep it. Send it in the X-API-Key header.")
	ErrNotAllowed = apierr.New(http.StatusForbidden, "api_key_not_allowed",
		"No API key can do this. Sign in as a superuser.")
	ErrPlatformToken = apierr.New(http.StatusUnauthorized, "platform_token_invalid",
		"This platform token is not valid for this project, or no longer. Get a new one.")
)

// Errors of the keys' own API.
var (
	ErrKeyNotFound = apierr.New(http.StatusNotFound, "api_key_not_found",
		"There is no API key with this id.")
	ErrKeyInactive = apierr.New(http.StatusConflict, "api_key_inactive",
		"This API key is revoked or has expired, so it cannot be changed or rotated. Create a new one.")
	ErrStrongerKey = apierr.New(http.StatusForbidden, "api_key_stronger_than_caller",
		"A key can only make and change keys that may do no more than itself.")
)
