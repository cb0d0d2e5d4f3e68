// Package apikey is the form of API keys: how they are made, written, checked and
// stored. It knows nothing of where they are kept, so that the platform can make
// the keys of a project that does not run yet.
//
//	raw, stored, err := apikey.New(apikey.Secret, "first secret key", []string{"records:*"})
//	kind, hash, ok := apikey.Parse(raw)
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
)

// Kind tells the two kinds of keys apart.
type Kind string

// The kinds of keys.
const (
	// Publishable names the project and grants nothing beyond the collection
	// rules; it may be in a browser.
	Publishable Kind = "publishable"

	// Secret reads and writes past the rules, as far as its scopes go; it stays
	// on servers.
	Secret Kind = "secret"
)

// The prefixes of keys. A key is prefix, random part and checksum: pbk_sec_<32 base62><6 base62>.
// The checksum, CRC-32 over all that stands before it, tells a mistyped or cut
// key from an unknown one without looking it up.
const (
	PublishablePrefix = "pbk_pub_"
	SecretPrefix      = "pbk_sec_"
	CommonPrefix      = "pbk_"
	prefixLen         = len(SecretPrefix)
	randomLen         = 32
	checksumLen       = 6
	keyLen            = prefixLen + randomLen + checksumLen
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Hash is SHA-256 of a whole key. Keys have 190 random bits, so a slow hash
// would protect nothing and cost every request.
type Hash [sha256.Size]byte

// Prefix is what all keys of the kind begin with.
func (k Kind) Prefix() string {
	if k == Secret {
		return SecretPrefix
	}
	return PublishablePrefix
}

// Generate makes a new key of the kind.
func Generate(kind Kind) (string, error) {
	key := make([]byte, 0, keyLen)
	key = append(key, kind.Prefix()...)
	for range randomLen {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			return "", fmt.Errorf("random key: %w", err)
		}
		key = append(key, base62[n.Int64()])
	}
	return string(appendChecksum(key, key)), nil
}

// Parse checks the form of a key and returns its kind and hash.
func Parse(raw string) (kind Kind, sum Hash, ok bool) {
	if len(raw) != keyLen {
		return "", Hash{}, false
	}
	switch raw[:prefixLen] {
	case PublishablePrefix:
		kind = Publishable
	case SecretPrefix:
		kind = Secret
	default:
		return "", Hash{}, false
	}
	// A fixed array instead of a conversion keeps the check off the heap.
	var key [keyLen]byte
	copy(key[:], raw)
	const body = keyLen - checksumLen
	var want [checksumLen]byte
	if string(appendChecksum(want[:0], key[:body])) != raw[body:] {
		return "", Hash{}, false
	}
	return kind, sha256.Sum256(key[:]), true
}

// appendChecksum appends the base62 CRC-32 of body to dst.
func appendChecksum(dst, body []byte) []byte {
	// Not crc32.ChecksumIEEE, whose dispatch puts body on the heap.
	sum := ^uint32(0)
	for _, b := range body {
		sum = crc32.IEEETable[byte(sum&0xff)^b] ^ sum>>8
	}
	sum = ^sum
	var digits [checksumLen]byte
	for i := checksumLen - 1; i >= 0; i-- {
		digits[i] = base62[sum%uint32(len(base62))]
		sum /= uint32(len(base62))
	}
	return append(dst, digits[:]...)
}
