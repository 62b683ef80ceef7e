// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/refusal"
)

func TestHash(t *testing.T) {
	h := newHasher()
	kept, err := h.hash(t.Context(), "correct horse")
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, kept)
	again, err := h.hash(t.Context(), "correct horse")
	require.NoError(t, err)
	require.NotEqual(t, kept, again, "each has a salt of its own")

	for _, tt := range []struct {
		name, password string
		ok             bool
	}{
		{"the password", "correct horse", true},
		{"another", "correct horses", false},
		{"another case", "Correct horse", false},
		{"none", "", false},
		{"an endless one", strings.Repeat("x", 1<<20), false},
	} {
		ok, outdated, err := h.verify(t.Context(), &kept, tt.password)
		require.NoError(t, err, tt.name)
		require.Equal(t, tt.ok, ok, tt.name)
		require.False(t, outdated)
	}

	// é in one character or in two is one password: keyboards differ.
	kept, err = h.hash(t.Context(), "un caf\u00e9 cr\u00e8me")
	require.NoError(t, err)
	ok, _, err := h.verify(t.Context(), &kept, "un cafe\u0301 cre\u0300me")
	require.NoError(t, err)
	require.True(t, ok)
}

// TestHashOfAnotherTime: the cost stands in the hash, and one of another cost is to be made anew.
func TestHashOfAnotherTime(t *testing.T) {
	h := newHasher()
	sum, err := h.run(t.Context(), "old", []byte("somesaltsomesalt"), cost{memory: 64, passes: 1, lanes: 1})
	require.NoError(t, err)
	kept := "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + base64.RawStdEncoding.EncodeToString(sum)
	ok, outdated, err := h.verify(t.Context(), &kept, "old")
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, outdated)
}

// TestSameWork: a user who isn't there costs as much as a wrong password, so that time tells nothing.
func TestSameWork(t *testing.T) {
	h := newHasher()
	kept, err := h.hash(t.Context(), "correct horse")
	require.NoError(t, err)
	for name, hash := range map[string]*string{"wrong password": &kept, "no such user, or none with a password": nil} {
		before := h.runs.Load()
		ok, _, err := h.verify(t.Context(), hash, "wrong horse")
		require.NoError(t, err)
		require.False(t, ok)
		require.EqualValues(t, 1, h.runs.Load()-before, name)
	}
}

func TestDamagedHash(t *testing.T) {
	h := newHasher()
	for _, bad := range []string{
		"", "x", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA", "$argon2id$v=18$m=64,t=1,p=1$c29tZXNhbHQ$AAAA",
		"$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzb21l$HbRpTn5iGFbDzB3MJW/DfB4AA9QlyTQHHdrJDm4wgqE", // 4 GiB
		"$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHRzb21l$HbRpTn5iGFbDzB3MJW/DfB4AA9QlyTQHHdrJDm4wgqE",
		"$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHRzb21l$HbRpTn5iGFbDzB3MJW/DfB4AA9QlyTQHHdrJDm4wgqE",
		"$argon2id$v=19$m=64,t=1,p=1$c29t$HbRpTn5iGFbDzB3MJW/DfB4AA9QlyTQHHdrJDm4wgqE",
		"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21l$!", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21l$AAAA",
	} {
		_, _, err := h.verify(t.Context(), &bad, "x")
		require.ErrorContains(t, err, "adit user password", bad)
	}
	require.Zero(t, h.runs.Load())
}

// TestHashesAreBounded: of a crowd, as many as there are slots are hashed at once, some wait, and the rest is turned
// away.
func TestHashesAreBounded(t *testing.T) {
	h := newHasher()
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2*maxWaiting)
	var all sync.WaitGroup
	for range cap(errs) {
		all.Go(func() {
			_, err := h.hash(ctx, "correct horse")
			errs <- err
		})
	}
	for range cap(errs) - maxWaiting {
		var many *TooMany
		require.ErrorAs(t, <-errs, &many)
		require.Positive(t, many.RetryAfter)
	}
	cancel()
	all.Wait()
	close(errs)
	for err := range errs {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Zero(t, h.waiting.Load())
	require.Zero(t, h.runs.Load())
}

func TestPasswordRules(t *testing.T) {
	for _, tt := range []struct{ name, password, says string }{
		{"good", "staple battery horse", ""},
		{"good, not of ASCII", "Röntgenröhrenöl", ""},
		{"short", "short one", "at least 12 characters"},
		{"short in characters, not in bytes", "ööööööaeiou", "at least 12 characters"},
		{"endless", strings.Repeat("long ", 300), "at most 1024 bytes"},
		{"no text", "long enough\xff\xff", "control characters"},
		{"control character", "long enough\x00 is it", "control characters"},
		{"few different ones", "abcabcabcabcabc", "only 3 different characters"},
		{"common", "Password1234", "most common"},
		{"username", "my name is Reader1", "username or mail"},
		{"mail", "reader@example.org", "username or mail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := checkPassword(tt.password, "reader1", "reader@example.org")
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			var invalid *refusal.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Contains(t, invalid.Reason, tt.says)
			require.NotContains(t, err.Error(), tt.password)
		})
	}
	for _, p := range commonPasswords {
		require.Equal(t, strings.ToLower(p), p)
		require.GreaterOrEqual(t, len(p), minPassword, "shorter ones are refused anyway: %s", p)
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$HbRpTn5iGFbDzB3MJW/DfB4AA9QlyTQHHdrJDm4wgqE")
	f.Add("$argon2id$v=19$m=99999999999,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		c, salt, sum, err := parseHash(text)
		if err == nil && (c.memory > most.memory || c.passes > most.passes || c.lanes > most.lanes ||
			c.passes == 0 || c.lanes == 0 || len(salt) < 8 || len(sum) != hashBytes) {
			t.Fatalf("%+v", c)
		}
	})
}

func TestNetwork(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1:4711": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[::ffff:192.0.2.1]:1": "192.0.2.1",
		"[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64", "2001:db8:1:2:9::4": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80": "fe80::/64", "@": "@", "": "",
	} {
		require.Equal(t, want, network(peer), peer)
	}
}
