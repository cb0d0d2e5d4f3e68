// Package sign issues the short-lived tokens with which the platform, and people
// through it, act on one project; package token is the side that checks them.
//
// The key is Ed25519. Rotation is not done yet, but every token names its key
// (kid), so that it can be.
//
//	key, err := sign.Load("platform_data/signing-key.pem", secret.String{})
//	token, err := key.Token(sign.Claims{Project: "k3x9", Subject: "users/abc", Email: "a@example.com"}, time.Now())
package sign

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/internal/token"
)

// Issuer is the iss of every token.
const Issuer = "picobase-platform"

// Key signs.
type Key struct {
	private ed25519.PrivateKey
	id      string
}

// Load returns the key given as PEM (PKCS #8), or else the one in the file, which
// it makes when there is none, readable by this user alone.
func Load(path string, given secret.String) (*Key, error) {
	if !given.IsZero() {
		return parse([]byte(given.Reveal()))
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return parse(content)
}

// New makes a key that is kept nowhere.
func New() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return newKey(private), nil
}

func create(path string) (*Key, error) {
	key, err := New()
	if err != nil {
		return nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key.private)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	// Whole or not at all: half a key would stop every later start.
	temporary, err := os.CreateTemp(filepath.Dir(path), ".signing-key-*")
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // gone already when all went well
	err = pem.Encode(temporary, &pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return key, nil
}

func parse(content []byte) (*Key, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("signing key: it is not PEM; make one with: openssl genpkey -algorithm ed25519")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key: want Ed25519, got %T", parsed)
	}
	return newKey(private), nil
}

func newKey(private ed25519.PrivateKey) *Key {
	sum := sha256.Sum256(private.Public().(ed25519.PublicKey))
	return &Key{private: private, id: base64.RawURLEncoding.EncodeToString(sum[:12])}
}

func (k *Key) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// Public returns the public key as tenants take it: 32 bytes in base64.
func (k *Key) Public() string { return base64.StdEncoding.EncodeToString(k.public()) }

// Claims says for whom a token is, and for what.
type Claims struct {
	Project string        // the audience
	Subject string        // the person, or platform
	Email   string        // of the person, for the project's audit trail
	For     time.Duration // how long it is valid (default and at most token.MaxLifetime)
}

// Token returns a signed token and when it ends.
func (k *Key) Token(c Claims, now time.Time) (signed string, expires time.Time, err error) {
	if c.For <= 0 || c.For > token.MaxLifetime {
		c.For = token.MaxLifetime
	}
	expires = now.Add(c.For).Truncate(time.Second)
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, token.Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: Issuer, Subject: c.Subject, Audience: jwt.ClaimStrings{c.Project},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		Email: c.Email,
	})
	unsigned.Header["kid"] = k.id
	signed, err = unsigned.SignedString(k.private)
	return signed, expires, err
}

// JWKS is the set of public keys of RFC 7517.
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// JWK is one public key.
type JWK struct {
	KeyType string `json:"kty"`
	Curve   string `json:"crv"`
	X       string `json:"x"`
	ID      string `json:"kid"`
	Use     string `json:"use"`
	Alg     string `json:"alg"`
}

// JWKS returns the public keys.
func (k *Key) JWKS() JWKS {
	return JWKS{Keys: []JWK{{
		KeyType: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.public()),
		ID: k.id, Use: "sig", Alg: jwt.SigningMethodEdDSA.Alg(),
	}}}
}
