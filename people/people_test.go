// SPDX-License-Identifier: AGPL-3.0-or-later

package people_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/internal/files"
	"github.com/adit-go/adit/people"
)

func bootstrap(t *testing.T, s *people.Service) (token string) {
	t.Helper()
	require.NoError(t, s.Bootstrap(t.Context(), func(made string) error {
		token = made
		return nil
	}))
	return token
}

func TestBootstrap(t *testing.T) {
	pool := dbtest.New(t)
	s := people.New(pool, people.NewKey())

	broken := errors.New("disk full")
	require.ErrorIs(t, s.Bootstrap(t.Context(), func(string) error { return broken }), broken)
	var users int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM users").Scan(&users))
	require.Zero(t, users, "a token that nobody has must not lock everybody out")

	token := bootstrap(t, s)
	require.Len(t, token, 40)
	require.Empty(t, bootstrap(t, s), "there is an administrator already")
	admin, err := s.Tokens.UserOf(t.Context(), token)
	require.NoError(t, err)
	require.True(t, admin.IsStaff && admin.IsSuperuser)
	require.NotNil(t, admin.ActiveGroupID)

	var leaked bool
	require.NoError(t, pool.QueryRow(t.Context(),
		"SELECT exists(SELECT FROM api_tokens WHERE encode(sha256, 'escape') LIKE '%' || $1 || '%' OR description LIKE '%' || $1 || '%')",
		token,
	).Scan(&leaked))
	require.False(t, leaked)
}

// TestBootstrapOnce: of several processes that start at once, one makes the administrator.
func TestBootstrapOnce(t *testing.T) {
	pool := dbtest.New(t)
	var all sync.WaitGroup
	made := make(chan string, 4)
	for range cap(made) {
		all.Go(func() {
			s := people.New(pool, people.NewKey())
			if err := s.Bootstrap(t.Context(), func(token string) error { made <- token; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Len(t, made, 1)
}

func TestTokens(t *testing.T) {
	pool := dbtest.New(t)
	s := people.New(pool, people.NewKey())
	token := bootstrap(t, s)
	for name, bad := range map[string]string{
		"empty": "", "short": token[:39], "long": token + "0",
		"another": strings.Repeat("0", 40), "upper case": strings.ToUpper(token),
	} {
		_, err := s.Tokens.UserOf(t.Context(), bad)
		require.ErrorIs(t, err, people.ErrUnauthenticated, name)
	}
	for name, change := range map[string]string{
		"expired":  "UPDATE api_tokens SET expires_at = now() - interval '1 second'",
		"disabled": "UPDATE users SET is_active = false",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Tokens.UserOf(t.Context(), token)
			require.NoError(t, err)
			_, err = pool.Exec(t.Context(), change)
			require.NoError(t, err)
			_, err = s.Tokens.UserOf(t.Context(), token)
			require.ErrorIs(t, err, people.ErrUnauthenticated)
			_, err = pool.Exec(
				t.Context(), "WITH t AS (UPDATE api_tokens SET expires_at = NULL) UPDATE users SET is_active = true",
			)
			require.NoError(t, err)
		})
	}
}

func TestCheck(t *testing.T) {
	pool := dbtest.New(t)
	s := people.New(pool, people.NewKey())
	bootstrap(t, s)
	var admin, user, node int64
	scan := func(into *int64, sql string, args ...any) {
		t.Helper()
		require.NoError(t, pool.QueryRow(t.Context(), sql, args...).Scan(into))
	}
	scan(&admin, "SELECT id FROM users")
	scan(&user, "INSERT INTO users (username) VALUES ('reader') RETURNING id")
	scan(&node, "INSERT INTO dicom_nodes (name, kind) VALUES ('pacs', 'server') RETURNING id")
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	transfer := people.Action{Permissions: []string{people.SelectiveTransfer}, Source: node}
	denied := func(id int64, a people.Action, reason string) {
		t.Helper()
		var d *people.Denied
		require.ErrorAs(t, s.Check(t.Context(), id, a), &d)
		require.Contains(t, d.Reason, reason)
	}

	denied(user, people.Action{Staff: true}, "only staff")
	require.NoError(t, s.Check(t.Context(), admin, people.Action{Staff: true}))
	denied(user, transfer, "selective_transfer")
	denied(admin, transfer, "as a source") // nobody, administrators included, without such a row

	exec("INSERT INTO node_access (group_id, dicom_node_id, is_source) SELECT id, $1, true FROM groups", node)
	require.NoError(t, s.Check(t.Context(), admin, transfer))
	denied(admin, people.Action{Destination: node}, "as a destination")
	denied(user, people.Action{Source: node}, "as a source")

	exec("INSERT INTO group_members (group_id, user_id) SELECT id, $1 FROM groups", user)
	require.NoError(t, s.Check(t.Context(), user, transfer))
	exec("UPDATE users SET is_active = false WHERE id = $1", user)
	denied(user, transfer, "disabled")
}

func TestServerKey(t *testing.T) {
	dir, pool := t.TempDir(), dbtest.New(t)
	_, err := people.LoadKey(dir, "")
	require.ErrorIs(t, err, people.ErrNoKey)
	first, err := people.OpenKey(t.Context(), pool, dir, "")
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "secret.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	again, err := people.OpenKey(t.Context(), pool, dir, "")
	require.NoError(t, err)
	require.Equal(t, first.Fingerprint(), again.Fingerprint())

	sealed := first.Seal("project", []byte("a secret"))
	require.NotContains(t, string(sealed), "secret")
	plain, err := again.Open("project", sealed)
	require.NoError(t, err)
	require.Equal(t, "a secret", string(plain))
	for name, open := range map[string]func() ([]byte, error){
		"another key":     func() ([]byte, error) { return people.NewKey().Open("project", sealed) },
		"another purpose": func() ([]byte, error) { return first.Open("token", sealed) },
		"truncated":       func() ([]byte, error) { return first.Open("project", sealed[:5]) },
		"changed": func() ([]byte, error) {
			sealed[len(sealed)-1] ^= 1
			defer func() { sealed[len(sealed)-1] ^= 1 }()
			return first.Open("project", sealed)
		},
	} {
		_, err := open()
		require.Error(t, err, name)
	}

	_, err = people.LoadKey(dir, filepath.Join(dir, "elsewhere"))
	require.ErrorIs(t, err, os.ErrNotExist, "a file that was named is never made")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret.key"), []byte("garbage\n"), 0o600))
	_, err = people.LoadKey(dir, "")
	require.ErrorContains(t, err, "restore the file from your backup")
}

// TestKeyOfAnotherDatabase: a database whose secrets were sealed with another key is refused, by fingerprints.
func TestKeyOfAnotherDatabase(t *testing.T) {
	pool := dbtest.New(t)
	key := people.NewKey()
	require.NoError(t, people.New(pool, key).CheckKey(t.Context()))
	require.NoError(t, people.New(pool, key).CheckKey(t.Context()))
	other := people.NewKey()
	err := people.New(pool, other).CheckKey(t.Context())
	require.ErrorContains(t, err, key.Fingerprint())
	require.ErrorContains(t, err, other.Fingerprint())
}

// TestKeyIsPrivate: a key or a token that others may use is refused, with the command that mends it.
func TestKeyIsPrivate(t *testing.T) {
	for name, test := range map[string]struct {
		mode os.FileMode
		uid  int // 0: ours
		says string
	}{
		"ours alone":       {0o600, 0, ""},
		"only to be read":  {0o400, 0, ""},
		"group reads":      {0o640, 0, "chmod 600 "},
		"others read":      {0o604, 0, "chmod 600 "},
		"group writes":     {0o620, 0, "chmod 600 "},
		"others execute":   {0o601, 0, "chmod 600 "},
		"somebody else's":  {0o600, 54321, "belongs to user 54321"},
		"theirs, and open": {0o644, 54321, "chown "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "secret.key")
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("5a", 32)+"\n"), 0o600))
			require.NoError(t, os.Chmod(path, test.mode))
			if test.uid != 0 {
				if os.Geteuid() != 0 {
					t.Skip("only root gives files away")
				}
				require.NoError(t, os.Chown(path, test.uid, -1))
			}
			link := filepath.Join(dir, "link")
			require.NoError(t, os.Symlink(path, link))
			for _, file := range []string{"", path, link} {
				_, err := people.LoadKey(dir, file)
				if test.says == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, test.says)
				require.NotContains(t, err.Error(), "5a5a")
			}
			_, err := files.ReadPrivate(path)
			require.Equal(t, test.says == "", err == nil)
		})
	}
}

// TestSecretFileIsPrivate: a file of root may be readable for a group.
func TestSecretFileIsPrivate(t *testing.T) {
	for mode, says := range map[os.FileMode]string{
		0o600: "", 0o400: "", 0o640: "", 0o440: "", 0o644: "chmod 640 ",
		0o660: "chmod 640 ", 0o604: "chmod 640 ", 0o641: "chmod 640 ",
	} {
		path := filepath.Join(t.TempDir(), "key.pem")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chmod(path, mode))
		err := files.CheckSecretFile(path)
		if os.Geteuid() != 0 && mode&0o077 != 0 {
			says = "chmod 600 "
		}
		if says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, says)
		}
	}
	require.ErrorIs(t, files.CheckSecretFile(filepath.Join(t.TempDir(), "none")), os.ErrNotExist)
}

// TestOwnDir: ADIT's own data is where nobody else can put other data in its place.
func TestOwnDir(t *testing.T) {
	for name, test := range map[string]struct {
		dir    string // of those below the one that the test has
		change func(t *testing.T, at string)
		says   string
	}{
		"ours":                   {"a/data", nil, ""},
		"read by all":            {"a/data", mode("a/data", 0o755), ""},
		"all may write":          {"a/data", mode("a/data", 0o777), "/a/data holds ADIT's own data, and other users of this machine could replace its content (mode 0777)"},
		"sticky":                 {"a/data", mode("a/data", 0o777|os.ModeSticky), "chmod go-w "},
		"others write":           {"a/data", mode("a/data", 0o702), "chmod go-w "},
		"our group writes":       {"a/data", owner("a/data", os.Geteuid(), os.Geteuid(), 0o770), ""},
		"a group writes":         {"a/data", owner("a/data", os.Geteuid(), 54321, 0o770), "chmod go-w "},
		"somebody else's":        {"a/data", owner("a/data", 54321, 54321, 0o700), "/a/data holds ADIT's own data and belongs to user 54321"},
		"others may rename":      {"a/data", mode("a", 0o777), "/a is on the way to ADIT's own data in "},
		"only owners rename":     {"a/data", mode("a", 0o777|os.ModeSticky), ""},
		"on the way theirs":      {"a/data", owner("a", 54321, 54321, 0o755), "/a is on the way"},
		"a link":                 {"link", link("a/data", "link"), ""},
		"a link to what is open": {"link", both(link("a/data", "link"), mode("a/data", 0o777)), "/a/data holds"},
		"a link, others rename":  {"link", both(link("a/data", "link"), mode("a", 0o777)), "/a is on the way"},
		"a relative link":        {"b/link", both(link("../a/data", "b/link"), mode("a", 0o777)), "/a is on the way"},
		"a link among others'":   {"b/link", both(link("../a/data", "b/link"), mode("b", 0o777)), "/b is on the way"},
		"somebody else's link":   {"link", both(link("a/data", "link"), owner("link", 54321, -1, 0)), "/link holds ADIT's own data and belongs to user 54321"},
		"links in a ring":        {"link", link("link", "link"), "too many links"},
		"not there":              {"a/none", nil, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := filepath.EvalSymlinks(t.TempDir())
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Join(at, "a/data"), 0o700))
			require.NoError(t, os.Mkdir(filepath.Join(at, "b"), 0o700))
			if test.change != nil {
				test.change(t, at)
			}
			err = files.CheckOwnDir(filepath.Join(at, test.dir))
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.says)
		})
	}
}

func mode(name string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, at string) {
		t.Helper()
		require.NoError(t, os.Chmod(filepath.Join(at, name), mode))
	}
}

func owner(name string, uid, gid int, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, at string) {
		t.Helper()
		if os.Geteuid() != 0 && (uid != os.Geteuid() || gid != os.Getegid()) {
			t.Skip("only root gives files away")
		}
		require.NoError(t, os.Lchown(filepath.Join(at, name), uid, gid))
		if mode != 0 {
			require.NoError(t, os.Chmod(filepath.Join(at, name), mode))
		}
	}
}

func link(to, name string) func(*testing.T, string) {
	return func(t *testing.T, at string) {
		t.Helper()
		require.NoError(t, os.Symlink(to, filepath.Join(at, name)))
	}
}

func both(one, other func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, at string) {
		t.Helper()
		one(t, at)
		other(t, at)
	}
}

// TestLostKey: where a database holds anything, no new key comes into the place of a lost one.
func TestLostKey(t *testing.T) {
	for name, test := range map[string]struct {
		lose func(exec func(string), path string)
		says string
	}{
		"the file is gone": {func(_ func(string), path string) { _ = os.Remove(path) }, "is missing"},
		"and the fingerprint": {func(exec func(string), path string) {
			_ = os.Remove(path)
			exec("DELETE FROM settings")
		}, "the keys of 1 projects"},
		"and the projects": {func(exec func(string), path string) {
			_ = os.Remove(path)
			exec("DELETE FROM settings; DELETE FROM projects")
		}, "backup"},
		"another key": {func(_ func(string), path string) {
			_ = os.WriteFile(path, []byte(strings.Repeat("5a", 32)), 0o600)
		}, "the database does not belong to this server key"},
		"another key, no fingerprint": {func(exec func(string), path string) {
			_ = os.WriteFile(path, []byte(strings.Repeat("5a", 32)), 0o600)
			exec("DELETE FROM settings")
		}, "the database does not belong to this server key"},
	} {
		t.Run(name, func(t *testing.T) {
			pool, dir := dbtest.New(t), t.TempDir()
			path := filepath.Join(dir, "secret.key")
			start := func() error {
				key, err := people.OpenKey(t.Context(), pool, dir, "")
				if err != nil {
					return err
				}
				s := people.New(pool, key)
				if err := s.CheckKey(t.Context()); err != nil {
					return err
				}
				return s.Bootstrap(t.Context(), func(string) error { return nil })
			}
			require.NoError(t, start())
			require.NoError(t, start())
			right, err := os.ReadFile(path)
			require.NoError(t, err)
			test.lose(func(sql string) {
				_, err := pool.Exec(t.Context(), sql)
				require.NoError(t, err)
			}, path)
			left, _ := os.ReadFile(path)
			for range 2 { // nor at the second try
				require.ErrorContains(t, start(), test.says)
				now, _ := os.ReadFile(path)
				require.Equal(t, left, now, "nothing was written")
			}
			require.NoError(t, os.WriteFile(path, right, 0o600))
			require.NoError(t, start(), "the right one")
		})
	}
}

// TestFirstKeyWins: of two processes with keys of their own on a new database, one is let in.
func TestFirstKeyWins(t *testing.T) {
	pool := dbtest.New(t)
	var all sync.WaitGroup
	errs := make(chan error, 4)
	for range cap(errs) {
		all.Go(func() { errs <- people.New(pool, people.NewKey()).CheckKey(t.Context()) })
	}
	all.Wait()
	close(errs)
	in := 0
	for err := range errs {
		if err == nil {
			in++
			continue
		}
		require.ErrorContains(t, err, "does not belong to this server key")
	}
	require.Equal(t, 1, in)
}
