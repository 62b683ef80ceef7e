// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package local

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Descriptors of the child's extra files. The server reaches its directories through them, so that it needs no
// permission for the path that leads there, be it below /root or in a private temporary directory.
const (
	clusterFD = "/proc/self/fd/3"
	socketFD  = "/proc/self/fd/4"
)

//go:embed postgresql.conf
var serverConf string

//go:embed volatile.conf
var volatileConf string

// cluster is a PostgreSQL data directory that is ready to be started.
type cluster struct {
	dir       string // data directory of PostgreSQL
	socketDir string
	acc       account
	bin       binaries
	staleEnv  []string
}

// prepare finds or makes the cluster in dir. The locks of dir are held.
func prepare(ctx context.Context, dir string, treeLock *os.File, logger *slog.Logger, set settings) (*cluster, error) {
	c := &cluster{dir: filepath.Join(dir, clusterName)}
	if err := removeHalfMade(dir); err != nil {
		return nil, err
	}
	var err error
	if c.acc, err = serverAccount(c.dir); err != nil {
		return nil, err
	}
	major, err := clusterMajor(c.dir)
	if err != nil {
		return nil, err
	}
	if c.bin, err = findBinaries(ctx, major); err != nil {
		return nil, err
	}
	if major == 0 {
		logger.Info("creating the embedded PostgreSQL database", "directory", c.dir, "major", c.bin.major)
		if err := c.initialize(ctx, treeLock, logger, set); err != nil {
			return nil, err
		}
	}
	if c.staleEnv, err = staleLock(c.dir); err != nil {
		return nil, err
	}
	if c.socketDir, err = socketDir(dir, c.acc); err != nil {
		return nil, fmt.Errorf("the directory of the database's socket cannot be created: %w", err)
	}
	if err := c.configure(set); err != nil {
		return nil, fmt.Errorf("the embedded PostgreSQL cannot be configured: %w", err)
	}
	return c, nil
}

// clusterMajor is the major version that made the cluster, 0 if there is no cluster.
func clusterMajor(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err == nil {
		major, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return 0, fmt.Errorf(
				"%s does not name a major version of PostgreSQL; restore it from a backup",
				filepath.Join(dir, "PG_VERSION"),
			)
		}
		return major, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("the embedded database cannot be read: %w", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		return 0, fmt.Errorf(
			"%s exists, but is not a PostgreSQL database (it has no PG_VERSION); ADIT leaves it alone: move it "+
				"away, or restore it from a backup",
			dir,
		)
	}
	return 0, nil
}

// initialize makes the cluster under a name of its own and renames it when it is whole, so that an interruption
// never leaves half a cluster under the right name.
func (c *cluster) initialize(ctx context.Context, treeLock *os.File, logger *slog.Logger, set settings) (err error) {
	parent := filepath.Dir(c.dir)
	half, err := os.MkdirTemp(parent, initPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(half))
		}
	}()
	if err := os.Chown(half, c.acc.uid, c.acc.gid); err != nil {
		return err
	}
	if err := c.initdb(ctx, half, treeLock, logger, set); err != nil {
		return err
	}
	if err := os.Rename(half, c.dir); err != nil {
		return err
	}
	return syncDir(parent)
}

func (c *cluster) initdb(
	ctx context.Context, half string, treeLock *os.File, logger *slog.Logger, set settings,
) (err error) {
	d, err := os.Open(half)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	args := []string{
		"--pgdata", clusterFD, "--username", superuser,
		"--auth-local", "peer", "--auth-host", "reject",
		// Order by bytes, the same on every machine; upper and lower case of all letters.
		"--encoding", "UTF8", "--locale", "C", "--lc-ctype", "C.UTF-8",
		"--data-checksums", "--no-instructions",
	}
	if set.volatile {
		args = append(args, "--no-sync")
	}
	// The lock takes a place that the socket's directory has later, so that initdb's children hold it as well.
	p, err := startProcess(logger, c.acc, syscall.SIGKILL, []*os.File{d, treeLock}, nil, c.bin.path("initdb"), args...)
	if err != nil {
		return fmt.Errorf("PostgreSQL's initdb cannot be started as %s: %w", c.acc.name, err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("the creation of the embedded database was interrupted: %w", ctx.Err())
	}
	if !p.cmd.ProcessState.Success() {
		return p.ended("before its files were created")
	}
	return nil
}

func syncDir(path string) (err error) {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}

// configure writes what belongs to ADIT. A site's own settings go into adit-local.conf, or come by ALTER SYSTEM.
func (c *cluster) configure(set settings) (err error) {
	root, err := os.OpenRoot(c.dir) // its files belong to another user: no link of theirs leads out of it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()

	conf := serverConf
	if set.volatile {
		conf += volatileConf
	}
	const written = "# Written by ADIT at each start.\n"
	return errors.Join(
		c.write(root, "postgresql.conf", conf),
		c.write(root, "pg_hba.conf", written+"local all all peer map=adit\n"), //nolint:dupword // every database, every role
		c.write(root, "pg_ident.conf", written+c.identMap()),
	)
}

// identMap lets in who could read the data directory anyway: the server's user and root.
func (c *cluster) identMap() string {
	var b bytes.Buffer
	names := []string{"root"}
	if c.acc.name != "root" {
		names = append(names, c.acc.name)
	}
	for _, name := range names {
		fmt.Fprintf(&b, "adit %q %s\n", name, superuser)
	}
	return b.String()
}

func (c *cluster) write(root *os.Root, name, text string) error {
	draft := name + ".adit-new"
	if err := root.WriteFile(draft, []byte(text), 0o600); err != nil {
		return err
	}
	if err := root.Chown(draft, c.acc.uid, c.acc.gid); err != nil {
		return err
	}
	return root.Rename(draft, name)
}

func (c *cluster) startPostmaster(logger *slog.Logger, treeLock *os.File) (_ *process, err error) {
	data, err := os.Open(c.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	sockets, err := os.Open(c.socketDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sockets.Close()) }()

	// SIGQUIT is an immediate stop: the postmaster takes its children along, as SIGKILL would not.
	p, err := startProcess(logger, c.acc, syscall.SIGQUIT, []*os.File{data, sockets, treeLock}, c.staleEnv,
		c.bin.path("postgres"), "-D", clusterFD, "-k", socketFD, "-h", "")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL cannot be started as %s: %w", c.acc.name, err)
	}
	return p, nil
}

// staleLock looks at the lock file that a killed postmaster left. PostgreSQL refuses to start when the process named
// in it is alive, which after a reboot may be anything. If that process does not work in the cluster, the variable
// that pg_ctl uses to name the shell it was called from tells PostgreSQL to look past it; PostgreSQL then still
// checks the old shared memory, and removes the file itself.
func staleLock(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the lock file of the embedded database cannot be read: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return nil, nil //nolint:nilerr // PostgreSQL has a sentence for a damaged lock file
	}
	pid = max(pid, -pid) // a lone backend writes its number with a minus
	works, err := worksIn(pid, dir)
	if err != nil {
		return nil, err
	}
	if works {
		return nil, fmt.Errorf(
			"%w: a PostgreSQL that ADIT did not start (process %d) is running in %s; stop it and start again",
			ErrInUse, pid, dir,
		)
	}
	return []string{"PG_GRANDPARENT_PID=" + strconv.Itoa(pid)}, nil
}

// worksIn reports whether the working directory of a process is dir, as it is for each process of a PostgreSQL.
func worksIn(pid int, dir string) (bool, error) {
	here, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	there, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false, nil //nolint:nilerr // gone, or another user's: then it cannot be a server of this cluster
	}
	return os.SameFile(here, there), nil
}
