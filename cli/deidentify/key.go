// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid"
)

// findProfile takes the name of a profile that is built in, or of a file.
func findProfile(name string) (*deid.Profile, error) {
	if p, ok := deid.BuiltinProfile(name); ok {
		return p, nil
	}
	f, err := command.OpenRegular(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf(
			"there is no de-identification profile %q: it is neither a file nor one of %s",
			name, strings.Join(deid.BuiltinProfiles(), ", "),
		)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()                  // was only read
	text, err := io.ReadAll(io.LimitReader(f, 2<<20)) // more is none
	if err != nil {
		return nil, err
	}
	p, err := deid.LoadProfile(text)
	if err != nil {
		return nil, err
	}
	if _, taken := deid.BuiltinProfile(p.Name()); taken {
		return nil, fmt.Errorf(
			"%s is a profile of its own but is called %s, as one that is built in; instances name their profile, so "+
				"give it another name",
			command.Printable(name), p.Name(),
		)
	}
	return p, nil
}

// makeKey makes a key for a file that must not exist.
func makeKey(path string) (key deid.Key, err error) {
	_, _ = rand.Read(key[:]) // never fails
	if _, err := os.Lstat(path); err == nil {
		return key, keyExists(path)
	}
	return key, nil
}

func keyExists(path string) error {
	return fmt.Errorf("%s exists already and stays as it is; omit --new-key to use it", path)
}

// saveKey writes a key that makeKey made.
func saveKey(path string, key deid.Key) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return keyExists(path)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := fmt.Fprintf(f, "%x\n", key); err != nil {
		return err
	}
	return f.Sync() // what derives from it can't be made again without it
}

// ReadKey reads a key that nobody else can read.
func ReadKey(path string) (key deid.Key, err error) {
	f, err := command.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("there is no key file %s; --new-key makes one", path)
	}
	if err != nil {
		return key, err
	}
	defer func() { _ = f.Close() }() // was only read
	info, err := f.Stat()
	if err != nil {
		return key, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key, fmt.Errorf(
			"the key file %s can be read by others (mode %04o); if nobody has, correct it with chmod 600, else make "+
				"a new key",
			path, info.Mode().Perm(),
		)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return key, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != len(key) {
		return key, fmt.Errorf("%s is no key file: it must hold 64 hexadecimal digits and nothing else", path)
	}
	if len(bytes.ReplaceAll(b, b[:1], nil)) == 0 {
		return key, fmt.Errorf(
			"the key in %s is no secret: it is one byte repeated; --key-file with --new-key makes another", path,
		)
	}
	copy(key[:], b)
	return key, nil
}
