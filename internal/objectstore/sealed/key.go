package sealed

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

// minSecret is how long a text must be to be taken for a secret.
const minSecret = 32

// ParseKey returns the age identity for what an operator gives as a key: an age
// identity itself, or any other secret of at least 32 characters, such as that
// of `openssl rand -hex 32`, from which the identity is derived, always the same.
// A password that a person can remember is no such secret: nothing slows guessing.
func ParseKey(key string) (identity string, err error) {
	key = strings.TrimSpace(key)
	if strings.HasPrefix(key, "AGE-SECRET-KEY-") {
		_, err := parse(key)
		return key, err
	}
	if len(key) < minSecret {
		return "", errors.New("must be an age identity (AGE-SECRET-KEY-1…) or a random text of at least 32 characters, such as that of `openssl rand -hex 32`")
	}
	seed, err := hkdf.Key(sha256.New, []byte(key), nil, "picobase encryption key v1", 32)
	if err != nil {
		return "", err
	}
	encoded, err := bech32.EncodeFromBase256("age-secret-key-", seed)
	return strings.ToUpper(encoded), err
}
