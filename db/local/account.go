// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package local

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is the operating system's user that the server runs as.
type account struct {
	name     string
	uid, gid int
	drop     bool // ADIT runs as root, and PostgreSQL refuses to
}

// serverAccount chooses: the owner of the cluster if there is one, else this process's user, and in place of root
// "postgres" or "nobody".
func serverAccount(clusterDir string) (account, error) {
	uid := os.Geteuid()
	info, err := os.Stat(clusterDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if uid != 0 {
			return lookupAccount(strconv.Itoa(uid))
		}
		return unprivileged()
	case err != nil:
		return account{}, fmt.Errorf("the embedded database cannot be looked at: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, fmt.Errorf("ADIT can't read the owner of %s", clusterDir)
	}
	owner := int(stat.Uid)
	switch {
	case uid != 0 && owner != uid:
		return account{}, fmt.Errorf(
			"the embedded database in %s belongs to the user with id %d, and ADIT runs as %d; start it as that user "+
				"or as root",
			clusterDir, owner, uid,
		)
	case owner == 0:
		return account{}, fmt.Errorf(
			"the embedded database in %s belongs to root, but PostgreSQL refuses to run as root; give it back to its "+
				"user (chown -R postgres %s)",
			clusterDir, clusterDir,
		)
	}
	return lookupAccount(strconv.Itoa(owner))
}

func unprivileged() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return lookupAccount(u.Uid)
		}
	}
	return account{}, errors.New("ADIT runs as root, PostgreSQL refuses to run as root, and there is neither " +
		"a user \"postgres\" " +
		"nor \"nobody\" to run it as; start ADIT as another user, or create one of these")
}

func lookupAccount(uid string) (account, error) {
	u, err := user.LookupId(uid)
	if err != nil {
		return account{}, fmt.Errorf(
			"PostgreSQL needs a name for its user, but the user with id %s has none in /etc/passwd; add one, or use "+
				"--database-url: %w",
			uid, err,
		)
	}
	id, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return account{}, err
	}
	return account{name: u.Username, uid: id, gid: gid, drop: os.Geteuid() == 0}, nil
}
