// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	clusterName  = "data"          // PostgreSQL's own directory
	socketsName  = "run"           // directory of the socket, or a link to one with a shorter path
	initPrefix   = "data.initdb-"  // a cluster that is being made
	ownLockName  = "adit.lock"     // held by the ADIT that works here
	treeLockName = "postgres.lock" // held by that ADIT and by every process of its PostgreSQL

	longestSocketPath = 107 // sun_path of Linux, without the closing zero
)

// openLayout makes sure of the directory that everything of this package lives in, and returns its absolute path.
// It is private to the user who runs ADIT: the server gets its own directories as open files, and never walks here.
func openLayout(dataDir string) (string, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "postgres")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("the data directory cannot be created: %w", err)
	}
	return dir, nil
}

// lockOwn takes the lock that says "an ADIT works here". The kernel gives it back when the process ends.
func lockOwn(dir string) (*os.File, error) {
	f, err := openLock(dir, ownLockName)
	if err != nil {
		return nil, err
	}
	taken, err := tryLock(f, syscall.LOCK_EX)
	if err == nil && !taken {
		holder, readErr := os.ReadFile(f.Name())
		if readErr != nil || len(holder) == 0 {
			holder = []byte("unknown")
		}
		err = fmt.Errorf(
			"%w: another ADIT (process %s) is running in %s; stop it, or choose another --data-dir",
			ErrInUse, holder, filepath.Dir(dir),
		)
	}
	if err == nil {
		err = errors.Join(f.Truncate(0), writePID(f))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func writePID(f *os.File) error {
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

// lockTree takes the lock that the server's processes inherit, and so waits for those of a predecessor that was
// killed. They end by themselves.
func lockTree(ctx context.Context, dir string, patience time.Duration) (*os.File, error) {
	f, err := openLock(dir, treeLockName)
	if err != nil {
		return nil, err
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(firstPause)
	defer again.Stop()
	for {
		taken, err := tryLock(f, syscall.LOCK_EX)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if taken {
			return f, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-deadline.C:
			err := fmt.Errorf(
				"%w: PostgreSQL processes of an earlier run have not ended after %s in %s; end them (`fuser %s` "+
					"lists them) and start again",
				ErrInUse, patience, filepath.Join(dir, clusterName), f.Name(),
			)
			return nil, errors.Join(err, f.Close())
		}
	}
}

func openLock(dir, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory cannot be locked: %w", err)
	}
	return f, nil
}

func tryLock(f *os.File, how int) (bool, error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		default:
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

func isLocked(path string) (_ bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	free, err := tryLock(f, syscall.LOCK_SH)
	return !free, err
}

// socketDir returns the directory for the socket, owned by the server's account, by a path that can be connected to.
func socketDir(dir string, acc account) (string, error) {
	link := filepath.Join(dir, socketsName)
	target, err := os.Readlink(link)
	if err == nil {
		if !fits(link) && ownedDir(target, acc) {
			return target, nil // of a predecessor that could not tidy up
		}
		// Another one's directory by now, or none any more; or the data directory has moved to a path that will do.
		if err := os.Remove(link); err != nil {
			return "", err
		}
	}
	if fits(link) {
		return link, ownDir(link, acc)
	}
	if target, err = os.MkdirTemp("/tmp", "adit-"); err != nil {
		return "", fmt.Errorf(
			"the path of the data directory is too long for a socket or contains a comma, and no other directory can be "+
				"made: %w",
			err,
		)
	}
	if err := os.Chown(target, acc.uid, acc.gid); err != nil {
		return "", err
	}
	// A directory that is there is of a time when the path would do, and nobody's any more.
	if err := os.RemoveAll(link); err != nil {
		return "", err
	}
	return target, os.Symlink(target, link)
}

// removeSocketLink tidies up after an orderly end where the socket had its directory elsewhere.
func removeSocketLink(dir string) {
	link := filepath.Join(dir, socketsName)
	if target, err := os.Readlink(link); err == nil && os.Remove(target) == nil {
		_ = os.Remove(link) // a link to nothing is replaced at the next start
	}
}

func reachableSocketDir(dir string) (string, error) {
	link := filepath.Join(dir, socketsName)
	if fits(link) {
		return link, nil
	}
	return os.Readlink(link)
}

// fits reports whether a socket in dir can be connected to: the kernel bounds its path, and in a database URL a comma
// would end it.
func fits(dir string) bool {
	return len(filepath.Join(dir, socketName)) <= longestSocketPath && !strings.Contains(dir, ",")
}

func ownDir(path string, acc account) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Chown(path, acc.uid, acc.gid)
}

func ownedDir(path string, acc account) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == acc.uid
}

// removeHalfMade removes clusters whose making was interrupted. Nobody else makes directories of that name here, and
// the locks are held.
func removeHalfMade(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), initPrefix) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("remove a cluster whose creation was interrupted: %w", err)
			}
		}
	}
	return nil
}
