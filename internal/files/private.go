// SPDX-License-Identifier: AGPL-3.0-or-later

package files

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/adit-go/adit/internal/text"
)

// maxPrivate is the most that a file with a secret holds, in bytes.
const maxPrivate = 4 << 10

// ReadPrivate reads a file that holds a secret, without the blanks around it. A file that others may read or write, or
// that belongs to somebody other than this process's user or root, is refused with the command that mends it: its
// secret may be known already.
func ReadPrivate(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // was only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := isPrivate(path, info, 0o600); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPrivate))
	return strings.TrimSpace(string(text)), err
}

// CheckSecretFile refuses a file as ReadPrivate does, but lets a group read a file of root, as distributions set up the
// keys of TLS.
func CheckSecretFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	most := fs.FileMode(0o600)
	if owner, _, ok := ownerOf(info); ok && owner == 0 {
		most = 0o640
	}
	return isPrivate(path, info, most)
}

// isPrivate judges a regular file, whose mode is most at most; a pipe is between two processes.
func isPrivate(path string, info fs.FileInfo, most fs.FileMode) error {
	owner, _, ok := ownerOf(info)
	if !ok || !info.Mode().IsRegular() {
		return nil
	}
	if me := os.Geteuid(); owner != me && owner != 0 {
		return fmt.Errorf(
			"%s holds a secret and belongs to %s, but %s runs this command; run it as the owner, or give the file to "+
				"yourself: chown %d %s",
			path, nameOf(owner), nameOf(me), me, text.ShellWord(path),
		)
	}
	if mode := info.Mode().Perm(); mode&0o077&^most != 0 {
		return fmt.Errorf("%s holds a secret, and other users of this machine may use it (mode %04o); restrict it, and "+
			"replace the secret if somebody else may have read it: chmod %o %s",
			path, mode, most, text.ShellWord(path))
	}
	return nil
}

const maxLinks = 40 // on the way to a directory, as Linux has it

// CheckOwnDir refuses a directory for ADIT's own data that others on this machine may change, or put another one in the
// place of: it, every directory that it is in, and every link on the way have to belong to this process's user or root,
// and nobody else may write there. In a directory such as /tmp, where all may write but only owners rename, it may be.
// An error says what to type.
func CheckOwnDir(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	at, rest := "/", strings.Split(path[1:], "/")
	if err := othersMayChange(at, path, len(rest) > 0); err != nil {
		return err
	}
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		if err := othersMayChange(next, path, len(rest) > 0); err != nil {
			return err
		}
		target, err := os.Readlink(next)
		if err != nil { // no link
			at = next
			continue
		}
		if links++; links > maxLinks {
			return fmt.Errorf("%s leads through too many links; name the directory itself", path)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return nil
}

// othersMayChange reports why somebody else may change what is at a place on the way to a directory. On the way others
// may write where only owners rename.
func othersMayChange(at, dir string, onTheWay bool) error {
	info, err := os.Lstat(at)
	if err != nil {
		return err
	}
	owner, group, ok := ownerOf(info)
	if !ok {
		return nil
	}
	where := at + " holds ADIT's own data"
	if onTheWay {
		where = at + " is on the way to ADIT's own data in " + dir
	}
	if me := os.Geteuid(); owner != me && owner != 0 {
		return fmt.Errorf("%s and belongs to %s, who could replace its content, but ADIT runs as %s; "+
			"choose another directory, or give this one to yourself: chown -h %d %s",
			where, nameOf(owner), nameOf(me), me, text.ShellWord(at))
	}
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0, onTheWay && mode&fs.ModeSticky != 0:
		return nil
	case mode&0o002 != 0, mode&0o020 != 0 && group != owner: // a group of the owner's number is theirs alone
		return fmt.Errorf(
			"%s, and other users of this machine could replace its content (mode %04o); restrict it, and check what "+
				"is there: chmod go-w %s",
			where, mode.Perm(), text.ShellWord(at),
		)
	}
	return nil
}

func nameOf(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", uid)
}
