// Package token checks the short-lived tokens with which the platform acts on
// a project on behalf of a person.
//
// A platform token is a JWT signed with EdDSA; its audience is the project's
// id, its subject the person, and it lives five minutes at most. A tenant that
// has no public key configured accepts none.
//
//	verifier, err := token.NewVerifier(publicKey, projectID)
//	claims, err := verifier.Verify(raw)
package token

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxLifetime bounds the time between a token's issue and its expiry.
const MaxLifetime = 5 * time.Minute

// clockSkew is how far the platform's clock may be off.
const clockSkew = 10 * time.Second

// Claims is what a valid token says.
type Claims struct {
	jwt.RegisteredClaims

	// Email of the person, for the audit log.
	Email string `json:"email,omitempty"`
}

// Name returns the person in words: the email address or else the subject.
func (c *Claims) Name() string {
	if c.Email != "" {
		return c.Email
	}
	return c.Subject
}

// Verifier checks tokens for one project.
type Verifier struct {
	key    ed25519.PublicKey
	parser *jwt.Parser
}

// NewVerifier returns a verifier for tokens that the holder of publicKey issued
// for the project. The key is PEM (PKIX) or the 32 raw bytes in base64.
func NewVerifier(publicKey, projectID string) (*Verifier, error) {
	if projectID == "" {
		return nil, errors.New("platform tokens need a project id")
	}
	key, err := parsePublicKey(publicKey)
	if err != nil {
		return nil, err
	}
	return &Verifier{
		key: key,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithAudience(projectID),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(clockSkew),
		),
	}, nil
}

// Verify returns the claims of raw, or an error that says which check failed.
func (v *Verifier) Verify(raw string) (*Claims, error) {
	claims := &Claims{}
	_, err := v.parser.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return v.key, nil })
	if err != nil {
		return nil, fmt.Errorf("platform token: %w", err)
	}
	switch {
	case claims.Subject == "":
		return nil, errors.New("platform token: no subject")
	case claims.IssuedAt == nil:
		return nil, errors.New("platform token: no time of issue")
	case claims.ExpiresAt.Sub(claims.IssuedAt.Time) > MaxLifetime:
		return nil, fmt.Errorf("platform token: lives longer than %s", MaxLifetime)
	}
	return claims, nil
}

func parsePublicKey(text string) (ed25519.PublicKey, error) {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("platform public key: %w", err)
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("platform public key: want Ed25519, got %T", parsed)
		}
		return key, nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("platform public key: want PEM, or %d bytes in base64", ed25519.PublicKeySize)
	}
	return raw, nil
}
