// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/files"
)

// keySize is the length of a server key in bytes.
const keySize = 32

// Key is the server's key. It seals the secrets that stand in the database, so that a copy of the database alone gives
// none of them away.
type Key struct {
	secret [keySize]byte
}

// NewKey makes a random key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k.secret[:]) // never fails (crypto/rand)
	return k
}

// ErrNoKey is returned for a data directory without a server key.
var ErrNoKey = errors.New("there is no server key")

func keyPath(dataDir, file string) string {
	if file != "" {
		return file
	}
	return filepath.Join(dataDir, "secret.key")
}

// LoadKey reads the server key from file, 64 hexadecimal characters; from dataDir/secret.key if none is named.
// ErrNoKey: that isn't there. A file that others may read is refused.
func LoadKey(dataDir, file string) (Key, error) {
	path := keyPath(dataDir, file)
	text, err := files.ReadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) && file == "" {
		return Key{}, ErrNoKey
	}
	if err != nil {
		return Key{}, fmt.Errorf("the server key can't be used: %w", err)
	}
	secret, err := hex.DecodeString(text)
	if err != nil || len(secret) != keySize {
		return Key{}, fmt.Errorf(
			"%s holds no server key: it must be %d hexadecimal characters; restore the file from your backup",
			path, 2*keySize,
		)
	}
	return Key{secret: [keySize]byte(secret)}, nil
}

// OpenKey is LoadKey, and makes dataDir/secret.key at the first start. To a database that holds anything belongs a key
// that was there before: it is never replaced.
func OpenKey(ctx context.Context, pool *pgxpool.Pool, dataDir, file string) (Key, error) {
	key, err := LoadKey(dataDir, file)
	if !errors.Is(err, ErrNoKey) {
		return key, err
	}
	path := keyPath(dataDir, file)
	q := db.New(pool)
	fingerprint, err := storedFingerprint(ctx, q)
	if err != nil {
		return Key{}, err
	}
	sealed, err := q.SealedWithKey(ctx)
	if err != nil {
		return Key{}, err
	}
	if fingerprint == "" && sealed.Users == 0 && sealed.Projects == 0 {
		return makeKeyFile(path)
	}
	which := ""
	if fingerprint != "" {
		which = " (fingerprint " + fingerprint + ")"
	}
	return Key{}, fmt.Errorf(
		"the server key %s is missing, and the database was used with one%s: %s. ADIT made no new key. Restore the "+
			"file from your backup, "+
			"or name it with --secret-key-file; every ADIT on the same database needs a copy of the first one's "+
			"key. Without the key these values are lost, "+
			"and ADIT starts only with a new database", path, which, whatIsSealed(sealed),
	)
}

// whatIsSealed says what can't be read without the key.
func whatIsSealed(sealed db.SealedWithKeyRow) string {
	text := fmt.Sprintf("it seals the keys of %d projects, on which their pseudonyms and UIDs depend", sealed.Projects)
	if sealed.Servers > 0 {
		text += fmt.Sprintf(", and the TLS keys or DICOMweb secrets for %d servers", sealed.Servers)
	}
	return text
}

// makeKeyFile writes a new key under a temporary name first: a key file is whole or not there.
func makeKeyFile(path string) (Key, error) {
	k := NewKey()
	tmp := path + ".new"
	_ = os.Remove(tmp)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Key{}, fmt.Errorf("the server key can't be made: %w", err)
	}
	_, err = fmt.Fprintln(f, hex.EncodeToString(k.secret[:]))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("the server key can't be made: %w", err)
	}
	return k, nil
}

// Fingerprint names the key without giving it away.
func (k Key) Fingerprint() string {
	sum := k.sum("adit server key fingerprint")
	return hex.EncodeToString(sum[:16])
}

// Seal encrypts a secret with AES-256-GCM. The purpose is authenticated with it: what was sealed for one use opens for
// no other.
func (k Key) Seal(purpose string, plain []byte) []byte {
	gcm := k.gcm()
	nonce := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(plain)+gcm.Overhead())
	_, _ = rand.Read(nonce)
	return gcm.Seal(nonce, nonce, plain, []byte(purpose))
}

// Open decrypts what Seal made for the same purpose under the same key.
func (k Key) Open(purpose string, sealed []byte) ([]byte, error) {
	gcm := k.gcm()
	if len(sealed) < gcm.NonceSize() {
		return nil, errors.New("a sealed value in the database is truncated; restore the database from your backup")
	}
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], []byte(purpose))
	if err != nil {
		return nil, errors.New(
			"this server key can't open a sealed value in the database; start with the key that belongs to " +
				"the database",
		)
	}
	return plain, nil
}

// SealName encrypts a name that addresses contain, with a key of its own. The same name under the same purpose gives
// the same text, of letters that need no escape: its nonce is a keyed sum of both.
func (k Key) SealName(purpose, name string) string {
	own := k.ofNames()
	gcm := own.gcm()
	sum := own.sum(fmt.Sprintf("%q %q", purpose, name))
	nonce := sum[:gcm.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(gcm.Seal(nonce, nonce, []byte(name), []byte(purpose)))
}

// OpenName decrypts what SealName made for the same purpose under the same key.
func (k Key) OpenName(purpose, sealed string) (string, error) {
	gcm := k.ofNames().gcm()
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(b) < gcm.NonceSize() {
		return "", errNoName
	}
	name, err := gcm.Open(nil, b[:gcm.NonceSize()], b[gcm.NonceSize():], []byte(purpose))
	if err != nil {
		return "", errNoName
	}
	return string(name), nil
}

var errNoName = errors.New("the name was not sealed by this server key for this purpose")

func (k Key) ofNames() Key { return Key{secret: k.sum("names in addresses of bulk data")} }

func (k Key) sum(text string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, k.secret[:])
	mac.Write([]byte(text))
	return [sha256.Size]byte(mac.Sum(nil))
}

func (k Key) gcm() cipher.AEAD {
	block, err := aes.NewCipher(k.secret[:])
	if err != nil {
		panic(err) // the key's length is fixed
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}
