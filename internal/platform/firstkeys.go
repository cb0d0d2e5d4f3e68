package platform

import (
	"github.com/picobase/picobase/internal/apikey"
)

// newFirstKeys makes a project's first API keys, and what the tenant and the
// registry keep of them: their hashes.
func newFirstKeys() (keys Keys, stored string, err error) {
	publishable, first, err := apikey.New(apikey.Publishable, "first publishable key", nil)
	if err != nil {
		return keys, "", err
	}
	secret, second, err := apikey.New(apikey.Secret, "first secret key", []string{"records:*"})
	if err != nil {
		return keys, "", err
	}
	stored, err = apikey.Format([]apikey.Stored{first, second})
	return Keys{Publishable: publishable, Secret: secret}, stored, err
}
