package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func encodePEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Audience: jwt.ClaimStrings{"project1"}, Subject: "person1",
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(MaxLifetime)),
		},
		Email: "ann@example.com",
	}).SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"base64": base64.StdEncoding.EncodeToString(public), "PEM": encodePEM(t, public)} {
		verifier, err := NewVerifier(key, "project1")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		claims, err := verifier.Verify(signed)
		if err != nil || claims.Subject != "person1" || claims.Name() != "ann@example.com" {
			t.Errorf("%s: %+v, %v", name, claims, err)
		}
		if _, err := verifier.Verify(signed[:len(signed)-4] + "AAAA"); err == nil {
			t.Errorf("%s: a changed signature was accepted", name)
		}
	}
}

func TestNewVerifierRefuses(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))
	for name, c := range map[string]struct{ key, project, says string }{
		"no project":   {good, "", "project id"},
		"empty key":    {"", "p", "32 bytes"},
		"short key":    {"AAAA", "p", "32 bytes"},
		"other key":    {encodePEM(t, &other.PublicKey), "p", "Ed25519"},
		"broken PEM":   {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "p", "public key"},
		"not base64":   {strings.Repeat("!", 44), "p", "32 bytes"},
		"trailing dot": {good + ".", "p", "32 bytes"},
	} {
		if _, err := NewVerifier(c.key, c.project); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error about %q", name, err, c.says)
		}
	}
}
