// SPDX-License-Identifier: AGPL-3.0-or-later

package zipaes

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the format asks for it
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

// Of AES-256 as WinZip does it (AE-2, https://www.winzip.com/en/support/aes-encryption/).
const (
	saltSize     = 16
	verifierSize = 2
	macSize      = 10 // of HMAC-SHA1, cut
	keySize      = 32
	rounds       = 1000
	overhead     = saltSize + verifierSize + macSize
)

// crypt encrypts the content of one entry.
type crypt struct {
	block    cipher.Block
	mac      hash.Hash // of what was encrypted so far
	salt     []byte
	verifier []byte // tells a wrong password from a right one, mostly
}

// newCrypt derives the keys of an entry, which takes about a millisecond. A salt is never used twice: it decides the
// key stream.
func newCrypt(password, salt []byte) (*crypt, error) {
	if salt == nil {
		salt = make([]byte, saltSize)
		_, _ = rand.Read(salt) // never fails (crypto/rand)
	}
	key, err := pbkdf2.Key(sha1.New, string(password), salt, rounds, 2*keySize+verifierSize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key[:keySize])
	if err != nil {
		return nil, err
	}
	return &crypt{
		block: block, mac: hmac.New(sha1.New, key[keySize:2*keySize]), salt: salt, verifier: key[2*keySize:],
	}, nil
}

// streamBytes are as much of the key stream as is made at once; it stays in the processor's nearest cache.
const streamBytes = 4 << 10

// xor encrypts or decrypts bytes in place that lie so many bytes behind the beginning: counter mode, with a counter of
// little-endian that begins at 1, which crypto/cipher does not have.
func (c *crypt) xor(b []byte, at int64) {
	var stream [streamBytes]byte
	var counter [aes.BlockSize]byte
	next := uint64(at) / aes.BlockSize
	skip := int(uint64(at) % aes.BlockSize)
	for len(b) > 0 {
		wanted := min(streamBytes, (skip+len(b)+aes.BlockSize-1)/aes.BlockSize*aes.BlockSize)
		for i := 0; i < wanted; i += aes.BlockSize {
			next++
			binary.LittleEndian.PutUint64(counter[:], next)
			c.block.Encrypt(stream[i:i+aes.BlockSize], counter[:])
		}
		n := subtle.XORBytes(b, b, stream[skip:wanted])
		b, skip = b[n:], 0
	}
}

// sum is what stands behind the content of an entry.
func (c *crypt) sum() []byte { return c.mac.Sum(nil)[:macSize] }
