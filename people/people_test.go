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
	admin, err := s.UserOfToken(t.Context(), token)
	require.NoError(t, err)
	require.True(t, admin.IsStaff && admin.IsSuperuser)
	require.NotNil(t, admin.ActiveGroupID)

	var leaked bool
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT exists(SELECT FROM api_tokens WHERE encode(sha256, 'escape') LIKE '%' || $1 || '%' OR description LIKE '%' || $1 || '%')", token).Scan(&leaked))
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
		"empty": "", "short": token[:39], "long": token + "0", "another": strings.Repeat("0", 40), "upper case": strings.ToUpper(token),
	} {
		_, err := s.UserOfToken(t.Context(), bad)
		require.ErrorIs(t, err, people.ErrUnauthenticated, name)
	}
	for name, change := range map[string]string{
		"expired":  "UPDATE api_tokens SET expires_at = now() - interval '1 second'",
		"disabled": "UPDATE users SET is_active = false",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.UserOfToken(t.Context(), token)
			require.NoError(t, err)
			_, err = pool.Exec(t.Context(), change)
			require.NoError(t, err)
			_, err = s.UserOfToken(t.Context(), token)
			require.ErrorIs(t, err, people.ErrUnauthenticated)
			_, err = pool.Exec(t.Context(), "WITH t AS (UPDATE api_tokens SET expires_at = NULL) UPDATE users SET is_active = true")
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
		"cut short":       func() ([]byte, error) { return first.Open("project", sealed[:5]) },
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
	require.ErrorContains(t, err, "put back the file from your backup")
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
			_, err := people.ReadPrivate(path)
			require.Equal(t, test.says == "", err == nil)
		})
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
		}, "is not the one that the database belongs to"},
		"another key, no fingerprint": {func(exec func(string), path string) {
			_ = os.WriteFile(path, []byte(strings.Repeat("5a", 32)), 0o600)
			exec("DELETE FROM settings")
		}, "is not the one that the database belongs to"},
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
		require.ErrorContains(t, err, "is not the one")
	}
	require.Equal(t, 1, in)
}
