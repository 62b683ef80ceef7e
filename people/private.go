// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// maxPrivate is the most that a file with a secret holds, in bytes.
const maxPrivate = 4 << 10

// ReadPrivate reads a file that holds a secret, without the blanks around it. A file that others may read or write, or that belongs to
// somebody other than this process's user or root, is refused with the command that mends it: its secret may be known already.
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
	if err := isPrivate(path, info); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPrivate))
	return strings.TrimSpace(string(text)), err
}

// isPrivate judges a regular file; a pipe is between two processes.
func isPrivate(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		return nil
	}
	if me := os.Geteuid(); int(stat.Uid) != me && stat.Uid != 0 {
		return fmt.Errorf("%s holds a secret and belongs to %s, while this is run by %s; run it as the owner, or give the file to yourself: chown %d %s",
			path, nameOf(int(stat.Uid)), nameOf(me), me, shellWord(path))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s holds a secret, and others on this machine may use it (mode %04o); close it, and replace the secret if somebody may have read it: chmod 600 %s",
			path, mode, shellWord(path))
	}
	return nil
}

func nameOf(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", uid)
}

// shellWord writes a path so that it can be pasted into a shell.
func shellWord(path string) string {
	if strings.IndexFunc(path, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,=@", r))
	}) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
