package webhooks

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secretPrefix = "whsec_"

// newSecret returns a secret of 32 random bytes.
func newSecret() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(raw)
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
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return "", fmt.Errorf("the secret of the endpoint: %w", err)
	}
	return webhook.Sign(id, now, body)
}
