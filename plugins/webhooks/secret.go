package webhooks

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/tools/security"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secretPrefix = "whsec_"

// newSecret returns a secret of 32 random bytes.
func newSecret() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(raw)
}

// errNoSecret says that a secret was sealed with a key that this process lacks.
var errNoSecret = errors.New("the secret cannot be read; start with the key in --encryptionEnv that it was made with, or rotate it")

// sealed marks a secret that is encrypted.
const sealed = "aes:"

// seal does as PocketBase does with its settings: with a key in the environment
// it encrypts, without one it does not.
func (p *Plugin) seal(secret string) (string, error) {
	key := os.Getenv(p.app.EncryptionEnv())
	if key == "" {
		return secret, nil
	}
	encrypted, err := security.Encrypt([]byte(secret), key)
	if err != nil {
		return "", fmt.Errorf("encrypt the secret of a webhook: %w", err)
	}
	return sealed + encrypted, nil
}

// unseal returns the secret, or nothing when the key is another one.
func (p *Plugin) unseal(stored string) string {
	encrypted, found := strings.CutPrefix(stored, sealed)
	if !found {
		return stored
	}
	secret, err := security.Decrypt(encrypted, os.Getenv(p.app.EncryptionEnv()))
	if err != nil {
		return "" // sign says so, where it is of use
	}
	return string(secret)
}

// sign returns the signatures for a body, the newest secret's first. While a
// rotation's grace lasts there are two, and a receiver knows one of them.
func (ep *endpoint) sign(id string, now time.Time, body []byte) (string, error) {
	signature, err := signWith(ep.secret, id, now, body)
	if err != nil || ep.previous == "" || !now.Before(ep.previousUntil) {
		return signature, err
	}
	second, err := signWith(ep.previous, id, now, body)
	return signature + " " + second, err
}

func signWith(secret, id string, now time.Time, body []byte) (string, error) {
	if secret == "" {
		return "", errNoSecret
	}
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return "", fmt.Errorf("the secret of the endpoint: %w", err)
	}
	return webhook.Sign(id, now, body)
}
