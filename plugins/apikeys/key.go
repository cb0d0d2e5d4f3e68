package apikeys

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

// A key is prefix, random part and checksum: pbk_sec_<32 base62><6 base62>.
// The checksum, CRC-32 over all that stands before it, tells a mistyped or cut
// key from an unknown one without looking it up.
const (
	publishablePrefix = "pbk_pub_"
	secretPrefix      = "pbk_sec_"
	commonPrefix      = "pbk_"
	prefixLen         = len(secretPrefix)
	randomLen         = 32
	checksumLen       = 6
	keyLen            = prefixLen + randomLen + checksumLen
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// hash is SHA-256 of a whole key. Keys have 190 random bits, so a slow hash
// would protect nothing and cost every request.
type hash [sha256.Size]byte

func (k Kind) prefix() string {
	if k == Secret {
		return secretPrefix
	}
	return publishablePrefix
}

// generate makes a new key of the kind.
func generate(kind Kind) (string, error) {
	key := make([]byte, 0, keyLen)
	key = append(key, kind.prefix()...)
	for range randomLen {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			return "", fmt.Errorf("random key: %w", err)
		}
		key = append(key, base62[n.Int64()])
	}
	return string(appendChecksum(key, key)), nil
}

// parse checks the form of a key and returns its kind and hash.
func parse(raw string) (kind Kind, sum hash, ok bool) {
	if len(raw) != keyLen {
		return "", hash{}, false
	}
	switch raw[:prefixLen] {
	case publishablePrefix:
		kind = Publishable
	case secretPrefix:
		kind = Secret
	default:
		return "", hash{}, false
	}
	// A fixed array instead of a conversion keeps the check off the heap.
	var key [keyLen]byte
	copy(key[:], raw)
	const body = keyLen - checksumLen
	var want [checksumLen]byte
	if string(appendChecksum(want[:0], key[:body])) != raw[body:] {
		return "", hash{}, false
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
